"""Equal requests in flight anywhere make one LLM call, whatever becomes of who makes it."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.http import Client
from lib.llm import Step
from lib.proc import holder_of, wait_until
from lib.site import ADMIN_KEY, FREE

TEXT = "Sixty-four asked the same at once, and one of them was sent to find out for them all."
LOCK_S = 3    # a dead leader's lock lapses after this


class Crowd:
    """Equal requests at once: Crowd(site.process, n).answers() once they are all back."""

    def __init__(self, ask, count):
        self._pool = ThreadPoolExecutor(count)
        self.futures = [self._pool.submit(ask) for _ in range(count)]

    def answers(self):
        found = [future.result() for future in self.futures]
        self._pool.shutdown()
        return found


def collapsed(answer):
    return "collapsed" in answer.headers["Cache-Status"]


def leader_of(site):
    """The worker that makes the first LLM call."""
    return holder_of(site.pool.workers(), site.llm.requests[0].port)


def await_followers(site):
    """Waits until a request follows the leader."""
    def waiting():
        flights = site.redis.keys("tm:flight:*")
        return flights and site.redis.call("HGET", flights[0], "waiting")
    wait_until(waiting, "a follower")


def leave_early(site, text=TEXT):
    """A client that has sent its request and can close its connection."""
    body = b'{"text": "%s", "operation": "summarize"}' % text.encode()
    connection = site.http.connect()
    connection.sendall(site.http.head_of("POST", "/v1/process", {
        "Authorization": f"Bearer {site.http.key}", "Content-Type": "application/json",
        "Content-Length": len(body)}) + body)
    return connection


def test_64_equal_requests_over_32_workers_make_one_call(site):
    one = site(workers=32, settings=FREE)
    one.pool.await_workers(32)
    one.llm.always = Step(delay=1)
    answers = Crowd(lambda: one.process(TEXT), 64).answers()
    assert [answer.status for answer in answers] == [200] * 64
    assert one.llm.count == 1
    assert len({answer.json()["result"] for answer in answers}) == 1
    assert sum(collapsed(answer) for answer in answers) == 63
    leader, = [answer for answer in answers if not collapsed(answer)]
    assert leader.headers["Cache-Status"] == "textmill; fwd=miss; stored"
    attempts = [answer.json()["metadata"]["attempts"] for answer in answers]
    assert sorted(attempts) == [0] * 63 + [1]
    tokens = sum(answer.json()["metadata"]["usage"]["output_tokens"] for answer in answers)
    assert tokens == leader.json()["metadata"]["usage"]["output_tokens"] > 0
    assert one.process(TEXT).json()["cache_hit"] is True


def test_requests_of_two_hosts_collapse(site):
    one = site(settings=FREE)
    two = site(settings={**FREE, "redis.url": one.redis.url}, redis=False, llm=one.llm)
    one.llm.always = Step(delay=0.5)
    crowds = [Crowd(lambda: one.process(TEXT), 2), Crowd(lambda: two.process(TEXT), 2)]
    answers = [answer for crowd in crowds for answer in crowd.answers()]
    assert [answer.status for answer in answers] == [200] * 4 and one.llm.count == 1
    assert sum(collapsed(answer) for answer in answers) == 3


def test_a_killed_leader_is_replaced_and_nobody_notices(site):
    """Its own client does not either: nginx sends the request to another worker."""
    one = site(workers=32, settings=FREE)
    one.pool.await_workers(32)
    one.llm.script(Step(silent=True))
    crowd = Crowd(lambda: one.process(TEXT), 64)
    one.llm.await_requests(1)
    await_followers(one)
    killed_at = time.monotonic()
    os.kill(leader_of(one), signal.SIGKILL)
    answers = crowd.answers()
    assert [answer.status for answer in answers] == [200] * 64
    assert one.llm.count == 2
    assert len({answer.json()["result"] for answer in answers}) == 1
    assert sum(collapsed(answer) for answer in answers) == 63
    assert one.llm.requests[1].at - killed_at < LOCK_S + 1


def test_a_killed_leader_whose_request_comes_again_is_replaced_at_once(site):
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(silent=True))
    crowd = Crowd(lambda: one.process(TEXT), 2)
    one.llm.await_requests(1)
    await_followers(one)
    killed_at = time.monotonic()
    os.kill(leader_of(one), signal.SIGKILL)
    one.llm.await_requests(2)
    assert one.llm.requests[1].at - killed_at < LOCK_S / 2, "the lock was its own"
    assert [answer.status for answer in crowd.answers()] == [200] * 2 and one.llm.count == 2


def test_a_frozen_leader_is_replaced_and_harmless_when_it_wakes(site):
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(delay=0.5))
    crowd = Crowd(lambda: one.process(TEXT), 4)
    one.llm.await_requests(1)
    await_followers(one)
    frozen = leader_of(one)
    os.kill(frozen, signal.SIGSTOP)
    try:
        one.llm.await_requests(2)    # a follower has taken over
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert [answer.status for answer in crowd.answers()] == [200] * 4 and one.llm.count == 2
    assert one.process(TEXT).json()["cache_hit"] is True


def test_a_stream_that_followed_a_killed_leader_is_answered(site):
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(silent=True))
    leader = Crowd(lambda: one.process(TEXT), 1)
    one.llm.await_requests(1)
    follower = Crowd(lambda: one.process(TEXT, headers={"Accept": "text/event-stream"}), 1)
    await_followers(one)
    os.kill(leader_of(one), signal.SIGKILL)
    assert leader.answers()[0].status == 200 and one.llm.count == 2
    answer, = follower.answers()
    assert answer.status == 200 and answer.text.count("event: result") == 1


def test_followers_get_their_leaders_failure(site):
    one = site(workers=8, settings=FREE)
    one.llm.script(Step(status=401, delay=0.5))
    answers = Crowd(lambda: one.process(TEXT), 8).answers()
    assert [answer.status for answer in answers] == [502] * 8
    assert {answer.json()["code"] for answer in answers} == {"llm_error"}
    assert one.llm.count == 1
    assert one.process(TEXT).status == 200    # a failure is not kept for those who come later


def test_followers_get_their_leaders_retry_after(site):
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(status=503, delay=0.5, headers={"Retry-After": "77"}))
    answers = Crowd(lambda: one.process(TEXT), 4).answers()
    assert [answer.status for answer in answers] == [503] * 4 and one.llm.count == 1
    assert {answer.headers["Retry-After"] for answer in answers} == {"77"}


def test_a_follower_with_less_time_gets_its_504_and_disturbs_nobody(site):
    hasty = 'fastcgi_param TEXTMILL_LLM_DEADLINE $http_x_deadline if_not_empty;'
    one = site(workers=4, settings=FREE, extra=hasty)
    one.llm.script(Step(delay=1.5))
    crowd = Crowd(lambda: one.process(TEXT), 2)
    one.llm.await_requests(1)
    began = time.monotonic()
    late = one.process(TEXT, headers={"X-Deadline": "500ms"})
    took = time.monotonic() - began
    assert late.status == 504 and late.json()["code"] == "deadline_exceeded"
    assert 0.45 <= took < 1.2
    assert [answer.status for answer in crowd.answers()] == [200, 200] and one.llm.count == 1


def test_a_leader_whose_client_leaves_goes_on_for_its_followers(site):
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(delay=1))
    with leave_early(one):
        one.llm.await_requests(1)
        crowd = Crowd(lambda: one.process(TEXT), 2)
        await_followers(one)
    answers = crowd.answers()
    assert [answer.status for answer in answers] == [200, 200]
    assert all(collapsed(answer) for answer in answers)
    assert one.llm.count == 1 and not one.llm.requests[0].gone


def test_a_leader_whose_client_leaves_alone_drops_its_call(site):
    one = site(workers=2, settings=FREE)
    one.llm.script(Step(silent=True))
    with leave_early(one):
        one.llm.await_requests(1)
    left_at = time.monotonic()
    assert one.llm.await_gone(one.llm.requests[0]) - left_at < 0.1
    answer = one.process(TEXT)
    assert answer.status == 200 and not collapsed(answer)    # the lock is free at once
    assert time.monotonic() - left_at < 1 and one.llm.count == 2


def test_a_follower_that_leaves_takes_nothing_along(site):
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(delay=1))
    crowd = Crowd(lambda: one.process(TEXT), 1)
    one.llm.await_requests(1)
    with leave_early(one):
        await_followers(one)
    assert [answer.status for answer in crowd.answers()] == [200]
    assert one.llm.count == 1 and not one.llm.requests[0].gone
    wait_until(lambda: " 499" in one.log, "the log's line about the client that left")


def test_llm_calls_are_charged_once_for_all(site):
    one = site(workers=16, settings={**FREE, "limit.llm_hour": 2})
    one.llm.always = Step(delay=0.5)
    answers = Crowd(lambda: one.process(TEXT), 16).answers()
    assert [answer.status for answer in answers] == [200] * 16 and one.llm.count == 1
    assert one.process(TEXT + " A second call.").status == 200
    refused = one.process(TEXT + " A third call.")
    assert refused.status == 429 and refused.json()["code"] == "quota_exceeded"
    assert one.llm.count == 2


def test_who_has_no_llm_call_left_may_follow(site):
    one = site(workers=8, settings={**FREE, "limit.llm_hour": 1})
    one.llm.always = Step(delay=0.5)
    answers = Crowd(lambda: one.process(TEXT), 8).answers()
    assert [answer.status for answer in answers] == [200] * 8 and one.llm.count == 1


def test_tenants_do_not_share_a_call(site):
    one = site(workers=4, settings=FREE)
    one.llm.always = Step(delay=0.5)
    admin = one.http.with_key(ADMIN_KEY)
    crowds = [Crowd(lambda: one.process(TEXT), 2), Crowd(lambda: one.process(TEXT, http=admin), 2)]
    answers = [answer for crowd in crowds for answer in crowd.answers()]
    assert [answer.status for answer in answers] == [200] * 4
    assert one.llm.count == 2 and sum(collapsed(answer) for answer in answers) == 2


@pytest.mark.parametrize("header", ["no-cache", "no-store"])
def test_a_request_that_must_not_share_asks_alone(site, header):
    one = site(workers=4, settings=FREE)
    one.llm.always = Step(delay=0.5)
    answers = Crowd(lambda: one.process(TEXT, headers={"Cache-Control": header}), 3).answers()
    assert [answer.status for answer in answers] == [200] * 3 and one.llm.count == 3


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_redis_goes_away_in_the_middle_and_everybody_gets_an_answer(site, how):
    one = site(workers=8, settings=FREE)
    one.llm.script(Step(delay=1.5))
    crowd = Crowd(lambda: one.process(TEXT), 8)
    one.llm.await_requests(1)
    await_followers(one)
    getattr(one.redis, how)()
    assert [answer.status for answer in crowd.answers()] == [200] * 8
    assert 2 <= one.llm.count <= 8
    if how == "kill":
        one.redis.start()
    else:
        one.redis.resume()
    wait_until(lambda: one.http.get("/v1/health").json()["components"]["redis"]["status"]
               == "healthy", "Redis' return")


def test_the_call_outlives_the_first_lock(site):
    """A call longer than the lock renews it: nobody takes over from a leader that lives."""
    one = site(workers=4, settings=FREE)
    one.llm.script(Step(delay=LOCK_S + 1.5))
    crowd = Crowd(lambda: one.process(TEXT), 4)
    assert [answer.status for answer in crowd.answers()] == [200] * 4
    assert one.llm.count == 1


def test_streams_and_whole_answers_share_a_call(site):
    one = site(workers=4, settings=FREE)
    gate = threading.Semaphore(0)
    one.llm.script(Step(gate=gate))
    stream = Crowd(lambda: one.process(TEXT, headers={"Accept": "text/event-stream"}), 1)
    one.llm.await_requests(1)
    whole = Crowd(lambda: one.process(TEXT), 1)
    await_followers(one)
    gate.release(100)
    answer, = whole.answers()
    streamed, = stream.answers()
    assert answer.status == 200 and collapsed(answer) and one.llm.count == 1
    assert "event: result" in streamed.text and not collapsed(streamed)
    assert Client(one.http.port, key=one.http.key).get("/v1/health").status == 200
