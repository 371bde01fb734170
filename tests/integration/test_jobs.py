"""Asynchronous batches: accepted, worked on, finished, whatever dies on the way."""

import json
import os
import signal
import subprocess
import time

import pytest

from lib import fcgi
from lib.batches import ASYNC, await_end, item, queue_is_empty, status, submit
from lib.llm import Step
from lib.pool import Jobs
from lib.proc import wait_until
from lib.site import ADMIN_KEY, FREE, SERVERS, USER_KEY

ONE = {**FREE, "pool.job_workers": 1, "jobs.claim_after": "2s"}


def states(found):
    return [one["status"] for one in found["results"]]


def check_completed(found, count):
    """Every item answered, in order, each with its own words."""
    assert found["completed"] == count and found["failed"] == 0, found
    assert [one["request_index"] for one in found["results"]] == list(range(count))
    assert states(found) == ["completed"] * count
    assert all(one["response"]["success"] and one["error"] is None for one in found["results"])


def test_a_batch_is_accepted_and_finished(site):
    one = site(settings=ONE)
    one.llm.always = Step(delay=0.05)
    answer = submit(one, 5, "b.1")
    assert answer.status == 202
    assert answer.headers["Location"] == "/v1/batch_status/b.1"
    assert answer.headers["Preference-Applied"] == "respond-async"
    first = answer.json()
    assert first["batch_id"] == "b.1" and first["status"] in ("pending", "processing")
    assert first["total_requests"] == 5 and first["completed"] == first["failed"] == 0
    assert len(first["results"]) == 5
    seen = set()

    def ended():
        found = status(one, "b.1")
        seen.add((found["status"], found["completed"]))
        return found["status"] == "completed" and found

    found = wait_until(ended, "the end")
    check_completed(found, 5)
    assert {entry for entry in seen if entry[0] == "processing"}, seen
    assert [entry for entry in seen if 0 < entry[1] < 5], "results grew item by item"
    assert one.llm.count == 5 and queue_is_empty(one)
    assert found["results"][0]["response"]["metadata"]["request_id"] == \
        answer.headers["X-Request-ID"]


def test_mount_point_and_old_path_show_in_the_location(site):
    one = site(settings=ONE, mount="/ai")
    answer = one.http.post("/v1/text_processing/batch_process", headers=ASYNC,
                           json={"requests": [item(0)], "batch_id": "x"})
    assert answer.status == 202
    assert answer.headers["Location"] == "/ai/v1/text_processing/batch_status/x"
    assert one.http.get("/v1/text_processing/batch_status/x").status == 200


def test_location_of_a_strange_mount_point_is_a_path_all_the_same(site):
    one = site(server=None, settings=ONE)
    long = "/" + "x" * 2000

    def location(mount):
        body = json.dumps({"requests": [item(0)], "batch_id": f"b{mount[-1]}"}).encode()
        answer = fcgi.request(one.pool.socket_path, "POST", "/v1/batch_process", body,
                              SCRIPT_NAME=mount, HTTP_X_API_KEY=USER_KEY,
                              HTTP_PREFER="respond-async")
        assert answer.status == 202, answer.stdout
        return answer.headers["location"]

    assert location("/a b/50%?é.0") == "/a%20b/50%25%3F%C3%A9.0/v1/batch_status/b0"
    assert location(f"{long}1") == f"{long}1/v1/batch_status/b1"
    # What a client would take for a host, or a web server for too much, is told relative.
    assert location("//evil.example/2") == "batch_status/b2"
    assert location(f"{long * 3}3") == "batch_status/b3"


@pytest.mark.parametrize("server", SERVERS)
def test_who_waits_gets_all_of_it_if_it_is_done_in_time(site, program, server):
    """Without a Location: beside a 200 it would send Apache to look there itself."""
    one = site(server=server, settings={**FREE, "jobs.claim_after": "2s"})
    worker = Jobs(one.dir, program, one.env, one.conf).start()
    try:
        answer = submit(one, 3, headers={"Prefer": "respond-async, wait=10",
                                         "X-Request-ID": "mine"})
    finally:
        worker.stop()
    assert answer.status == 200 and answer.headers["Preference-Applied"] == "wait=10"
    assert answer.headers.get_all("X-Request-ID") == ["mine"] and "Location" not in answer.headers
    check_completed(answer.json(), 3)


