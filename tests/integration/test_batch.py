"""Many texts in one request: side by side, isolated from one another, each like a single one."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.batches import ASYNC
from lib.llm import Step
from lib.proc import wait_until
from lib.site import ADMIN_KEY, FREE

TEXT = "The mill by the river has ground the corn of the valley for three hundred years."


def items(count, operation="summarize", text=TEXT):
    return [{"text": f"{text} Number {number}.", "operation": operation}
            for number in range(count)]


def post(site, requests, http=None, headers=None, **more):
    return (http or site.http).post("/v1/batch_process", json={"requests": requests, **more},
                                    headers=headers)


def statuses(answer):
    return [result["status"] for result in answer.json()["results"]]


def by_text(words, step, otherwise=None):
    """A step for the questions that hold these words."""
    return lambda request: step if words in request.body.decode() else otherwise or Step()


def test_fifty_items_run_five_at_a_time(site):
    one = site(settings=FREE)
    one.llm.always = Step(delay=0.2)
    started = time.monotonic()
    answer = post(one, items(50), batch_id="fifty")
    took = time.monotonic() - started
    body = answer.json()
    assert answer.status == 200 and answer.type == "application/json"
    assert 2.0 <= took < 4, took
    assert one.llm.count == 50 and one.llm.peak == 5
    assert {name: body[name] for name in (
        "batch_id", "status", "total_requests", "completed", "failed")} == {
            "batch_id": "fifty", "status": "completed", "total_requests": 50, "completed": 50,
            "failed": 0}
    assert 2.0 <= body["total_processing_time"] <= took
    assert [result["request_index"] for result in body["results"]] == list(range(50))
    for result in body["results"]:
        response = result["response"]
        assert result["status"] == "completed" and result["error"] is None
        assert response["metadata"]["attempts"] == 1 and response["cache_hit"] is False
        assert 0.2 <= response["processing_time"] <= body["total_processing_time"]
    times = sorted(result["response"]["processing_time"] for result in body["results"])
    assert times[0] < 1 < times[-1]    # each its own


def test_results_stand_in_request_order(site):
    """The first calls take longest, so they end last."""
    one = site(settings=FREE)
    singles = [one.process(**item).json()["result"] for item in items(8)]
    one.llm.script(*(Step(delay=0.4 - 0.05 * number) for number in range(8)))
    body = post(one, items(8), headers={"Cache-Control": "no-cache"}).json()
    assert [result["response"]["result"] for result in body["results"]] == singles


def test_fifty_equal_items_make_one_call(site):
    one = site(settings=FREE)
    same = {"text": TEXT, "operation": "summarize"}
    requests = [{**same, "user_metadata": {"number": number}} for number in range(50)]
    body = post(one, requests).json()
    assert one.llm.count == 1 and body["completed"] == 50
    metadata = [result["response"]["metadata"] for result in body["results"]]
    assert [data["attempts"] for data in metadata] == [1] + [0] * 49
    assert [data["user"]["number"] for data in metadata] == list(range(50))
    assert sum(data["usage"]["output_tokens"] > 0 for data in metadata) == 1
    assert len({result["response"]["result"] for result in body["results"]}) == 1


def test_an_invalid_a_failing_and_a_slow_item_fail_alone(site):
    one = site(settings={**FREE, "llm.deadline": "1s", "breaker.threshold": 100})
    requests = items(6)
    requests[1]["text"] = "short"
    requests[3]["text"] = f"refused {TEXT}"
    requests[4]["text"] = f"slow {TEXT}"
    requests.append({"text": TEXT, "operation": "qa"})
    requests.append("not an object")
    alone = [one.http.post("/v1/process", json=requests[index]).json() for index in (1, 6, 7)]

    def answer(request):
        question = request.body.decode()
        if "refused" in question:
            return Step(status=400)
        return Step(silent=True) if "slow" in question else Step()

    one.llm.always = answer
    alone.append(one.http.post("/v1/process", json=requests[3]).json())
    got = post(one, requests)
    body = got.json()
    assert got.status == 200 and body["completed"] == 3 and body["failed"] == 5
    assert statuses(got) == ["completed", "failed", "completed", "failed", "failed", "completed",
                             "failed", "failed"]
    errors = [result["error"] for result in body["results"]]
    assert [error and error["code"] for error in errors] == [
        None, "invalid", None, "llm_error", "deadline_exceeded", None, "bad_request", "invalid"]
    assert all(result["response"] is None for result in body["results"] if result["error"])
    for single, index in zip(alone, (1, 6, 7, 3), strict=True):
        assert {**single, "request_id": None} == {**errors[index], "request_id": None}
        assert errors[index]["request_id"] == got.headers["X-Request-ID"]
    assert "3 of 8" not in one.log and "2 of 8 items failed" in one.log


def test_each_call_has_its_own_deadline_from_its_beginning(site):
    """Ten calls one after the other take longer than one may."""
    one = site(settings={**FREE, "llm.deadline": "1s", "batch.concurrency": 1})
    one.llm.always = Step(delay=0.2)
    assert post(one, items(10)).json()["completed"] == 10
    assert one.llm.peak == 1


def test_what_is_not_done_at_the_deadline_has_failed(site):
    one = site(settings={**FREE, "batch.deadline": "1s", "batch.concurrency": 2})
    one.llm.always = Step(delay=0.4)
    started = time.monotonic()
    body = post(one, items(10)).json()
    assert 0.9 < time.monotonic() - started < 3
    assert body["status"] == "completed" and 2 <= body["completed"] <= 4
    assert {result["error"]["code"] for result in body["results"] if result["error"]} == {
        "deadline_exceeded"}
    assert body["completed"] + body["failed"] == 10
    # Nothing is left locked: they can be asked again at once.
    one.llm.always = Step()
    started = time.monotonic()
    assert post(one, items(10)).json()["completed"] == 10
    assert time.monotonic() - started < 1


def test_a_batch_of_hits_takes_one_round_trip_and_no_call(site):
    one = site(settings=FREE)
    assert post(one, items(50)).json()["completed"] == 50
    before = one.llm.count
    with one.redis.monitor() as lines:
        body = post(one, items(50)).json()
    assert one.llm.count == before and body["completed"] == 50
    assert all(result["response"]["cache_hit"] for result in body["results"])
    gets = [line for line in lines if '"GET" "tm:cache' in line]
    claim, = [line for line in lines if '"EVALSHA"' in line]
    assert len(gets) == 50 and '"tm:batch:' in claim
    # Sent in one go: nothing of anybody else comes between, and nothing is asked after them.
    first = lines.index(gets[0])
    assert lines[first:first + 50] == gets
    assert '"SET" "tm:batch:' in lines[first - 1]
    assert float(gets[-1].split()[0]) - float(gets[0].split()[0]) < 0.05


def test_all_misses_start_in_one_round_trip(site):
    one = site(settings={**FREE, "limit.llm_hour": 1000})
    one.process()    # connected, scripts known
    with one.redis.monitor() as lines:
        assert post(one, items(20)).json()["completed"] == 20
    ours = [line for line in lines if " lua]" not in line]
    scripts = [number for number, line in enumerate(ours) if '"EVALSHA"' in line]
    leads = [number for number in scripts if '"2" "tm:flight:' in ours[number]
             and '"stored"' not in ours[number]]
    assert len(leads) == 20
    between = ours[leads[0]:leads[-1] + 1]
    assert len(between) == 39    # a charge between each two leads, and nothing else
    assert len([line for line in ours if '"GET" "tm:cache' in line]) == 20


def test_a_batch_costs_its_items_or_nothing(site):
    one = site(settings={"limit.minute": 10, "limit.hour": 0})
    assert one.process().headers["RateLimit"].startswith('"minute";r=9')
    refused = post(one, items(10), batch_id="again")
    assert refused.status == 429 and refused.json()["code"] == "rate_limited"
    assert int(refused.headers["Retry-After"]) >= 1 and one.llm.count == 1
    invalid = [{"text": "x", "operation": "y"}] * 4
    assert post(one, invalid + items(3)).headers["RateLimit"].startswith('"minute";r=2')
    done = post(one, items(2), batch_id="again")    # the refused one claimed nothing
    assert done.status == 200 and done.headers["RateLimit"].startswith('"minute";r=0')


@pytest.mark.parametrize("headers", [None, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize("limits, words", [
    ({"limit.minute": 10, "limit.hour": 100}, "10 requests per minute"),
    ({"limit.minute": 100, "limit.hour": 12}, "12 requests per hour")], ids=["minute", "hour"])
def test_a_batch_that_never_fits_is_not_told_to_try_again(site, limits, words, headers):
    one = site(settings=limits)
    refused = post(one, items(15), headers=headers)
    assert refused.status == 429 and refused.json()["code"] == "rate_limited"
    assert refused.json()["detail"] == \
        f"A batch of 15 items does not fit into {words}: send fewer items at once."
    assert "Retry-After" not in refused.headers and "retry_after" not in refused.json()
    assert post(one, items(10), headers=headers).status == (202 if headers else 200)


def test_items_beyond_the_llm_quota_fail_alone_and_cost_nothing(site):
    one = site(settings={"limit.minute": 50, "limit.hour": 0, "limit.llm_hour": 3})
    got = post(one, items(5))
    assert statuses(got).count("completed") == 3 == one.llm.count
    errors = [result["error"] for result in got.json()["results"] if result["error"]]
    assert [error["code"] for error in errors] == ["quota_exceeded"] * 2
    assert all(error["status"] == 429 and error["retry_after"] > 0 for error in errors)
    assert one.process(**items(1)[0]).headers["RateLimit"].startswith('"minute";r=46')
    # Their locks are free: who has quota need not wait for them.
    started = time.monotonic()
    other = one.process(**items(5)[4], http=one.http.with_key(ADMIN_KEY))
    assert other.status == 200 and time.monotonic() - started < 1


def test_calls_of_others_are_not_in_the_way_of_items_that_need_one(site):
    """Items that follow a call in flight take none of the hour's."""
    one = site(workers=5, settings={"limit.minute": 20, "limit.hour": 0, "limit.llm_hour": 5})
    one.llm.always = Step(delay=1)
    requests = items(5)
    with ThreadPoolExecutor(3) as pool:
        singles = [pool.submit(one.process, **requests[number]) for number in range(3)]
        one.llm.await_requests(3)
        answer = post(one, requests)
        assert [single.result().status for single in singles] == [200] * 3
    assert answer.json()["completed"] == 5, answer.text
    assert one.llm.count == 5
    assert int(answer.headers["X-RateLimit-Remaining"]) <= 20 - 3 - 5
    assert one.process("One more text is one too many for this hour's calls.").status == 429


