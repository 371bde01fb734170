"""The LLM stumbles: retries, deadlines, refusals, leaving clients, dying workers."""

import os
import signal
import threading
import time

import pytest

from lib.llm import Step
from lib.proc import holder_of, wait_until
from lib.site import PROVIDER_KEY

TEXT = "The provider is slow, expensive and unreliable; the caller should notice as little as can be."


def soon(status=503):
    return Step(status=status, headers={"retry-after-ms": "5"})


def test_503_503_200_is_a_200(site):
    one = site()
    one.llm.script(soon(), soon())
    answer = one.process(TEXT)
    assert answer.status == 200 and answer.json()["metadata"]["attempts"] == 3
    assert one.llm.count == 3


def test_each_retryable_status_is_tried_again(site):
    one = site(settings={"limit.minute": 0})
    for status in (408, 409, 425, 429, 500, 502, 503, 504, 529):
        before = one.llm.count
        one.llm.script(soon(status))
        assert one.process(f"{TEXT} {status}").status == 200, status
        assert one.llm.count == before + 2, status


def test_a_cut_and_a_garbled_answer_are_tried_again(site):
    one = site()
    one.llm.script(Step(cut=20))
    answer = one.process(TEXT)
    assert answer.status == 200 and one.llm.count == 2
    one.llm.script(Step(body="<html>gateway error</html>"))
    assert one.process(TEXT + " Garbled.").status == 200 and one.llm.count == 4


def test_retry_after_is_honoured(site):
    one = site()
    one.llm.script(Step(status=429, headers={"Retry-After": "1"}))
    assert one.process(TEXT).status == 200
    first, second = one.llm.requests
    assert 0.95 <= second.at - first.at < 3


def test_retry_after_beyond_the_deadline_is_not_waited_for(site):
    one = site()
    one.llm.script(Step(status=503, headers={"Retry-After": "120"}))
    began = time.monotonic()
    answer = one.process(TEXT)
    assert answer.status == 503 and time.monotonic() - began < 2
    assert int(answer.headers["Retry-After"]) == 120


def test_silence_is_a_504_at_the_deadline(site):
    one = site(settings={"llm.deadline": "700ms"})
    one.llm.always = Step(silent=True)
    began = time.monotonic()
    answer = one.process(TEXT)
    took = time.monotonic() - began
    assert answer.status == 504 and answer.json()["code"] == "deadline_exceeded"
    assert 0.65 <= took < 2


def test_an_answer_that_drips_ends_at_the_deadline(site):
    one = site(settings={"llm.deadline": "700ms"})
    one.llm.script(Step(drip=20))
    assert one.process(TEXT).status == 504


def test_a_provider_that_is_away_is_a_503(site):
    one = site(env={"OPENAI_BASE_URL": "http://127.0.0.1:9"}, settings={"llm.deadline": "1500ms"})
    answer = one.process(TEXT)
    assert answer.status == 503 and answer.json()["code"] == "llm_unavailable"
    assert int(answer.headers["Retry-After"]) >= 1


def test_an_answer_of_10_mb_is_a_502_and_the_worker_lives(site):
    one = site(workers=1)
    pid, = one.pool.workers()
    one.llm.script(Step(size=10_000_000))
    assert one.process(TEXT).status == 502
    assert one.process(TEXT).status == 200 and one.pool.workers() == [pid]


def test_the_provider_key_is_sent_upstream_and_nowhere_else(site):
    one = site(settings={"log.level": "debug"})
    one.llm.script(Step(status=401, body={"error": {"message": f"bad key {PROVIDER_KEY}"}}))
    refused = one.process(TEXT)
    assert one.llm.requests[0].headers["Authorization"] == f"Bearer {PROVIDER_KEY}"
    assert PROVIDER_KEY not in refused.text and PROVIDER_KEY not in one.log
    assert TEXT not in one.log


def test_a_client_that_leaves_takes_its_upstream_call_along(site):
    one = site(workers=1)
    one.llm.script(Step(silent=True))
    body = b'{"text": "%s", "operation": "summarize"}' % TEXT.encode()
    head = one.http.head_of("POST", "/v1/process", {
        "Authorization": f"Bearer {one.http.key}", "Content-Type": "application/json",
        "Content-Length": len(body)})
    with one.http.connect() as connection:
        connection.sendall(head + body)
        one.llm.await_requests(1)
    wait_until(lambda: " 499" in one.log, "the log's line about the client that left")
    assert one.process(TEXT + " Next.").status == 200    # the only worker is free again


@pytest.mark.parametrize("server, status", [("nginx", 200), ("apache-proxy", 503)])
def test_a_worker_killed_in_mid_call_costs_at_most_its_one_request(site, server, status):
    """nginx sends it to another worker, Apache does not."""
    one = site(workers=2, server=server)
    pids = one.pool.await_workers(2)
    one.llm.script(Step(silent=True))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(one.process(TEXT).status))
    caller.start()
    one.llm.await_requests(1)
    one.llm.always = None
    busy = holder_of(pids, one.llm.requests[0].port)
    os.kill(busy, signal.SIGKILL)
    caller.join()
    assert answers == [status]
    assert all(one.process(f"{TEXT} {n}").status == 200 for n in range(10))
    left = set(one.pool.await_workers(2))
    assert busy not in left and len(left & set(pids)) == 1
    assert f"{busy}" in one.log and "signal 9" in one.log
