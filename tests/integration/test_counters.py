"""What is recorded is what happened: each call that the provider saw, each token it counted,
whatever became of the request."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.llm import Step
from lib.proc import wait_until
from lib.site import PROVIDER_KEY
from lib.sse import EventStream

TEXT = "The clerk wrote down every letter that left the house, and every one that came back."
SETTINGS = {"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0, "llm.deadline": "3s",
            "breaker.threshold": 1000, "breaker.min_calls": 100000}
SOON = {"retry-after-ms": "5"}
NEVER = {"Retry-After": "3600"}


def recorded(site):
    """Totals of all usage hashes, by counter."""
    totals = {}
    for key in site.redis.keys("tm:usage:*"):
        flat = site.redis.call("HGETALL", key)
        for field, value in zip(flat[::2], flat[1::2]):
            name = field.decode().rpartition(":")[2]
            totals[name] = totals.get(name, 0) + int(value)
    return totals


def leave(site, text):
    """A client that goes while its call is under way."""
    body = b'{"text": "%s", "operation": "summarize"}' % text.encode()
    before = site.llm.count
    with site.http.connect() as connection:
        connection.sendall(site.http.head_of("POST", "/v1/process", {
            "Authorization": f"Bearer {site.http.key}", "Content-Type": "application/json",
            "Content-Length": len(body)}) + body)
        site.llm.await_requests(before + 1)
    site.llm.await_gone(site.llm.requests[before])


def stream(site, text):
    with EventStream(site.http, "/v1/process", {"text": text, "operation": "summarize"}) as opened:
        return [event.name for event in opened]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_every_call_and_every_token_is_recorded(site, llm, kind):
    server = llm()
    one = site(llm=server, workers=4, settings=SETTINGS, providers={"main": {
        "kind": kind, "url": server.url if kind == "openai" else server.root, "model": "m",
        "key": PROVIDER_KEY}})
    used, requests = [0, 0], 0

    def counted(**how):
        """A step whose tokens must be found again."""
        tokens = (100 + server.count, 10)
        used[0] += tokens[0]
        used[1] += tokens[1]
        return Step(usage=tokens, **how)

    whole = [    # the steps of one request, and its status
        ([counted()], 200), ([Step(status=500, headers=SOON), counted()], 200),
        ([Step(status=401)], 502), ([Step(status=503, headers=NEVER)], 503),
        ([Step(status=429, headers=SOON)] * 3, 503), ([counted(finish="length"),
                                                      counted(finish="length")], 502),
        ([counted(text=" "), counted()], 200), ([Step(cut=10), counted()], 200),
        ([Step(silent=True)], 504),
    ]
    for number, (steps, status) in enumerate(whole):
        server.script(*steps)
        assert one.process(f"{TEXT} {number}").status == status, (number, one.log)
        assert not server.steps, number
        requests += 1
    server.script(Step(silent=True))
    leave(one, f"{TEXT} Leaving.")
    server.script(counted(), Step(error_after=2))
    assert stream(one, f"{TEXT} Streamed.")[-1] == "result"
    assert stream(one, f"{TEXT} Broken.")[-1] == "error"
    server.script(counted(delay=0.5))
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda _: one.process(f"{TEXT} Together."), range(4)))
    assert [answer.status for answer in together] == [200] * 4
    assert one.process(f"{TEXT} Together.").json()["cache_hit"] is True
    requests += 8

    def settled():
        return recorded(one).get("requests") == requests
    wait_until(settled, f"{requests} requests on record: {recorded(one)}")
    totals = recorded(one)
    assert totals["llm_calls"] == server.count
    told = 0 if kind == "openai" else sum(    # what the broken stream said of its prompt
        len(request.body.split()) for request in server.requests if b"Broken." in request.body)
    assert totals["input_tokens"] == used[0] + told
    assert used[1] <= totals["output_tokens"] <= used[1] + 2
    assert totals["hits"] == 1


def test_calls_of_many_workers_add_up(site):
    one = site(workers=8, settings=SETTINGS)
    lock, spent = threading.Lock(), [0]
    one.llm.always = Step(usage=(7, 3))

    def ask(number):
        usage = one.process(f"{TEXT} {number % 40}").json()["metadata"]["usage"]
        with lock:
            spent[0] += usage["input_tokens"]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(ask, range(120)))
    assert one.llm.count == 40 and spent[0] == 40 * 7
    wait_until(lambda: recorded(one).get("requests") == 120, "the record")
    totals = recorded(one)
    assert (totals["llm_calls"], totals["input_tokens"], totals["output_tokens"]) == (40, 280, 120)
