"""Stored answers: one round trip, no second call, nothing shared that must not be."""

import json

import pytest

from lib.llm import Step
from lib.proc import wait_until
from lib.site import ADMIN_KEY

TEXT = "What was asked once need not be asked again, unless the asker says that it must."
NO_LIMITS = {"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0}


@pytest.fixture
def one(site):
    return site(workers=1)


def test_a_second_request_makes_no_call_and_tells_where_it_came_from(one):
    first = one.process(TEXT)
    assert first.headers["Cache-Status"] == "textmill; fwd=miss; stored"
    second = one.process(TEXT)
    assert one.llm.count == 1
    name, ttl = second.headers["Cache-Status"].rsplit("=", 1)
    assert name == "textmill; hit; ttl" and 7190 <= int(ttl) <= 7200
    a, b = first.json(), second.json()
    assert b["cache_hit"] is True and b["result"] == a["result"]
    assert b["metadata"]["cached_at"] and b["metadata"]["attempts"] == 0
    assert b["metadata"]["provider"] == a["metadata"]["provider"]
    assert b["metadata"]["model"] == a["metadata"]["model"]
    assert b["metadata"]["request_id"] != a["metadata"]["request_id"]


def test_a_cached_answer_takes_one_blocking_round_trip(one):
    """One pipeline: the admission script and the entry. What records it goes out afterwards
    and is not waited for."""
    one.process(TEXT)
    one.process(TEXT)
    with one.redis.monitor() as lines:
        assert one.process(TEXT).json()["cache_hit"] is True
        one.http.get("/v1/ready")    # the worker has recorded before it takes this one
    words = [line.split('"')[1].lower() for line in lines if " lua]" not in line]
    recorded = [word for word in words if word in ("hincrby", "expire")]
    assert [word for word in words if word not in recorded] == ["evalsha", "get"], words


def test_equal_requests_written_differently_share_an_entry(one):
    one.process(TEXT)
    one.process(f"  {TEXT}\n")
    one.process(TEXT, options={"max_length": 100})
    one.process(TEXT, options={})
    one.process(TEXT, question=None, user_metadata={"other": 1}, unknown="field")
    assert one.llm.count == 1


def test_different_requests_never_share_an_entry(one):
    one.process("a:b and enough more text")
    one.process("a_b and enough more text")
    one.process("a:b and enough more text", options={"max_length": 101})
    one.process("a:b and enough more text", "key_points")
    one.process("a:b and enough more text", "qa", question="What?")
    one.process("a:b and enough more text", "qa", question="What!")
    assert one.llm.count == 6
    answer = one.process("a:b and enough more text", options={"max_length": "100"})
    assert answer.status == 422 and one.llm.count == 6


def test_tenants_do_not_share_unless_told_to(site):
    apart = site(settings=NO_LIMITS)
    apart.process(TEXT)
    assert apart.process(TEXT, http=apart.http.with_key(ADMIN_KEY)).json()["cache_hit"] is False
    together = site(settings={**NO_LIMITS, "cache.shared": "true"})
    together.process(TEXT)
    assert together.process(TEXT, http=together.http.with_key(ADMIN_KEY)).json()["cache_hit"]


def test_another_model_is_another_entry(site):
    one = site(settings={**NO_LIMITS, "llm.model": "model-a"})
    one.process(TEXT)
    assert one.llm.requests[0].json["model"] == "model-a"
    entry = one.redis.keys("tm:cache:*")
    two = site(settings={**NO_LIMITS, "llm.model": "model-b"})
    two.process(TEXT)
    assert two.redis.keys("tm:cache:*") != entry


def test_a_large_answer_is_cached_like_a_small_one(one):
    said = "Long answers are answers too. " * 3500
    assert len(said) > 100_000
    one.llm.script(Step(text=said))
    first = one.process(TEXT).json()
    second = one.process(TEXT).json()
    assert second["cache_hit"] is True and one.llm.count == 1
    assert first["result"] == second["result"] == said.strip()


def test_ttls_are_the_operations_own_and_entries_outlive_them_for_stale_use(one):
    for operation, ttl in (("summarize", 7200), ("sentiment", 86400), ("key_points", 7200),
                           ("questions", 3600), ("qa", 1800)):
        one.process(TEXT, operation, **({"question": "Why?"} if operation == "qa" else {}))
        hit = one.process(TEXT, operation, **({"question": "Why?"} if operation == "qa" else {}))
        left = int(hit.headers["Cache-Status"].rsplit("=", 1)[1])
        assert ttl - 30 <= left <= ttl, operation
        key, = one.redis.keys(f"tm:cache:{operation}:*")
        assert ttl + 86400 - 30 <= one.redis.call("TTL", key) <= ttl + 86400


def test_an_entry_past_its_ttl_is_asked_for_again(site):
    one = site(settings={"operation summarize": {
        "result": "text", "ttl": "1s", "prompt": "Summarize the text."}})
    one.process(TEXT)
    assert one.process(TEXT).json()["cache_hit"] is True
    wait_until(lambda: not one.process(TEXT).json()["cache_hit"], "the end of the entry")
    assert one.llm.count == 2


def test_cache_control_of_the_request(one):
    one.process(TEXT, headers={"Cache-Control": "no-store"})
    assert one.redis.keys("tm:cache:*") == []
    one.process(TEXT)
    again = one.process(TEXT, headers={"Cache-Control": "no-cache"})
    assert again.json()["cache_hit"] is False and one.llm.count == 3
    assert again.headers["Cache-Status"] == "textmill; fwd=request; stored"
    assert one.process(TEXT, headers={"Cache-Control": "only-if-cached"}).json()["cache_hit"]


def test_a_spoilt_entry_is_a_miss_and_mended(one):
    one.process(TEXT)
    key, = one.redis.keys("tm:cache:*")
    for spoilt in ("", "garbage", "tm1 1 99999999999999 999 1\n{", json.dumps({"result": "evil"})):
        one.redis.call("SET", key, spoilt)
        assert one.process(TEXT).json()["cache_hit"] is False
        assert one.process(TEXT).json()["cache_hit"] is True


def test_without_a_cache_nothing_is_stored(site):
    one = site(settings={"cache.enabled": "false"})
    assert one.process(TEXT).headers["Cache-Status"] == "textmill; fwd=miss"
    assert one.process(TEXT).json()["cache_hit"] is False
    assert one.redis.keys("tm:cache:*") == []
