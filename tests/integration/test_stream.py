"""Answers as they are said: through every web server, as soon as the provider says them."""

import socket
import statistics
import struct
import threading
import time

import pytest

from lib.llm import Step
from lib.proc import wait_until
from lib.site import FREE, PROVIDER_KEY, SERVERS
from lib.sse import EventStream, text_of

TEXT = "She told the story slowly, and they heard each word of it before she had found the next."
STREAMING = [name for name in SERVERS if name != "cgi"]
KINDS = ("openai", "anthropic", "gemini")
PIECES = ["Slowly ", "she told ", "the story, ", "é, ", "🦊, ", "\n\t\"quoted\" ", "to its end."]


def stream(site, text=TEXT, operation="summarize", headers=None, **more):
    return EventStream(site.http, "/v1/process",
                       {"text": text, "operation": operation, **more}, headers)


def events_of(site, *args, **how):
    """All events of a stream that is one."""
    with stream(site, *args, **how) as opened:
        assert opened.status == 200 and opened.type == "text/event-stream", opened.body()
        return list(opened)


def reset(opened):
    """The client goes away without a word more."""
    opened.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()
    opened.socket.close()


def assert_problem(event, status, code):
    assert event.name == "error", event
    assert (event.json["status"], event.json["code"]) == (status, code)
    assert event.json["title"] and event.json["detail"] and event.json["request_id"]


@pytest.mark.parametrize("server", STREAMING)
def test_each_delta_is_with_the_client_before_the_next_is_said(site, server):
    one = site(server=server, settings=FREE)
    gate = threading.Semaphore(0)
    one.llm.script(Step(pieces=PIECES, gate=gate))
    gate.release()    # Apache sends no headers before there is something behind them
    with stream(one) as opened:
        assert opened.status == 200 and opened.type == "text/event-stream"
        assert opened.headers["Content-Length"] is None
        assert opened.headers["Cache-Control"] == "no-store"
        assert opened.headers["X-Request-ID"]
        for piece in PIECES:
            event = opened.next()
            assert (event.name, event.json) == ("delta", {"text": piece})
            gate.release()
        result = opened.next()
        assert result.name == "result" and opened.next() is None
    assert result.json["result"] == "".join(PIECES)
    assert one.llm.count == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_provider_streams(site, llm, kind):
    server = llm()
    one = site(llm=server, settings=FREE, providers={"main": {
        "kind": kind, "url": server.url if kind == "openai" else server.root, "model": "m",
        "key": PROVIDER_KEY, "price_input": "1", "price_output": "1"}})
    server.script(Step(pieces=PIECES, usage=(300, 70)))
    events = events_of(one)
    assert [event.name for event in events] == ["delta"] * len(PIECES) + ["result"]
    assert text_of(events) == "".join(PIECES) == events[-1].json["result"]
    metadata = events[-1].json["metadata"]
    assert (metadata["usage"]["input_tokens"], metadata["usage"]["output_tokens"]) == (300, 70)
    assert metadata["usage"]["cost"] == pytest.approx(370 / 1e6)
    assert metadata["provider"] == "main" and metadata["attempts"] == 1
    server.script(Step(pieces=PIECES, drip=20000))    # and in any bytes
    assert text_of(events_of(one, TEXT + " Drop by drop.")) == "".join(PIECES)


@pytest.mark.parametrize("operation", ["summarize", "sentiment", "key_points", "questions", "qa"])
def test_the_result_is_the_unstreamed_answer(site, operation):
    one = site(settings=FREE)
    more = {"question": "Who told it?"} if operation == "qa" else {}
    more["user_metadata"] = {"of": "mine"}
    events = events_of(one, TEXT, operation, **more)
    result = events[-1].json
    whole = one.process(TEXT, operation, headers={"Cache-Control": "no-cache"}, **more).json()
    assert one.llm.count == 2 and list(result) == list(whole)
    assert list(result["metadata"]) == list(whole["metadata"])
    assert result["metadata"]["user"] == {"of": "mine"} and result["cache_hit"] is False
    assert len(events) > 2 and all(event.name == "delta" for event in events[:-1])
    answers = ("result", "sentiment", "key_points", "questions")
    assert [type(result[name]) for name in answers] == [type(whole[name]) for name in answers]