@pytest.mark.parametrize("body, status, field", [
    ({}, 422, "requests"),
    ({"requests": {"text": TEXT}}, 422, "requests"),
    ({"requests": []}, 422, "requests"),
    ([], 422, ""),
    ({"requests": items(51)}, 400, None),
    ({"requests": items(1), "batch_id": ""}, 422, "batch_id"),
    ({"requests": items(1), "batch_id": "x" * 65}, 422, "batch_id"),
    ({"requests": items(1), "batch_id": "a b"}, 422, "batch_id"),
    ({"requests": items(1), "batch_id": "a\u0000"}, 422, "batch_id"),
    ({"requests": items(1), "batch_id": 7}, 422, "batch_id"),
    ({"requests": items(1), "batch_id": "."}, 422, "batch_id"),
    ({"requests": items(1), "batch_id": ".."}, 422, "batch_id"),
])
def test_a_batch_that_is_none_is_refused_whole(shared_site, body, status, field):
    one = shared_site(settings=FREE)
    before = one.llm.count
    answer = one.http.post("/v1/batch_process", json=body)
    assert answer.status == status and answer.type == "application/problem+json"
    assert answer.json()["code"] == ("invalid" if status == 422 else "bad_request")
    assert [error["field"] for error in answer.json().get("errors", [])] == (
        [] if field is None else [field])
    assert one.llm.count == before