def test_who_waits_too_short_is_told_where_to_look(site):
    one = site(settings=ONE)
    one.llm.always = Step(delay=3)
    began = time.monotonic()
    answer = submit(one, 3, "late", headers={"Prefer": "respond-async, wait=1"})
    assert answer.status == 202 and 0.9 < time.monotonic() - began < 2.5
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.json()["status"] == "processing"
    assert answer.headers["Location"] == "/v1/batch_status/late"


def test_an_id_is_one_batch_of_one_user(site):
    one = site(settings=ONE, env={"ADMIN_API_KEY": ADMIN_KEY})
    assert submit(one, 1).status == 202
    again = submit(one, 1)
    assert again.status == 409 and again.json()["code"] == "conflict"
    other = one.http.with_key(ADMIN_KEY)
    assert other.get("/v1/batch_status/a").status == 404
    assert other.delete("/v1/batch_status/a").status == 404
    assert submit(one, 1, http=other).status == 202
    for name in ("unknown", "%7Ba", "x" * 64, "x" * 65):
        assert one.http.get(f"/v1/batch_status/{name}").status == 404
    assert one.http.with_key(None).get("/v1/batch_status/a").status == 401


def test_a_batch_costs_its_items_or_nothing(site):
    one = site(settings={**ONE, "limit.hour": 10, "limit.minute": 0})
    assert submit(one, 6).status == 202
    refused = submit(one, 5, "b")
    assert refused.status == 429 and int(refused.headers["Retry-After"]) > 0
    assert one.http.get("/v1/batch_status/b").status == 404
    taken = submit(one, 4, "a")
    assert taken.status == 409
    last = submit(one, 4, "b")
    assert last.status == 202 and last.headers["X-RateLimit-Remaining"] == "0"
    await_end(one, "b")
    assert one.llm.count == 10, "an item is not charged again when it runs"


def test_invalid_items_fail_alone_and_at_once(site):
    one = site(settings={**ONE, "pool.job_workers": 0})
    answer = submit(one, requests=[item(0), {"text": "x", "operation": "summarize"},
                                   {"text": item(0)["text"], "operation": "qa"}, 7])
    assert answer.status == 202
    found = answer.json()
    assert states(found) == ["pending", "failed", "failed", "failed"]
    assert found["failed"] == 3
    errors = [one_of["error"] for one_of in found["results"][1:]]
    assert [error["status"] for error in errors] == [422, 400, 422]
    assert submit(one, name="b", requests=[7]).json()["status"] == "completed"


def test_failures_of_the_provider_are_those_of_a_single_request(site):
    one = site(settings={**ONE, "fallback.stale": "false"})
    one.llm.script(Step(), Step(status=401), Step())
    submit(one, 3)
    found = await_end(one)
    assert sorted(states(found)) == ["completed", "completed", "failed"]
    failed, = [entry for entry in found["results"] if entry["status"] == "failed"]
    assert failed["error"]["code"] == "llm_error" and failed["error"]["status"] == 502


def test_items_run_under_the_settings_of_their_location(site):
    one = site(settings=ONE, extra="fastcgi_param TEXTMILL_LLM_MODEL another; "
                                   "fastcgi_param TEXTMILL_LIMITS_TEXT_MAX 20000;")
    long = {**item(1), "text": "A text that is longer than any other location takes. " * 250}
    submit(one, requests=[item(0), long])
    check_completed(await_end(one), 2)
    assert [request.json["model"] for request in one.llm.requests] == ["another"] * 2


def test_who_wants_stored_answers_only_pays_for_no_other(site):
    one = site(settings=ONE)
    assert one.process(item(0)["text"]).status == 200
    submit(one, 2, headers={"Cache-Control": "only-if-cached"})
    found = await_end(one)
    assert states(found) == ["completed", "failed"] and one.llm.count == 1
    assert found["results"][1]["error"]["status"] == 504


