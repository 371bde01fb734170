"""A provider in trouble is left alone: by all workers of all hosts, at the same failure, and
asked again by one of them."""

import os
import random
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.llm import Step
from lib.pool import built_program
from lib.proc import holder_of, wait_until
from lib.site import ADMIN_KEY, FREE, PROVIDER_KEY
from lib.sse import EventStream

TEXT = "A provider that is down is not helped by being asked again by everyone who waits for it."
DOWN = Step(status=503, headers={"Retry-After": "3600"})    # no wait within a deadline: one try


def total_ms(answer):
    return float(re.search(r"total;dur=([\d.]+)", answer.headers["Server-Timing"]).group(1))


def fail(site, count, start=0):
    """So many requests, one failed call each; returns the answers."""
    site.llm.always = DOWN
    return [site.process(f"{TEXT} {start + n}") for n in range(count)]


def opened(site):
    """A site whose breaker has just opened."""
    before = site.llm.count
    assert {answer.status for answer in fail(site, 5)} == {503} and site.llm.count == before + 5
    return site


def provider(site, name="openai"):
    """The provider's entry in GET /v1/resilience."""
    answer = site.http.with_key(ADMIN_KEY).get("/v1/resilience")
    assert answer.status == 200, answer.text
    return next(one for one in answer.json()["providers"] if one["name"] == name)


def ctl(site, *words):
    program = os.environ.get("TEXTMILLCTL_BIN") or built_program().parent / "textmillctl"
    return subprocess.run([program, *words], env={"PATH": os.environ["PATH"], **site.env},
                          capture_output=True, text=True, check=False, timeout=20)


@pytest.fixture
def hosts(site):
    """Two pools behind two web servers, as on two hosts, with one Redis and one LLM."""
    def make(**settings):
        one = site(settings={**FREE, **settings})
        two = site(settings={**FREE, "redis.url": one.redis.url, **settings}, redis=False,
                   llm=one.llm)
        return one, two
    return make


def test_it_opens_for_all_hosts_at_the_same_failure(hosts):
    one, two = hosts()
    fail(one, 3)
    assert provider(one)["state"] == provider(two)["state"] == "closed"
    fail(two, 2, start=3)
    assert one.llm.count == 5
    assert provider(one)["state"] == provider(two)["state"] == "open"
    for number, site in enumerate((one, two, one, two)):
        answer = site.process(f"{TEXT} Not asked {number}.")
        assert answer.status == 503 and answer.json()["code"] == "llm_unavailable"
        assert total_ms(answer) < 10, answer.headers["Server-Timing"]
        assert 1 <= int(answer.headers["Retry-After"]) <= 9
    assert one.llm.count == 5    # and nobody was asked


def test_retry_after_of_an_open_breaker_is_true(site):
    one = opened(site(settings={**FREE, "breaker.recovery": "2s"}))
    wait = int(one.process(TEXT).headers["Retry-After"])
    assert 1 <= wait <= 3
    one.llm.always = None
    time.sleep(wait)
    assert one.process(TEXT).status == 200


def test_after_recovery_one_probe_goes_out_and_then_traffic_flows(hosts):
    one, two = hosts(**{"breaker.recovery": "1s", "pool.workers_max": 8})
    opened(one)
    one.llm.always = Step(delay=1)
    wait_until(lambda: provider(one)["retry_after"] == 0, "end of the recovery", 5)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(
            lambda n: (one, two)[n % 2].process(f"{TEXT} Probing {n}."), range(12)))
    assert one.llm.count == 6, "more or less than one probe"
    assert sorted(answer.status for answer in answers) == [200] + [503] * 11
    one.llm.always = None
    assert provider(one)["state"] == provider(two)["state"] == "closed"
    for number, site in enumerate((one, two) * 3):
        assert site.process(f"{TEXT} Flowing {number}.").status == 200
    assert one.llm.count == 12


def test_a_probe_that_fails_opens_it_again(site):
    one = opened(site(settings={**FREE, "breaker.recovery": "500ms"}))
    wait_until(lambda: provider(one)["retry_after"] == 0, "end of the recovery", 5)
    assert one.process(f"{TEXT} Probe.").status == 503 and one.llm.count == 6
    assert provider(one)["state"] == "open" and provider(one)["opens"] == 2
    assert one.process(f"{TEXT} After the probe.").status == 503 and one.llm.count == 6


def test_what_the_request_brought_upon_itself_never_opens_it(site):
    one = site(settings=FREE)
    for status in (400, 401, 403, 404, 413, 422):
        one.llm.script(*[Step(status=status)] * 5)
        for number in range(5):
            assert one.process(f"{TEXT} {status} {number}").status == 502, status
    assert provider(one)["state"] == "closed" and one.llm.count == 30
    assert one.process(TEXT).status == 200