def test_a_streamed_answer_is_stored_and_a_stored_one_is_one_result(site):
    one = site(settings=FREE)
    first = events_of(one)[-1].json
    whole = one.process(TEXT).json()
    again = events_of(one)
    assert one.llm.count == 1
    assert [event.name for event in again] == ["result"]
    for hit in (whole, again[0].json):
        assert hit["cache_hit"] is True and hit["result"] == first["result"]
        assert hit["metadata"]["cached_at"]


def test_what_does_not_stream_comes_as_one_delta(site):
    one = site(settings=FREE)
    one.llm.script(Step(whole=True, text="All at once."))
    events = events_of(one)
    assert [event.name for event in events] == ["delta", "result"]
    assert text_of(events) == events[-1].json["result"] == "All at once."


@pytest.mark.parametrize("step, status, code", [
    (Step(status=401), 502, "llm_error"),
    (Step(status=503, headers={"Retry-After": "3600"}), 503, "llm_unavailable"),
])
def test_an_error_before_the_first_delta_is_an_ordinary_response(site, step, status, code):
    one = site(settings=FREE)
    one.llm.script(step)
    with stream(one) as opened:
        assert opened.status == status and opened.type == "application/problem+json"
        assert opened.headers["Content-Length"] is not None
        assert code.encode() in opened.body()


def test_a_bad_request_is_an_ordinary_response(site):
    one = site(settings=FREE)
    with stream(one, "short") as opened:
        assert opened.status == 422 and opened.type == "application/problem+json"


def test_trouble_before_the_first_delta_is_tried_again(site):
    one = site(settings=FREE)
    soon = {"retry-after-ms": "5"}
    one.llm.script(Step(status=503, headers=soon), Step(error_after=0), Step(pieces=PIECES))
    events = events_of(one)
    assert text_of(events) == "".join(PIECES)
    assert events[-1].json["metadata"]["attempts"] == one.llm.count == 3


@pytest.mark.parametrize("server", STREAMING)
def test_an_error_after_the_first_delta_is_an_event(site, server):
    one = site(server=server, settings=FREE)
    one.llm.script(Step(pieces=PIECES, error_after=2))
    events = events_of(one)
    assert text_of(events) == "".join(PIECES[:2]) and len(events) == 3
    assert_problem(events[-1], 503, "llm_unavailable")
    assert one.llm.count == 1, "asked again after the first delta"
    assert one.redis.keys("tm:cache:*") == []
    wait_until(lambda: "503 llm_unavailable" in one.log, "the log's line")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_breaks_ends_with_an_error(site, llm, kind):
    server = llm()
    one = site(llm=server, settings=FREE, providers={"main": {
        "kind": kind, "url": server.url if kind == "openai" else server.root, "model": "m",
        "key": PROVIDER_KEY}})
    for number, (step, status) in enumerate((
            (Step(pieces=PIECES, cut_after=2), 503), (Step(pieces=PIECES, error_after=3), 503),
            (Step(pieces=PIECES, cut_after=len(PIECES)), 503),
            (Step(pieces=PIECES, finish="length"), 502))):
        server.script(step)
        events = events_of(one, f"{TEXT} {number}")
        assert events[-1].name == "error" and events[-1].json["status"] == status, number
        assert server.count == number + 1
    assert one.redis.keys("tm:cache:*") == []


def test_a_stream_that_stops_ends_at_the_deadline(site):
    one = site(settings={**FREE, "llm.deadline": "700ms"})
    gate = threading.Semaphore(2)
    one.llm.script(Step(pieces=PIECES, gate=gate))
    events = events_of(one)
    assert text_of(events) == "".join(PIECES[:2])
    assert_problem(events[-1], 504, "deadline_exceeded")


def test_a_comment_keeps_a_silent_stream_alive(site):
    """Under every server; at once, because it takes its time."""
    gates = []

    def opened(server):
        one = site(server=server, settings=FREE)
        gates.append(threading.Semaphore(1))
        one.llm.script(Step(pieces=PIECES, gate=gates[-1]))
        return stream(one)
    streams = [opened(server) for server in STREAMING]
    began = [one.next().at for one in streams]
    time.sleep(max(began) + 11.5 - time.monotonic())
    for gate, one in zip(gates, streams):
        gate.release(100)
        with one:
            assert text_of(list(one)) == "".join(PIECES[1:])
        assert len(one.comments) == 1


