"""When an LLM cannot answer: the next provider, then the answer that is past its time, then the
built-in one. Each says what it is, and none is stored as if it were fresh."""

import pytest

from lib.llm import Step
from lib.proc import wait_until
from lib.site import ADMIN_KEY, FREE, PROVIDER_KEY

TEXT = ("The lighthouse kept its lamp lit through the storm. The keeper slept beside the stairs. "
        "Nobody on the coast forgot that night.")
DOWN = Step(status=503, headers={"Retry-After": "3600"})
BRIEF = {"operation summarize": {    # in the place of the built-in one
    "result": "text", "ttl": "1s", "prompt": "Summarize the text."}}
FAILURES = {
    "down": DOWN, "refusing": Step(status=401), "speechless": Step(body="<html>no</html>"),
    "empty": Step(status=429, error="insufficient_quota"),
}


def pair(first, second, **more):
    return {
        "first": {"kind": "openai", "url": first.url, "model": "big", "key": PROVIDER_KEY, **more},
        "second": {"kind": "anthropic", "url": second.root, "model": "small",
                   "key": PROVIDER_KEY, **more},
    }


@pytest.mark.parametrize("how", sorted(FAILURES))
def test_the_second_provider_answers_for_the_first(site, llm, how):
    first, second = llm(), llm()
    one = site(settings=FREE, providers=pair(first, second))
    first.always = FAILURES[how]
    answer = one.process(TEXT)
    assert answer.status == 200, answer.text
    metadata = answer.json()["metadata"]
    assert (metadata["provider"], metadata["model"]) == ("second", "small")
    assert metadata["degraded"] is False
    assert metadata["attempts"] == first.count + second.count and second.count == 1
    assert one.process(TEXT).json()["cache_hit"] is True    # an LLM's answer is as good as any


def test_an_open_breaker_leads_straight_to_the_second_provider(site, llm):
    first, second = llm(), llm()
    one = site(settings=FREE, providers=pair(first, second))
    first.always = DOWN
    for number in range(8):
        assert one.process(f"{TEXT} {number}").status == 200
    assert first.count == 5 and second.count == 8
    assert one.process(f"{TEXT} Last.").json()["metadata"]["attempts"] == 1


def test_a_silent_first_provider_leaves_time_for_the_second_with_a_timeout_of_its_own(site, llm):
    first, second = llm(), llm()
    providers = pair(first, second)
    providers["first"]["timeout"] = "300ms"
    one = site(settings={**FREE, "llm.deadline": "10s"}, providers=providers)
    first.always = Step(silent=True)
    for _ in range(2):
        answer = one.process(TEXT)
        assert answer.status == 200 and answer.json()["metadata"]["provider"] == "second"


def test_the_order_is_llm_providers(site, llm):
    first, second = llm(), llm()
    one = site(settings={**FREE, "llm.provider": "second, first"}, providers=pair(first, second))
    assert one.process(TEXT).json()["metadata"]["provider"] == "second"
    assert first.count == 0


@pytest.fixture
def stale(site):
    """A site whose entry for TEXT is past its time and whose LLM is down."""
    def make(**settings):
        one = site(settings={**FREE, **BRIEF, **settings})
        fresh = one.process(TEXT).json()
        wait_until(lambda: one.process(TEXT, headers={"Cache-Control": "only-if-cached"}).status
                   == 504, "the end of the entry's time")
        one.llm.always = DOWN
        return one, fresh
    return make


def test_a_stale_answer_stands_in_and_says_so(stale):
    one, fresh = stale()
    key, = one.redis.keys("tm:cache:*")
    entry = one.redis.call("GET", key)
    for turn in range(2):
        answer = one.process(TEXT)
        assert answer.status == 200, turn
        body = answer.json()
        assert body["result"] == fresh["result"]
        assert body["metadata"]["degraded"] is True and body["metadata"]["cached_at"]
        assert body["metadata"]["cached_at"] <= fresh["timestamp"]
        assert int(answer.headers["Cache-Status"].rpartition("ttl=")[2]) <= 0
        assert "stored" not in answer.headers["Cache-Status"]
    assert one.redis.call("GET", key) == entry, "stored as if it were fresh"
    one.llm.always = None
    again = one.process(TEXT).json()
    assert again["metadata"]["degraded"] is False and again["cache_hit"] is False