def test_an_answer_in_between_keeps_it_closed(site):
    one = site(settings=FREE)
    for turn in range(3):
        fail(one, 4, start=10 * turn)
        one.llm.always = None
        assert one.process(f"{TEXT} Good {turn}.").status == 200
    assert provider(one)["state"] == "closed"


def test_many_failures_among_answers_open_it_too(site):
    one = site(settings={**FREE, "breaker.min_calls": 20, "breaker.ratio": 50})
    for number in range(20):
        one.llm.always = DOWN if number % 5 else None
        one.process(f"{TEXT} {number}")
        if number < 18:
            assert provider(one)["state"] == "closed", number
    assert provider(one)["state"] == "open" and one.llm.count == 20


def at_once(site, count, **how):
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda n: site.process(f"{TEXT} {n}", **how), range(count)))


def test_a_provider_that_hangs_opens_it(site):
    one = site(workers=8, settings={**FREE, "llm.deadline": "1s"})
    one.llm.always = Step(silent=True)
    assert {answer.status for answer in at_once(one, 5)} == {504}
    assert provider(one)["state"] == "open" and one.llm.count == 5


def test_a_location_in_a_hurry_does_not_open_it_for_others(site):
    hurry = "fastcgi_param TEXTMILL_LLM_DEADLINE $http_x_deadline if_not_empty;"
    one = site(workers=8, settings=FREE, extra=hurry)
    one.llm.always = Step(silent=True)
    answers = at_once(one, 8, headers={"X-Deadline": "300ms"})
    assert {answer.status for answer in answers} == {504} and one.llm.count == 8
    one.llm.always = None
    assert one.process(f"{TEXT} At leisure.").status == 200
    assert provider(one)["state"] == "closed" and provider(one)["failures"] == 0


def test_the_deadline_of_a_batch_does_not_open_it(site):
    one = site(settings={**FREE, "batch.deadline": "1s"})
    one.llm.always = Step(silent=True)
    requests = [{"text": f"{TEXT} {n}", "operation": "summarize"} for n in range(10)]
    answer = one.http.post("/v1/batch_process", json={"requests": requests})
    assert answer.status == 200 and answer.json()["failed"] == 10
    assert one.llm.count >= 5
    one.llm.always = None
    assert one.process(f"{TEXT} Afterwards.").status == 200
    assert provider(one)["failures"] == 0


def test_the_second_provider_is_not_blamed_for_the_first_ones_time(site, llm):
    first, second = llm(), llm()
    one = site(llm=first, settings={**FREE, "llm.deadline": "2s", "breaker.threshold": 1},
               providers={
                   "first": {"url": first.url, "model": "m", "key": PROVIDER_KEY,
                             "timeout": "1800ms"},
                   "second": {"url": second.url, "model": "m", "key": PROVIDER_KEY}})
    first.always = second.always = Step(silent=True)
    assert one.process(TEXT).status == 504
    assert (first.count, second.count) == (1, 1)
    assert provider(one, "first")["state"] == "open"
    assert provider(one, "second")["state"] == "closed"


def test_a_look_of_long_ago_lets_no_call_pass(site, llm):
    """A request that saw the second provider well, and comes to it when it is not."""
    first, second = llm(), llm()
    one = site(llm=first, workers=4, settings={**FREE, "breaker.threshold": 1}, providers={
        "first": {"url": first.url, "model": "m", "key": PROVIDER_KEY, "timeout": "3s"},
        "second": {"url": second.url, "model": "m", "key": PROVIDER_KEY}})
    first.script(Step(silent=True))
    first.always = second.always = DOWN
    answers = []
    early = threading.Thread(target=lambda: answers.append(one.process(f"{TEXT} Early.").status))
    early.start()
    first.await_requests(1)
    assert one.process(TEXT).status == 503 and provider(one, "second")["state"] == "open"
    early.join()
    assert answers == [503] and second.count == 1


def probing(site, count=6):
    """A thread whose request is the probe, the count-th call, and the list that gets its answer."""
    wait_until(lambda: provider(site)["retry_after"] == 0, "end of the recovery", 10)
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(site.process(f"{TEXT} Probe, {count}.")))
    thread.start()
    site.llm.await_requests(count)
    return thread, answers


def test_a_probe_that_hangs_does_not_hold_up_the_next(site):
    """The deadline is 30 s: who waits for the first probe would wait longer than this test."""
    one = opened(site(workers=8, settings={**FREE, "breaker.recovery": "1s"}))
    one.llm.always = Step(silent=True)
    first, _ = probing(one)
    second, answers = probing(one, 7)
    second.join(10)
    assert [answer.status for answer in answers] == [503], "it gave up the second one"
    assert "no sign of life within 4900 ms" in one.log
    one.llm.always = None
    wait_until(lambda: one.process(TEXT).status == 200, "an answer", 10)
    assert first.is_alive() and provider(one)["state"] == "closed"
    one.llm.release()
    first.join()