def test_a_client_that_leaves_takes_its_upstream_call_along(site):
    one = site(workers=1, settings=FREE)
    one.llm.script(Step(pieces=PIECES, gate=threading.Semaphore(1)))
    opened = stream(one)
    assert opened.next().name == "delta"
    left_at = time.monotonic()
    reset(opened)
    assert one.llm.await_gone(one.llm.requests[0]) - left_at < 0.1
    wait_until(lambda: " 499" in one.log or "left" in one.log, "the log's line")
    assert one.process(TEXT).status == 200 and one.llm.count == 2    # the only worker is free


@pytest.mark.parametrize("server", STREAMING)
def test_a_client_that_leaves_costs_the_worker_nothing(site, server):
    one = site(server=server, workers=1, settings=FREE)
    for number in range(3):
        one.llm.script(Step(pieces=PIECES, pause=0.05))
        opened = stream(one, f"{TEXT} {number}")
        assert opened.next().name == "delta"
        reset(opened)
        one.llm.await_idle()
    assert one.process(TEXT).status == 200
    if one.pool:
        assert len(one.pool.workers()) == 1


def test_a_leader_whose_client_leaves_streams_on_for_its_follower(site):
    one = site(workers=2, settings=FREE)
    gate = threading.Semaphore(1)
    one.llm.script(Step(pieces=PIECES, gate=gate))
    leader = stream(one)
    assert leader.next().name == "delta"
    answers = []
    follower = threading.Thread(target=lambda: answers.append(events_of(one)))
    follower.start()
    flight = "tm:flight:*"
    wait_until(lambda: one.redis.call("HGET", one.redis.keys(flight)[0], "waiting"), "follower")
    reset(leader)
    time.sleep(0.3)
    gate.release(100)
    follower.join()
    assert [event.name for event in answers[0]] == ["result"]
    assert answers[0][0].json["result"] == "".join(PIECES) and one.llm.count == 1


@pytest.mark.parametrize("accept, type_", [
    ("text/event-stream", "text/event-stream"),
    ("application/json, text/event-stream", "text/event-stream"),
    ("TEXT/Event-Stream;q=0.5", "text/event-stream"),
    ("application/json;q=0.5, text/event-stream", "text/event-stream"),
    ("application/json, text/event-stream;q=0.1", "application/json"),
    ("application/json", "application/json"), ("*/*", "application/json"),
    ("text/event-stream;q=0, */*", "application/json"),
    ("text/html, application/json;q=0.1", "application/json"),
])
def test_what_accept_says_is_what_comes(site, accept, type_):
    answer = site(settings=FREE).process(TEXT, headers={"Accept": accept})
    assert answer.status == 200 and answer.type == type_


@pytest.mark.parametrize("accept", ["text/event-stream;q=0", "text/html", "text/*"])
def test_what_cannot_come_is_a_406(site, accept):
    answer = site(settings=FREE).process(TEXT, headers={"Accept": accept})
    assert answer.status == 406 and answer.type == "application/problem+json"


def test_head_and_get_of_the_route_are_refused_as_ever(site):
    one = site(settings=FREE)
    for method in ("HEAD", "GET"):
        answer = one.http.request(method, "/v1/process", headers={"Accept": "text/event-stream"})
        assert answer.status == 405 and "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("server", STREAMING)
def test_deltas_take_no_detour(site, server, capsys):
    """Time from the provider's socket to the client's. The bound is for a loaded machine."""
    one = site(server=server, settings=FREE)
    first, later = [], []
    for number in range(15):
        one.llm.script(Step(pieces=["One, ", "two, ", "three."], first_pause=0.02, pause=0.01))
        events = events_of(one, f"{TEXT} {number}")
        sent = one.llm.requests[-1].sent
        added = [event.at - at for event, at in zip(events, sent)]
        first.append(1000 * added[0])
        later += [1000 * more for more in added[1:]]
    with capsys.disabled():
        print(f"\n{server}: first delta +{statistics.median(first):.2f} ms, "
              f"later +{statistics.median(later):.2f} ms")
    assert statistics.median(first) < 50 and statistics.median(later) < 50