def test_a_batch_of_long_answers_can_be_read(site):
    one = site(settings={**ONE, "pool.job_workers": 4})
    one.llm.always = lambda request: Step(
        text="A long answer. " * (20000 if "Item 0 " in request.body.decode() else 15000))
    submit(one, 10)
    found = await_end(one, patient=True)
    assert found["completed"] == 9 and found["failed"] == 1
    assert found["results"][0]["error"]["detail"] == "The result is larger than 256 KiB."
    assert len(found["results"][9]["response"]["result"]) > 200000


def test_equal_items_cost_one_call(site):
    one = site(settings={**ONE, "pool.job_workers": 4})
    one.llm.always = Step(delay=0.2)
    submit(one, requests=[item(1)] * 12)
    check_completed(await_end(one), 12)
    assert one.llm.count == 1


def test_a_batch_has_its_share_of_the_workers(site):
    one = site(settings={**ONE, "pool.job_workers": 6, "batch.concurrency": 2})
    one.llm.always = Step(delay=0.15)
    submit(one, 8, "a")
    check_completed(await_end(one, "a"), 8)
    assert one.llm.peak == 2


def test_cancelling(site):
    one = site(settings={**ONE, "pool.job_workers": 2})
    one.llm.always = Step(delay=1.0)
    submit(one, 10)
    one.llm.await_requests(2)
    answer = one.http.delete("/v1/batch_status/a")
    assert answer.status == 200
    found = answer.json()
    assert found["status"] == "cancelled"
    assert states(found).count("processing") == 2 and states(found).count("cancelled") == 8
    wait_until(lambda: "processing" not in states(status(one)), "the end of what ran")
    found = status(one)
    assert found["status"] == "cancelled" and found["completed"] == 2
    assert one.llm.count == 2 and queue_is_empty(one)
    assert one.http.delete("/v1/batch_status/a").json()["status"] == "cancelled"


def test_without_quota_a_batch_waits_and_says_so(site):
    one = site(settings={**ONE, "limit.llm_hour": 3})
    submit(one, 5)
    found = wait_until(lambda: (now := status(one)).get("waiting") and now, "the wait")
    assert found["waiting"] == "llm_quota" and found["waiting_until"] > found["timestamp"]
    assert found["status"] == "processing" and found["completed"] == 3 and found["failed"] == 0
    assert states(found)[3:] == ["pending", "pending"]
    assert one.llm.count == 3
    # The wait is over: as if an hour had passed.
    one.redis.call("HSET", "tm:batch:{%s:a}:state" % user_of(one), "waiting_until", 1)
    one.redis.call("DEL", *one.redis.keys("tm:limit*"))
    for member in one.redis.call("ZRANGE", "tm:jobs:later", 0, -1):
        one.redis.call("ZADD", "tm:jobs:later", 1, member)
    found = await_end(one)
    check_completed(found, 5)
    assert "waiting" not in found


def test_items_that_wait_for_quota_give_no_request_back(site):
    """They were charged with their batch, and will still be done."""
    one = site(settings={**ONE, "limit.minute": 0, "limit.hour": 5, "limit.llm_hour": 1})
    submit(one, 3)
    wait_until(lambda: status(one).get("waiting"), "the wait")
    assert [submit(one, 1, name).status for name in "bcd"] == [202, 202, 429]


def test_while_every_provider_is_out_of_use_a_batch_waits(site):
    one = site(settings={**ONE, "breaker.threshold": 2, "breaker.recovery": "2s",
                         "fallback.stale": "false"})
    one.llm.always = Step(status=503)
    submit(one, requests=[{**item(number), "operation": "sentiment"} for number in range(8)])
    found = wait_until(lambda: (now := status(one)).get("waiting") and now, "the wait", 20)
    assert found["waiting"] == "llm_unavailable"
    one.llm.always = None
    found = await_end(one)
    assert 0 < found["failed"] <= 2 and found["completed"] == 8 - found["failed"]
    assert "waiting" not in found


def user_of(site):
    return site.http.get("/v1/auth/status").json()["user"]


def test_a_killed_job_workers_item_is_taken_over(site):
    one = site(settings={**ONE, "pool.job_workers": 2, "batch.concurrency": 2})
    one.llm.always = Step(delay=1.0)
    wait_until(lambda: len(one.pool.job_workers()) == 2, "job workers")
    submit(one, 4)
    one.llm.await_requests(2)
    for pid in one.pool.job_workers():
        os.kill(pid, signal.SIGKILL)
    one.llm.always = Step()
    check_completed(await_end(one, timeout=20), 4)
    assert one.llm.count <= 4 + 2