def test_a_provider_slower_than_a_probes_claim_is_found_again(site):
    one = opened(site(settings={**FREE, "breaker.recovery": "500ms"}))
    one.llm.always = Step(delay=6)
    thread, answers = probing(one)
    thread.join()
    assert answers[0].status == 200 and provider(one)["state"] == "closed"


def test_a_stream_closes_it_with_its_beginning(site):
    one = opened(site(workers=4, settings={**FREE, "breaker.recovery": "1s"}))
    wait_until(lambda: provider(one)["retry_after"] == 0, "end of the recovery", 5)
    gate = threading.Semaphore(0)
    one.llm.script(Step(gate=gate, pieces=["Slow ", "but ", "well."]))
    one.llm.always = None
    with EventStream(one.http, "/v1/process", {"text": TEXT, "operation": "summarize"}) as stream:
        wait_until(lambda: provider(one)["state"] == "closed", "the closing", 5)
        assert one.process(f"{TEXT} Meanwhile.").status == 200
        gate.release(3)
        assert list(stream)[-1].name == "result"
    wait_until(lambda: provider(one)["calls"] == 7, "the stream's count")


@pytest.mark.parametrize("end", [
    Step(status=503, delay=2, headers={"Retry-After": "3600"}), Step(status=400, delay=2)],
    ids=["failed", "neutral"])
def test_what_began_before_the_outage_is_no_probe(site, end):
    """It ends while the probe is out, which alone decides."""
    one = site(workers=8, settings={**FREE, "breaker.recovery": "1s"})
    one.llm.script(end)
    early = threading.Thread(target=one.process, args=(f"{TEXT} Early.",))
    early.start()
    one.llm.await_requests(1)
    fail(one, 5)
    assert provider(one)["state"] == "open"
    one.llm.always = Step(delay=3)
    probe, answers = probing(one, 7)
    early.join()
    assert provider(one)["state"] == "half_open"
    probe.join()
    assert answers[0].status == 200 and provider(one)["state"] == "closed"


def test_a_probe_whose_worker_dies_is_made_again(site):
    one = site(settings={**FREE, "breaker.recovery": "500ms", "llm.deadline": "2s"})
    opened(one)
    wait_until(lambda: provider(one)["retry_after"] == 0, "end of the recovery", 5)
    one.llm.always = Step(silent=True)
    answers = []
    probe = threading.Thread(target=lambda: answers.append(one.process(f"{TEXT} Probe.").status))
    probe.start()
    one.llm.await_requests(6)
    os.kill(holder_of(one.pool.workers(), one.llm.requests[5].port), signal.SIGKILL)
    probe.join()
    one.llm.always = None
    assert answers == [503], "sent again, it finds that the probe is still out"
    refused = one.process(f"{TEXT} Too early.")
    assert refused.status == 503 and one.llm.count == 6
    wait_until(lambda: one.process(f"{TEXT} Later.").status == 200, "the second probe", 10)
    assert one.llm.count == 7
    assert provider(one)["state"] == "closed"


def test_a_probe_whose_client_leaves_is_handed_back(site):
    one = site(settings={**FREE, "breaker.recovery": "500ms"})
    opened(one)
    wait_until(lambda: provider(one)["retry_after"] == 0, "end of the recovery", 5)
    one.llm.always = Step(silent=True)
    body = b'{"text": "%s", "operation": "summarize"}' % TEXT.encode()
    with one.http.connect() as connection:
        connection.sendall(one.http.head_of("POST", "/v1/process", {
            "Authorization": f"Bearer {one.http.key}", "Content-Type": "application/json",
            "Content-Length": len(body)}) + body)
        one.llm.await_requests(6)
    one.llm.await_gone(one.llm.requests[5])
    one.llm.always = None
    wait_until(lambda: one.process(TEXT).status == 200, "the next probe", 2)
    assert one.llm.count == 7


def test_without_redis_each_process_has_its_own(site):
    one = site(workers=1, redis=False, settings=FREE)
    opened(one)
    answer = one.process(f"{TEXT} Not asked.")
    assert answer.status == 503 and one.llm.count == 5
    assert int(answer.headers["Retry-After"]) >= 1
    assert provider(one)["state"] == "open"


def test_without_redis_it_recovers(site):
    one = opened(site(workers=1, redis=False, settings={**FREE, "breaker.recovery": "500ms"}))
    one.llm.always = None
    wait_until(lambda: one.process(TEXT).status == 200, "recovery", 5)
    assert one.llm.count == 6


