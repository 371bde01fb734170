"""Redis refuses, hangs, comes back, forgets its scripts: answers keep coming."""

import re
import threading
import time

import pytest

from lib.proc import wait_until
from lib.site import FREE

TEXT = "The store room is locked, but the mill goes on grinding, only a little less thriftily."


def timed(one, text):
    began = time.monotonic()
    answer = one.process(text)
    return answer, time.monotonic() - began


def test_starts_and_answers_without_redis(site):
    one = site(redis=False)
    answer = one.process(TEXT)
    assert answer.status == 200
    assert answer.headers["Cache-Status"] == "textmill; fwd=miss"
    health = one.http.get("/v1/health").json()
    assert health["status"] == "degraded" and health["cache_healthy"] is False
    assert health["components"]["redis"]["status"] == "degraded"


def test_limits_hold_per_process_without_redis(site):
    one = site(redis=False, workers=1, settings={"limit.minute": 3})
    assert [one.process(TEXT).status for _ in range(5)] == [200, 200, 200, 429, 429]


def test_deny_answers_503_without_redis(site):
    one = site(redis=False, settings={"limit.on_redis_down": "deny"})
    answer = one.process(TEXT)
    assert answer.status == 503 and answer.json()["code"] == "overloaded"
    assert int(answer.headers["Retry-After"]) >= 1


def test_health_waits_no_more_than_a_second_for_a_patient_worker(site):
    one = site(workers=1, settings={"redis.timeout": "5s"})
    assert one.http.get("/v1/health").json()["status"] == "healthy"
    one.redis.pause()
    answer = one.http.get("/v1/health")
    spent = float(re.search(r"total;dur=([0-9.]+)", answer.headers["Server-Timing"]).group(1))
    assert answer.json()["status"] == "degraded" and spent < 4000


def test_ready_is_503_while_every_request_would_be(site):
    one = site(workers=1, settings={"limit.on_redis_down": "deny"})
    assert one.http.get("/v1/ready").status == 200
    one.redis.kill()
    answer = one.http.get("/v1/ready")
    assert answer.status == 503 and answer.json()["code"] == "overloaded"
    assert int(answer.headers["Retry-After"]) == answer.json()["retry_after"] >= 1
    assert one.process(TEXT).status == 503
    one.redis.start()
    wait_until(lambda: one.http.get("/v1/ready").status == 200, "the way back")
    assert one.process(TEXT).status == 200


@pytest.mark.parametrize("settings", [{"limit.on_redis_down": "allow"},
                                      {"limit.on_redis_down": "deny", **FREE}],
                         ids=["allowed", "no_limits"])
def test_ready_stays_200_where_requests_are_answered_without_redis(site, settings):
    one = site(redis=False, settings=settings)
    assert one.process(TEXT).status == 200
    assert one.http.get("/v1/ready").json() == {"ready": True}


def test_a_hanging_redis_costs_one_wait_per_worker_and_comes_back(site):
    one = site(workers=1, settings={"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0})
    one.process(TEXT)
    assert one.process(TEXT).json()["cache_hit"] is True
    one.redis.pause()
    answer, first = timed(one, TEXT)
    assert answer.status == 200 and answer.json()["cache_hit"] is False
    assert first < 0.5    # the bounded wait of 100 ms, on a busy machine
    times = sorted(timed(one, TEXT)[1] for _ in range(40))
    assert times[len(times) // 2] < 0.05 and times[-1] < first + 0.2
    one.redis.resume()
    began = time.monotonic()
    wait_until(lambda: one.process(TEXT).json()["cache_hit"], "the cache", timeout=2)
    assert time.monotonic() - began < 2


def test_an_idle_worker_finds_the_way_back_by_itself(site):
    one = site(workers=1)
    one.process(TEXT)
    one.redis.pause()
    one.process(TEXT)
    one.redis.resume()
    time.sleep(2)    # nothing but time must pass: no request may be needed for the way back
    assert one.process(TEXT).json()["cache_hit"] is True


def test_a_restarted_redis_has_no_scripts_and_gets_them(site):
    one = site(settings={"limit.minute": 0, "limit.hour": 4})
    one.process(TEXT)
    one.redis.call("SCRIPT", "FLUSH")
    assert one.process(TEXT).json()["cache_hit"] is True
    assert one.http.get("/v1/auth/status").json()["limits"]["hour"]["remaining"] == 2


def test_redis_dies_and_is_started_again(site):
    one = site(workers=2, settings={"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0})
    one.process(TEXT)
    one.redis.kill()
    assert all(one.process(TEXT).status == 200 for _ in range(10))
    one.redis.start()
    wait_until(lambda: one.process(TEXT).json()["cache_hit"]
               and one.process(TEXT).json()["cache_hit"], "the cache", timeout=3)


def test_a_read_only_redis_counts_as_away(site):
    one = site(settings={"limit.minute": 0})
    one.redis.call("REPLICAOF", "127.0.0.1", "1")
    assert one.process(TEXT).status == 200
    assert one.http.get("/v1/health").status == 200
    one.redis.call("REPLICAOF", "NO", "ONE")
    one.process(TEXT + " Back.")
    wait_until(lambda: one.process(TEXT + " Back.").json()["cache_hit"], "the cache", timeout=3)


def test_redis_stumbling_under_load_fails_no_request(site):
    one = site(workers=4, settings={"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0})
    statuses, done = [], threading.Event()

    def call():
        while not done.is_set():
            statuses.append(one.process(TEXT).status)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        one.redis.pause()
        time.sleep(0.2)
        one.redis.resume()
        time.sleep(0.2)
    done.set()
    for caller in callers:
        caller.join()
    assert len(statuses) > 20 and set(statuses) == {200}


def test_usage_counted_while_redis_was_away_is_written_later(site):
    one = site(workers=1, settings={"limit.minute": 0})
    one.process(TEXT)
    one.redis.pause()
    for _ in range(3):
        one.process(TEXT)
    one.redis.resume()

    def requests():
        total = 0
        for key in one.redis.keys("tm:usage:*"):
            fields = one.redis.call("HGETALL", key)
            total += sum(int(value) for name, value in zip(fields[::2], fields[1::2])
                         if name.endswith(b":requests"))
        return total

    wait_until(lambda: requests() == 4, "the usage of all four requests", timeout=4)
