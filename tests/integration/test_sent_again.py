"""A worker dies over a request and nginx sends it to another: the second goes on with what the
first had claimed, and the client sees one answer."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.batches import item, submit
from lib.llm import Step
from lib.proc import holder_of, kill_all
from lib.site import FREE


@pytest.fixture
def one(site):
    return site(workers=3, settings=FREE)


def killed(site, ask, call=1):
    """The answer to ask(), whose worker dies in the middle of so manieth call."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask)
        site.llm.await_requests(call)
        os.kill(holder_of(site.pool.workers(), site.llm.requests[0].port), signal.SIGKILL)
        return answer.result()


def test_a_request_under_an_idempotency_key(one):
    def ask():
        return one.process(headers={"Idempotency-Key": "k-1", "X-Request-ID": "mine"})

    one.llm.script(Step(silent=True))
    answer = killed(one, ask)
    assert answer.status == 200 and "Idempotency-Replayed" not in answer.headers
    assert answer.headers["X-Request-ID"] == "mine" and one.llm.count == 2
    again = ask()
    assert again.body == answer.body and again.headers["Idempotency-Replayed"] == "true"
    assert one.llm.count == 2


def test_a_batch_keeps_its_id_and_what_is_answered(one):
    requests = [item(number) for number in range(6)]
    one.llm.script(*[Step()] * 3, *[Step(silent=True)] * 3)
    answer = killed(one, lambda: one.http.post(
        "/v1/batch_process", json={"requests": requests, "batch_id": "b-1"}), call=6)
    assert answer.status == 200 and answer.json()["completed"] == 6
    attempts = [one["response"]["metadata"]["attempts"] for one in answer.json()["results"]]
    assert sorted(attempts) == [0] * 3 + [1] * 3 and one.llm.count == 6 + 3
    assert one.http.get("/v1/batch_status/b-1").json()["completed"] == 6
    assert one.http.post("/v1/batch_process", json={
        "requests": requests, "batch_id": "b-1"}).status == 409


@pytest.mark.parametrize("name", ["b-1", None])
def test_a_batch_in_the_background_is_accepted_once(site, name):
    """All workers die but the job worker while one waits for the batch's end. It is charged once:
    there is no room for twice."""
    one = site(settings={"limit.minute": 4, "limit.hour": 0, "pool.job_workers": 1})
    one.llm.always = Step(delay=0.5)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: submit(one, 3, name, {"Prefer": "respond-async, wait=20"}))
        one.llm.await_requests(1)
        workers = set(one.pool.workers()) - set(one.pool.job_workers())
        for pid in workers:    # all at once: none of them is to take what another one had
            os.kill(pid, signal.SIGSTOP)
        kill_all(workers)
        found = answer.result()
    assert found.status == 200 and found.json()["completed"] == 3, found.text
    assert one.llm.count == 3 and len(one.redis.keys("tm:batch:*:state")) == 1