def test_every_fault_of_the_batch_itself_is_listed(shared_site):
    answer = shared_site(settings=FREE).http.post(
        "/v1/batch_process", json={"requests": 1, "batch_id": "ä"})
    assert [error["field"] for error in answer.json()["errors"]] == ["requests", "batch_id"]


def test_older_clients_reach_it_below_text_processing(shared_site):
    one = shared_site(settings=FREE)
    answer = one.http.post("/v1/text_processing/batch_process", json={"requests": items(1)})
    assert answer.status == 200 and len(answer.json()["batch_id"]) == 32


def test_who_may_not_write_and_who_wants_html_is_refused(shared_site):
    one = shared_site(settings=FREE)
    assert post(one, items(1), http=one.http.with_key(None)).status == 401
    assert post(one, items(1), headers={"Accept": "text/html"}).status == 406


def test_a_batch_id_is_used_once_per_user(site):
    one = site(settings={"limit.minute": 20, "limit.hour": 0})
    assert post(one, items(2), batch_id="mine.1_-").status == 200
    again = post(one, items(2), batch_id="mine.1_-")
    assert again.status == 409 and again.json()["code"] == "conflict"
    assert "mine.1_-" in again.json()["detail"]
    assert post(one, items(2), http=one.http.with_key(ADMIN_KEY), batch_id="mine.1_-").status == 200
    assert post(one, items(1)).headers["RateLimit"].startswith('"minute";r=17')    # 20 - 2 - 1
    key, = [key for key in one.redis.keys("tm:batch:*") if "mine" in key and "admin" not in key]
    assert 86000 < one.redis.call("TTL", key) <= 86400


