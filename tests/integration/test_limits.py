"""Limits are exact: decided and counted in one step, whoever asks and however many at once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

from lib import fcgi
from lib.llm import Step
from lib.site import ADMIN_KEY, USER_KEY

TEXT = "Fifty passed the gate and the fifty-first was told to come back in a little while."


def parse(header):
    """'"minute";r=59;t=1,"hour";r=99;t=36' -> {"minute": {"r": 59, "t": 1}, ...}"""
    policies = {}
    for part in header.split(","):
        name, *values = part.strip().split(";")
        policies[name.strip('"')] = {k: int(v) for k, v in (value.split("=") for value in values)}
    return policies


def test_200_at_once_over_16_workers_pass_exactly_50(site):
    one = site(workers=16, settings={"limit.minute": 0, "limit.hour": 50, "redis.timeout": "2s"})
    with ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(lambda _: one.process(TEXT), range(200)))
    passed = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert (len(passed), len(refused)) == (50, 150)
    for answer in refused:
        assert answer.json()["code"] == "rate_limited"
        assert 1 <= int(answer.headers["Retry-After"]) == answer.json()["retry_after"] <= 72
    lowest = min(parse(answer.headers["RateLimit"])["hour"]["r"] for answer in passed)
    assert lowest == 0


def test_retry_after_is_true(site):
    one = site(settings={"limit.minute": 60, "limit.hour": 0})
    for _ in range(60):
        one.process(TEXT)
    answer = one.process(TEXT)
    while answer.status == 200:    # a bucket of 60 a minute refills while we ask
        answer = one.process(TEXT)
    assert answer.status == 429
    time.sleep(int(answer.headers["Retry-After"]))
    assert one.process(TEXT).status == 200


def test_headers_tell_all_policies_and_the_tightest(site):
    one = site(settings={"limit.minute": 60, "limit.hour": 100})
    answer = one.process(TEXT)
    assert answer.headers["RateLimit-Policy"] == '"minute";q=60;w=60,"hour";q=100;w=3600'
    left = parse(answer.headers["RateLimit"])
    assert left["minute"]["r"] == 59 and left["hour"]["r"] == 99
    assert left["minute"]["t"] == 1 and left["hour"]["t"] == 36
    assert answer.headers["X-RateLimit-Limit"] == "60"
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    assert abs(int(answer.headers["X-RateLimit-Reset"]) - time.time()) < 5


def test_a_refused_request_spends_nothing(site):
    one = site(settings={"limit.minute": 0, "limit.hour": 5, "limit.llm_hour": 2})
    for n in range(2):
        assert one.process(f"{TEXT} {n}").status == 200
    for n in range(4):
        refused = one.process(f"{TEXT} miss {n}")
        assert refused.status == 429 and refused.json()["code"] == "quota_exceeded"
        assert int(refused.headers["Retry-After"]) > 1000
    limits = one.http.get("/v1/auth/status").json()["limits"]
    assert limits["hour"]["remaining"] == 3 and limits["llm_hour"]["remaining"] == 0


def test_a_hit_spends_a_request_but_no_llm_call(site):
    one = site(settings={"limit.minute": 0, "limit.hour": 10, "limit.llm_hour": 1})
    assert one.process(TEXT).status == 200
    for _ in range(3):
        assert one.process(TEXT).json()["cache_hit"] is True
    limits = one.http.get("/v1/auth/status").json()["limits"]
    assert limits["hour"]["remaining"] == 6 and limits["llm_hour"]["remaining"] == 0


def test_reading_and_invalid_requests_cost_nothing(site):
    one = site(settings={"limit.minute": 2})
    for _ in range(5):
        assert one.http.get("/v1/operations").status == 200
        assert one.process("short").status == 422
    assert one.process(TEXT).status == 200


def test_keys_are_counted_apart(site):
    one = site(settings={"limit.minute": 1})
    assert one.process(TEXT).status == 200
    assert one.process(TEXT).status == 429
    assert one.process(TEXT, http=one.http.with_key(ADMIN_KEY)).status == 200


def test_llm_calls_at_once_do_not_oversell_the_quota(site):
    one = site(workers=8, settings={"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 5})
    one.llm.always = Step(delay=0.05)
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: one.process(f"{TEXT} {n}").status, range(20)))
    assert sorted(answers) == [200] * 5 + [429] * 15
    assert one.llm.count == 5


def test_a_location_can_have_its_own_limits(site):
    one = site(server=None, settings={"limit.minute": 60})
    body = json.dumps({"text": TEXT, "operation": "summarize"}).encode()
    answers = [fcgi.request(one.pool.socket_path, "POST", "/v1/process", body,
                            HTTP_X_API_KEY=USER_KEY,
                            TEXTMILL_LIMIT_MINUTE="1") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    spoofed = fcgi.request(one.pool.socket_path, "POST", "/v1/process", body,
                           HTTP_X_API_KEY=ADMIN_KEY,
                           HTTP_TEXTMILL_LIMIT_MINUTE="100000")
    assert spoofed.status == 200
    assert '"minute";q=60;' in spoofed.headers["ratelimit-policy"]