def test_a_third_of_failures_at_random_leaves_nine_tenths_of_answers(site):
    """Five failures in a row come about in 200 requests, and must not open a breaker that has
    seen most calls succeed: these dice throw them."""
    dice = random.Random(2)
    one = site(settings=FREE)
    one.llm.script(*[Step(status=500, headers={"retry-after-ms": "5"})
                     if dice.random() < 0.3 else Step() for _ in range(600)])
    answers = [one.process(f"{TEXT} {n}").status for n in range(200)]
    assert answers.count(200) > 180 and set(answers) <= {200, 503}, answers.count(200)
    assert one.llm.count < 320


def test_a_provider_that_is_down_costs_little(site):
    """At most 1.2 calls for a request, retries and all."""
    one = site(settings=FREE)
    one.llm.always = Step(status=503, headers={"retry-after-ms": "1"})
    answers = [one.process(f"{TEXT} {n}").status for n in range(50)]
    assert set(answers) == {503}
    assert one.llm.count <= 60, one.llm.count


def test_answers_come_within_10_s_of_the_providers_return(site):
    one = opened(site(settings=FREE))
    one.llm.always = None
    back_at = time.monotonic()
    wait_until(lambda: one.process(TEXT).status == 200, "an answer", 10)
    assert time.monotonic() - back_at < 10


def test_resilience_tells_of_each_provider(site):
    one = site(settings=FREE)
    entry = provider(one)
    assert entry["kind"] == "openai" and entry["state"] == "closed" and entry["retry_after"] == 0
    one.llm.script(Step(status=500, headers={"retry-after-ms": "1"}))
    assert one.process(TEXT).status == 200
    wait_until(lambda: provider(one)["calls"] == 2, "the count of calls")
    entry = provider(one)
    assert (entry["failures"], entry["retries"], entry["opens"]) == (1, 1, 0)
    opened(one)
    entry = provider(one)
    assert entry["state"] == "open" and 1 <= entry["retry_after"] <= 9 and entry["opens"] == 1
    assert (entry["calls"], entry["failures"]) == (7, 6)


def test_resilience_is_the_admins(site):
    one = site()
    assert one.http.get("/v1/resilience").status == 403
    assert one.http.post("/v1/resilience/openai/reset").status == 403
    assert one.http.with_key(None).get("/v1/resilience").status == 401
    admin = one.http.with_key(ADMIN_KEY)
    assert admin.post("/v1/resilience/nobody/reset").status == 404
    assert admin.get("/v1/resilience/openai/reset").status == 405


def test_reset_closes_it_for_all_hosts(hosts):
    one, two = hosts()
    opened(one)
    one.llm.always = None
    answer = two.http.with_key(ADMIN_KEY).post("/v1/resilience/openai/reset")
    assert answer.status == 200 and answer.json() == {"name": "openai", "state": "closed"}
    assert one.process(TEXT).status == 200 and provider(one)["state"] == "closed"


def test_the_command_lists_and_resets(site):
    one = opened(site(settings=FREE))
    one.llm.always = None
    listed = ctl(one, "breaker", "list")
    assert listed.returncode == 0, listed.stderr
    assert re.search(r"^openai\s.*\bopen\b", listed.stdout, re.M), listed.stdout
    reset = ctl(one, "breaker", "reset", "openai")
    assert reset.returncode == 0, reset.stderr
    assert re.search(r"^openai\s.*\bclosed\b", ctl(one, "breaker", "list").stdout, re.M)
    assert one.process(TEXT).status == 200
    assert ctl(one, "breaker", "reset", "nobody").returncode != 0


def test_the_command_says_that_no_provider_is_configured(shared_site):
    listed = ctl(shared_site(server=None, workers=1, llm=False), "breaker", "list")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert "no provider is configured" in listed.stderr


def test_every_change_of_state_is_in_the_log_once(site):
    one = opened(site(settings={**FREE, "breaker.recovery": "500ms"}))
    one.llm.always = None
    wait_until(lambda: one.process(TEXT).status == 200, "recovery", 5)
    for change in ("opens", "half-open", "closes"):
        assert one.log.count(f"provider openai: circuit breaker {change}") == 1


def test_health_tells_of_an_open_breaker(site):
    one = opened(site(settings=FREE))
    health = one.http.get("/v1/health").json()
    assert health["status"] == "degraded" and health["cache_healthy"] is True
    assert health["ai_model_available"] is False and health["resilience_healthy"] is False
    assert health["components"]["llm"]["status"] == "degraded"
    one.http.with_key(ADMIN_KEY).post("/v1/resilience/openai/reset")
    assert one.http.get("/v1/health").json()["status"] == "healthy"