def test_the_same_batch_id_twice_at_once_runs_once(site):
    one = site(workers=8, settings=FREE)
    one.pool.await_workers(8)
    one.llm.always = Step(delay=0.3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: post(one, items(3), batch_id="race").status, range(8)))
    assert sorted(found) == [200] + [409] * 7 and one.llm.count == 3


def test_the_status_of_a_running_batch_is_true(site):
    one = site(workers=2, settings=FREE)
    one.llm.always = Step(silent=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: post(one, items(3), batch_id="b"))
        one.llm.await_requests(3)
        found = one.http.get("/v1/batch_status/b").json()
        one.llm.always = None
        one.llm.release()
        assert answer.result().status == 200
    assert found["status"] == "processing" and found["total_requests"] == 3
    assert [entry["status"] for entry in found["results"]] == ["processing"] * 3
    assert found["completed"] == found["failed"] == 0 and 0 <= found["total_processing_time"] < 10
    assert one.http.get("/v1/batch_status/b").json() == answer.result().json()


def test_items_follow_equal_requests_in_flight(site):
    """A single request leads; the batch waits for it beside its own calls."""
    one = site(workers=4, settings=FREE)
    one.pool.await_workers(4)
    one.llm.always = by_text("Number 0.", Step(delay=0.8), Step(delay=0.1))
    with ThreadPoolExecutor(2) as pool:
        single = pool.submit(lambda: one.process(**items(1)[0]))
        one.llm.await_requests(1)
        batch = pool.submit(lambda: post(one, items(4)))
        other = pool.submit(lambda: post(one, items(4)))
        answers = [batch.result().json(), other.result().json()]
    assert single.result().status == 200 and one.llm.count == 4
    for body in answers:
        assert body["completed"] == 4
        assert body["results"][0]["response"]["result"] == single.result().json()["result"]
        assert body["results"][0]["response"]["metadata"]["attempts"] == 0


def test_items_are_told_the_failure_of_the_request_they_follow(site):
    one = site(workers=4, settings=FREE)
    one.pool.await_workers(4)
    one.llm.always = Step(status=400, delay=0.6)
    with ThreadPoolExecutor(2) as pool:
        single = pool.submit(lambda: one.process(**items(1)[0]))
        one.llm.await_requests(1)
        body = post(one, items(1)).json()
    assert single.result().status == 502 and one.llm.count == 1
    assert body["results"][0]["error"]["code"] == "llm_error"