def test_a_stale_answer_stands_in_while_the_breaker_is_open(stale):
    one, fresh = stale()
    for number in range(5):
        one.process(f"{TEXT} {number}")
    calls = one.llm.count
    body = one.process(TEXT).json()
    assert body["result"] == fresh["result"] and body["metadata"]["degraded"] is True
    assert one.llm.count == calls


def test_no_stale_answer_where_it_is_not_wanted(stale):
    one, _ = stale(**{"fallback.stale": "false"})
    assert one.process(TEXT).status == 503


def test_no_stale_answer_for_who_asked_for_no_cache(stale):
    one, _ = stale()
    assert one.process(TEXT, headers={"Cache-Control": "no-cache"}).status == 503


def test_a_built_in_provider_behind_others_stands_in_and_is_not_stored(site, llm):
    server = llm()
    one = site(llm=server, settings=FREE, providers={
        "main": {"kind": "openai", "url": server.url, "model": "m", "key": PROVIDER_KEY},
        "last": {"kind": "extractive"}})
    server.always = DOWN
    answer = one.process(TEXT)
    assert answer.status == 200 and answer.json()["metadata"]["degraded"] is True
    assert answer.json()["metadata"]["provider"] == "last"
    assert "stored" not in answer.headers["Cache-Status"] and one.redis.keys("tm:cache:*") == []
    server.always = None
    assert one.process(TEXT).json()["metadata"]["provider"] == "main"


@pytest.mark.parametrize("operation", ["summarize", "sentiment", "key_points", "questions", "qa"])
def test_the_extractive_provider_stands_in_for_every_operation(site, operation):
    one = site(settings={**FREE, "fallback.extractive": "true"})
    one.llm.always = DOWN
    more = {"question": "Who kept the lamp lit?"} if operation == "qa" else {}
    answer = one.process(TEXT, operation, **more)
    assert answer.status == 200, answer.text
    body = answer.json()
    assert body["metadata"]["degraded"] is True
    assert body["metadata"]["provider"] == "extractive"
    assert answer.headers["Cache-Status"] == "textmill; fwd=miss"
    assert one.redis.keys("tm:cache:*") == []
    assert body["result"] or body["sentiment"] or body["key_points"] or body["questions"]


def test_a_stale_answer_goes_before_the_extractive_provider(stale):
    one, fresh = stale(**{"fallback.extractive": "true"})
    body = one.process(TEXT).json()
    assert body["result"] == fresh["result"] and body["metadata"]["provider"] == "openai"


def test_fallbacks_are_counted(stale):
    one, _ = stale(**{"fallback.extractive": "true"})
    one.process(TEXT)
    one.process(TEXT + " Nothing is stored for this.")
    admin = one.http.with_key(ADMIN_KEY)
    wait_until(lambda: admin.get("/v1/resilience").json()["fallbacks"]
               == {"stale": 1, "extractive": 1}, "the counts")


def test_nothing_stands_in_unless_configured(site):
    one = site(settings=FREE)
    one.llm.always = DOWN
    answer = one.process(TEXT)
    assert answer.status == 503 and answer.json()["code"] == "llm_unavailable"
    assert int(answer.headers["Retry-After"]) == 3600


def test_a_mistake_of_the_callers_brings_no_fallback(site):
    one = site(settings={**FREE, "fallback.extractive": "true"})
    assert one.process("short").status == 422
    limited = site(settings={**FREE, "limit.llm_hour": 1, "fallback.extractive": "true"})
    assert limited.process(TEXT).status == 200
    assert limited.process(TEXT + " More.").status == 429