def test_an_item_that_outlasts_the_claim_time_is_not_taken_over(site):
    one = site(settings={**ONE, "pool.job_workers": 3})
    one.llm.always = Step(delay=5)
    submit(one, 1)
    check_completed(await_end(one), 1)
    assert one.llm.count == 1


def test_an_item_that_kills_its_workers_fails(site):
    one = site(settings={**ONE, "jobs.deliveries_max": 2})
    one.llm.always = Step(silent=True)
    submit(one, 1)
    for count in (1, 2):
        one.llm.await_requests(count, timeout=20)
        os.kill(one.pool.job_workers()[0], signal.SIGKILL)
    found = await_end(one, timeout=20)
    assert found["failed"] == 1 and found["results"][0]["error"]["code"] == "internal"
    assert "was begun 2 times and never finished" in one.log


def test_a_graceful_stop_finishes_the_item_in_hand(site):
    one = site(settings=ONE)
    one.llm.always = Step(delay=1)
    submit(one, 2)
    one.llm.await_requests(1)
    results = "tm:batch:{%s:a}:results" % user_of(one)
    one.pool.stop()
    assert one.redis.call("HLEN", results) == 1
    one.llm.always = None
    one.pool.start()
    check_completed(await_end(one), 2)
    assert one.llm.count == 2, "nothing ran twice"


def test_the_whole_pool_is_killed(site):
    one = site(settings={**ONE, "pool.job_workers": 2})
    one.llm.always = Step(delay=0.5)
    submit(one, 6)
    one.llm.await_requests(2)
    one.pool.kill()
    one.llm.always = None
    one.pool.start()
    check_completed(await_end(one, timeout=20), 6)
    assert one.llm.count <= 6 + 2


def test_redis_restarts_with_its_log(site):
    one = site(settings={**ONE, "pool.job_workers": 2}, aof=True)
    one.llm.always = Step(delay=1)
    submit(one, 4)
    one.llm.await_requests(2)
    one.redis.kill()
    away = submit(one, 1, "b")
    assert away.status == 503 and away.json()["code"] == "overloaded"
    assert "Retry-After" in away.headers
    assert one.http.get("/v1/batch_status/a").status == 503
    one.llm.await_idle()
    one.llm.always = None
    one.redis.start()
    wait_until(lambda: one.http.get("/v1/batch_status/a").status == 200, "Redis back")
    check_completed(await_end(one, timeout=20), 4)
    assert one.llm.count == 4, "results were kept until Redis was back"


def test_too_much_waiting_is_refused(site):
    one = site(settings={**ONE, "pool.job_workers": 0, "jobs.max_pending": 5, "limit.hour": 8})
    assert submit(one, 4).status == 202
    full = submit(one, 2, "b")
    assert full.status == 503 and full.json()["code"] == "overloaded"
    assert int(full.headers["Retry-After"]) >= 1
    assert submit(one, 1, "c").status == 202
    assert submit(one, 4, "d").status == 429


def test_job_workers_beside_mod_fcgid(site, program):
    one = site(server="mod_fcgid", settings={**FREE, "jobs.claim_after": "2s"})
    workers = [Jobs(one.dir, program, one.env, one.conf).start() for _ in range(2)]
    try:
        one.llm.always = Step(delay=0.3)
        assert submit(one, 6).status == 202
        one.llm.await_requests(2)
        workers[0].kill()
        workers[0] = Jobs(one.dir, program, one.env, one.conf).start()
        check_completed(await_end(one), 6)
        assert one.llm.count <= 6 + 1
    finally:
        for worker in workers:
            worker.stop()


def test_once_works_until_there_is_nothing_to_do(site, program):
    one = site(settings={**ONE, "pool.job_workers": 0})

    def once():
        return subprocess.run([program, "-c", one.conf, "--jobs", "--once"], env=one.env,
                              capture_output=True, text=True, timeout=30)

    submit(one, 4)
    assert once().returncode == 0
    check_completed(status(one), 4)
    assert once().returncode == 0
    one.redis.kill()
    assert once().returncode == 1 and "Redis is away" in one.log + once().stderr
    one.redis.start()