def test_a_client_that_leaves_ends_its_calls_and_frees_its_id(site):
    one = site(workers=2, settings=FREE)
    one.llm.always = Step(silent=True)
    body = json.dumps({"requests": items(8), "batch_id": "left"}).encode()
    connection = one.http.connect()
    connection.sendall(one.http.head_of("POST", "/v1/batch_process", {
        "Authorization": f"Bearer {one.http.key}", "Content-Type": "application/json",
        "Content-Length": len(body)}) + body)
    one.llm.await_requests(5)
    connection.close()
    wait_until(lambda: sum(request.gone for request in one.llm.requests) == 5, "the calls' end")
    wait_until(lambda: not one.redis.keys("tm:batch:*"), "the id to be free")
    assert one.llm.count == 5
    one.llm.always = Step()
    started = time.monotonic()
    assert post(one, items(8), batch_id="left").json()["completed"] == 8
    assert time.monotonic() - started < 1    # nothing was left locked


def test_a_call_that_somebody_else_waits_for_outlives_the_batch(site):
    one = site(workers=4, settings=FREE)
    one.pool.await_workers(4)
    one.llm.always = Step(delay=1.5)
    body = json.dumps({"requests": items(3)}).encode()
    connection = one.http.connect()
    connection.sendall(one.http.head_of("POST", "/v1/batch_process", {
        "Authorization": f"Bearer {one.http.key}", "Content-Type": "application/json",
        "Content-Length": len(body)}) + body)
    one.llm.await_requests(3)
    with ThreadPoolExecutor(1) as pool:
        follower = pool.submit(lambda: one.process(**items(2)[1]))
        wait_until(lambda: any(one.redis.call("HGET", key, "waiting")
                               for key in one.redis.keys("tm:flight:*")), "a follower")
        connection.close()
        assert follower.result().status == 200
    assert one.llm.count == 3
    assert sum(request.gone for request in one.llm.requests) == 2


def test_without_redis_no_batch_is_taken(site):
    one = site(settings=FREE)
    one.redis.stop()
    answer = post(one, items(2))
    assert answer.status == 503 and answer.json()["code"] == "overloaded"
    assert int(answer.headers["Retry-After"]) >= 1 and one.llm.count == 0


def test_redis_that_dies_in_the_middle_costs_no_answer(site):
    one = site(settings=FREE)
    one.llm.always = Step(delay=0.6)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: post(one, items(4)))
        one.llm.await_requests(4)
        one.redis.kill()
        assert answer.result().json()["completed"] == 4
    one.redis.start()    # and takes its socket along when it stops


def test_a_stale_answer_stands_in_for_an_item(site):
    one = site(settings={**FREE, "cache.ttl_default": "1s", "breaker.threshold": 100})
    requests = [{"text": TEXT, "operation": "summarize"}]
    assert post(one, requests).json()["completed"] == 1
    key, = one.redis.keys("tm:cache:*")
    head, _, rest = one.redis.call("GET", key).partition(b"\n")
    words = head.split()
    words[2] = words[1]    # fresh until it was stored
    one.redis.call("SET", key, b" ".join(words) + b"\n" + rest, "PX", 60000)
    one.llm.always = Step(status=400)
    response = post(one, requests).json()["results"][0]["response"]
    assert response["metadata"]["degraded"] is True and response["cache_hit"] is True


def test_usage_counts_items_like_single_requests(site):
    one = site(settings=FREE)
    assert post(one, items(3) + items(1)).json()["completed"] == 4
    wait_until(lambda: one.redis.keys("tm:usage:*"), "the record")

    def counted():
        fields = {}
        for key in one.redis.keys("tm:usage:*"):
            flat = [word.decode() for word in one.redis.call("HGETALL", key)]
            for name, value in zip(flat[::2], flat[1::2], strict=True):
                fields[name] = fields.get(name, 0) + int(value)
        return fields

    wait_until(lambda: any("requests" in name and value == 4
                           for name, value in counted().items()), counted)


def test_two_batches_share_a_pool(site):
    one = site(workers=4, settings=FREE)
    one.pool.await_workers(4)
    one.llm.always = Step(delay=0.1)
    done = threading.Barrier(2)

    def run(number):
        done.wait()
        return post(one, items(10, text=f"{TEXT} {number}")).json()["completed"]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [10, 10]
    assert one.llm.peak <= 10 and one.llm.count == 20
