"""A request that is sent again under its Idempotency-Key is answered once, whoever gets it."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.llm import Step
from lib.proc import holder_of, wait_until
from lib.site import ADMIN_KEY, FREE

TEXT = "The mill by the river has ground the corn of the valley for three hundred years."
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
NO_CACHE = {"Cache-Control": "no-store, no-cache"}    # an answer is the LLM's, or a replay


def process(site, headers=None, text=TEXT, http=None, path="/v1/process", **more):
    return (http or site.http).post(path, json={"text": text, "operation": "summarize", **more},
                                    headers={**KEY, **NO_CACHE, **(headers or {})})


def batch(site, headers=None, count=3, **more):
    requests = [{"text": f"{TEXT} {number}", "operation": "summarize"} for number in range(count)]
    return site.http.post("/v1/batch_process", json={"requests": requests, **more},
                          headers={**KEY, **NO_CACHE, **(headers or {})})


def replayed(answer):
    return answer.headers.get("Idempotency-Replayed") == "true"


@pytest.mark.parametrize("ask", [process, batch])
def test_a_repeat_is_replayed(site, ask):
    one = site(settings={"limit.minute": 10, "limit.hour": 0})
    first = ask(one)
    calls = one.llm.count
    again = ask(one)
    assert first.status == again.status == 200 and one.llm.count == calls > 0
    assert again.body == first.body and again.headers["Content-Type"] == first.headers["Content-Type"]
    assert replayed(again) and not replayed(first)
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert "RateLimit" not in again.headers
    key, = one.redis.keys("tm:idem:*")
    assert KEY["Idempotency-Key"] not in key and 86000 < one.redis.call("TTL", key) <= 86400


def test_a_replay_costs_no_request(site):
    one = site(settings={"limit.minute": 2, "limit.hour": 0})
    assert process(one).status == 200
    assert [process(one).status for _ in range(5)] == [200] * 5
    assert process(one, headers={"Idempotency-Key": "another"}).status == 200
    assert process(one, headers={"Idempotency-Key": "third"}).status == 429


@pytest.mark.parametrize("ask, calls", [(process, 1), (batch, 3)])
def test_repeats_on_all_workers_at_once_run_once(site, ask, calls):
    one = site(workers=8, settings=FREE)
    one.pool.await_workers(8)
    one.llm.always = Step(delay=0.8)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(one), range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    assert one.llm.count == calls
    for answer in answers:
        if answer.status == 409:
            assert answer.json()["code"] == "conflict" and answer.headers["Retry-After"] == "1"
    assert replayed(ask(one)) and one.llm.count == calls


def test_a_repeat_on_another_host_is_replayed(site):
    one = site(settings=FREE)
    two = site(settings={**FREE, "redis.url": one.redis.url}, redis=False, llm=one.llm)
    first = process(one)
    assert process(two).body == first.body and one.llm.count == 1


def test_another_body_under_the_key_is_invalid(site):
    one = site(settings=FREE)
    one.llm.always = Step(delay=0.5)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: process(one))
        one.llm.await_requests(1)
        while_running = process(one, text=f"{TEXT} Another.")
        assert first.result().status == 200
    after = process(one, text=f"{TEXT} Another.")
    elsewhere = batch(one)
    for answer in (while_running, after, elsewhere):
        assert answer.status == 422 and answer.json()["code"] == "invalid"
        assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert one.llm.count == 1 and replayed(process(one))


def test_keys_are_each_users_own(site):
    one = site(settings=FREE)
    assert process(one).status == 200
    other = process(one, http=one.http.with_key(ADMIN_KEY), text=f"{TEXT} Another.")
    assert other.status == 200 and not replayed(other) and one.llm.count == 2


def test_old_and_new_paths_are_one_route(site):
    one = site(settings=FREE)
    assert process(one).status == 200
    assert replayed(process(one, path="/v1/text_processing/process"))


@pytest.mark.parametrize("key, status", [
    ("x", 200), ("x" * 255, 200), ('"quoted"', 200), ("x" * 256, 422), ("a b", 422), ("", 422),
    ("ä".encode().decode("latin-1"), 422),
])
def test_the_form_of_a_key(shared_site, key, status):
    answer = process(shared_site(settings=FREE), headers={"Idempotency-Key": key})
    assert answer.status == status
    if status == 422:
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_stream_has_no_key(shared_site):
    one = shared_site(settings=FREE)
    before = one.llm.count
    answer = process(one, headers={"Accept": "text/event-stream", "Idempotency-Key": "stream"})
    assert answer.status == 422 and answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert one.llm.count == before


def test_a_failure_that_may_pass_is_not_kept(site):
    one = site(settings={"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 2})
    one.llm.script(Step(status=400))
    assert process(one).status == 502
    assert not one.redis.keys("tm:idem:*")
    answer = process(one)
    assert answer.status == 200 and not replayed(answer)
    other = {"Idempotency-Key": "over the quota".replace(" ", "-")}
    assert process(one, headers=other).status == 429
    assert process(one, headers=other).status == 429 and len(one.redis.keys("tm:idem:*")) == 1


def test_a_refusal_of_the_body_is_kept(site):
    one = site(settings=FREE)
    first = process(one, text="short")
    again = process(one, text="short")
    assert first.status == again.status == 422 and replayed(again)
    assert again.type == "application/problem+json" and again.body == first.body
    assert process(one).status == 422    # another body


def test_a_large_answer_is_not_kept(site):
    one = site(settings={**FREE, "llm.answer_max": "4m"})
    one.llm.always = Step(text="word " * 250_000)
    assert len(process(one).body) > 1024 * 1024
    assert not one.redis.keys("tm:idem:*")
    again = process(one)
    assert again.status == 200 and not replayed(again) and one.llm.count == 2


def test_without_redis_nothing_is_begun_under_a_key(site):
    one = site(settings=FREE)
    one.redis.stop()
    answer = process(one)
    assert answer.status == 503 and answer.json()["code"] == "overloaded"
    assert int(answer.headers["Retry-After"]) >= 1 and one.llm.count == 0
    assert one.process(TEXT).status == 200    # without a key it need not be known


def test_a_client_that_left_may_ask_again(site):
    one = site(workers=2, settings=FREE)
    one.llm.always = Step(silent=True)
    body = json.dumps({"text": TEXT, "operation": "summarize"}).encode()
    connection = one.http.connect()
    connection.sendall(one.http.head_of("POST", "/v1/process", {
        "Authorization": f"Bearer {one.http.key}", "Content-Type": "application/json",
        "Content-Length": len(body), **KEY}) + body)
    one.llm.await_requests(1)
    connection.close()
    wait_until(lambda: not one.redis.keys("tm:idem:*"), "the key to be free")
    one.llm.always = Step()
    answer = process(one)
    assert answer.status == 200 and not replayed(answer)


@pytest.mark.parametrize("headers, status", [({}, 200), ({"Prefer": "respond-async"}, 202)])
def test_a_batch_whose_key_was_lost_is_the_same_batch(site, headers, status):
    """As where Redis went away in between: the answer was not kept, but the batch is there."""
    one = site(settings={"limit.minute": 5, "limit.hour": 0, "pool.job_workers": 1})
    first = batch(one, headers).json()
    wait_until(lambda: one.llm.count == 3, "the calls")
    one.redis.call("DEL", *one.redis.keys("tm:idem:*"))
    again = batch(one, headers)
    assert again.status == status and not replayed(again), again.text
    assert again.json()["batch_id"] == first["batch_id"]
    assert one.llm.count == 3
    assert batch(one, {**headers, "Idempotency-Key": "another"}, count=2).status == status, \
        "the repeat was not charged"


def test_a_client_that_leaves_while_it_waits_finds_its_batch_again(site):
    one = site(settings={**FREE, "pool.job_workers": 1})
    one.llm.always = Step(silent=True)
    body = json.dumps({"requests": [{"text": TEXT, "operation": "summarize"}]}).encode()
    with one.http.connect() as connection:
        connection.sendall(one.http.head_of("POST", "/v1/batch_process", {
            "Authorization": f"Bearer {one.http.key}", "Content-Type": "application/json",
            "Content-Length": len(body), "Prefer": "respond-async, wait=30", **KEY}) + body)
        one.llm.await_requests(1)
    wait_until(lambda: " 499" in one.log, "the log's line about the client that left")
    again = one.http.post("/v1/batch_process", body=body, headers={
        "Content-Type": "application/json", "Prefer": "respond-async, wait=30", **KEY})
    assert again.status == 202 and replayed(again), again.text
    assert len(one.redis.keys("tm:batch:*:state")) == 1
    one.llm.always = None
    one.llm.release()


def test_a_killed_workers_key_lapses(site):
    """Where the web server does not send the request again. The lock is the request's deadline
    and five seconds long."""
    one = site(server="apache-proxy", settings={**FREE, "llm.deadline": "1s"})
    one.llm.script(Step(silent=True))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: process(one))
        one.llm.await_requests(1)
        key, = one.redis.keys("tm:idem:*")
        assert 5000 < one.redis.call("PTTL", key) <= 6000
        os.kill(holder_of(one.pool.workers(), one.llm.requests[0].port), signal.SIGKILL)
        assert first.result().status == 503
    assert process(one).status == 409
    wait_until(lambda: process(one).status == 200, "the key free again")
    assert one.llm.count == 2
