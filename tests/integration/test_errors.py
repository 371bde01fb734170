"""API.md's table of errors, row by row, through nginx."""

import json
import socket

import pytest

from lib import fcgi
from lib.llm import Step
from lib.proc import wait_until

TEXT = "Every error has a status, a code and a line in the log, and this text has none of them."
NO_LIMITS = {"limit.minute": 0, "limit.hour": 0, "limit.llm_hour": 0}


@pytest.fixture
def site(shared_site):
    return shared_site(settings=NO_LIMITS)


def check(response, status, code, site=None):
    """The problem object and its headers; and the log line with the same request id."""
    assert response.status == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    problem = response.json()
    assert problem["status"] == status and problem["code"] == code
    assert problem["type"] == "https://textmill.dev/errors/" + code.replace("_", "-")
    assert problem["title"] and problem["detail"]
    assert problem["request_id"] == response.headers["X-Request-ID"]
    if site:    # the line is written once the answer has left
        wait_until(lambda: any(
            f"[{problem['request_id']}]" in line and f"{status} {code}" in line
            for line in site.log.splitlines()), f"the log line of the {status}")
    return problem


@pytest.mark.parametrize("body", [
    b"", b"{", b"not json", b'{"text": "x"', b"{'text': 1}", b'{"a":1,}', b"[1,2", b"\x00",
    b'{"text": "\xff\xfe and more", "operation": "summarize"}', b'{"text": NaN}',
    b'{"text": "one", "operation": "summarize"} trailing',
    b"[" * 100 + b"]" * 100,
])
def test_400_when_the_body_is_not_json(site, body):
    response = site.http.post("/v1/process", body=body,
                              headers={"Content-Type": "application/json"})
    check(response, 400, "bad_request", site)


@pytest.mark.parametrize("member, detail", [
    ('"x": 123456789012345678901', "A number is out of range."),
    ('"x": [1e400]', "A number is out of range."),
    ('"operation": "qa"', "A member appears twice in an object."),
    (r'"a\u0000b": 1', "A member's name holds a NUL character."),
    (r'"x": "\ud800"', "A string holds half of a surrogate pair."),
    (r'"\ud800": 1, "\udfff": 2', "A string holds half of a surrogate pair."),
])
def test_400_says_what_is_wrong_with_a_strange_json(site, member, detail):
    body = f'{{"text": "{TEXT}", "operation": "summarize", {member}}}'.encode()
    for path, wrapped in (("process", body), ("batch_process", b'{"requests": [%s]}' % body)):
        response = site.http.post(f"/v1/{path}", body=wrapped,
                                  headers={"Content-Type": "application/json"})
        assert check(response, 400, "bad_request")["detail"] == detail


def test_400_when_a_question_is_missing(site):
    check(site.process(TEXT, "qa"), 400, "bad_request", site)
    check(site.process(TEXT, "qa", question="  "), 400, "bad_request")


def test_400_when_the_body_is_short(site):
    body = b'{"text": "'
    with fcgi.Connection(site.pool.socket_path) as connection:
        values = fcgi.variables("POST", "/v1/process", body, HTTP_X_API_KEY=site.http.key)
        values["CONTENT_LENGTH"] = "500"
        connection.send(fcgi.begin() + fcgi.params(values) + fcgi.stream(fcgi.STDIN, body))
        answer = connection.read()
    assert answer.status == 400 and json.loads(answer.body)["code"] == "bad_request"


def test_401_without_a_key(site):
    response = site.process(TEXT, http=site.http.with_key(None))
    check(response, 401, "unauthenticated", site)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="textmill"'


def test_401_with_an_unknown_key_names_the_error_and_not_the_key(site):
    wrong = "wrong-key-of-the-tests-0123456789"
    response = site.process(TEXT, http=site.http.with_key(wrong))
    check(response, 401, "unauthenticated", site)
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert wrong not in response.text and wrong not in site.log


def test_404_for_unknown_paths(site):
    for path in ("/", "/v1", "/v1/", "/v1/nothing", "/v1/process/more", "/v1/health/"):
        check(site.http.get(path), 404, "not_found")
    check(site.http.get("/v2/%2e%2e/etc/passwd"), 404, "not_found", site)


def test_405_names_the_methods(site):
    response = site.http.get("/v1/process")
    check(response, 405, "method_not_allowed", site)
    assert response.headers["Allow"] == "POST, OPTIONS"
    response = site.http.post("/v1/health", json={})
    assert response.status == 405 and response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_406_when_json_is_not_wanted(site):
    for accept in ("text/html", "application/json;q=0"):
        check(site.process(TEXT, headers={"Accept": accept}), 406, "not_acceptable", site)


def test_413_over_the_body_limit(site):
    text = "x" * (1024 * 1024)
    check(site.process(text), 413, "too_large", site)


def test_a_body_of_exactly_the_limit_is_read(site):
    empty = len(json.dumps({"text": "", "operation": "summarize"}))
    response = site.process("x" * (1024 * 1024 - empty))
    assert check(response, 422, "invalid")["errors"][0]["field"] == "text"


def test_415_for_other_types(site):
    body = json.dumps({"text": TEXT, "operation": "summarize"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded",
                 "application/json; charset=latin1"):
        check(site.http.post("/v1/process", body=body, headers={"Content-Type": kind}), 415,
              "unsupported_media_type", site)


def test_422_lists_every_wrong_field(site):
    response = site.http.post("/v1/process", json={
        "text": "short", "operation": "key_points", "options": {"max_points": 0, "colour": "red"},
        "user_metadata": "no object"})
    problem = check(response, 422, "invalid", site)
    assert [error["field"] for error in problem["errors"]] == [
        "text", "options.max_points", "options.colour", "user_metadata"]
    assert all(error["message"] for error in problem["errors"])
    assert "max_points" in problem["errors"][2]["message"]


@pytest.mark.parametrize("text,good", [
    ("x" * 9, False), ("x" * 10, True), ("ä" * 10000, True), ("ä" * 10001, False),
    (" " * 50 + "x" * 9 + "\n", False), ("null \0 byte in the text", False),
])
def test_422_at_the_bounds_of_text(site, text, good):
    response = site.process(text)
    if good:
        assert response.status == 200
    else:
        assert check(response, 422, "invalid")["errors"][0]["field"] == "text"


def test_502_when_the_provider_refuses_after_exactly_one_call(site):
    for status in (401, 403, 404, 400):
        before = site.llm.count
        site.llm.script(Step(status=status, body={"error": {
            "message": "Incorrect API key provided: sk-secret-of-provider", "code": "invalid"}}))
        response = site.process(f"{TEXT} {status}")
        check(response, 502, "llm_error", site)
        assert site.llm.count == before + 1
        assert "sk-secret" not in response.text and "Incorrect" not in response.text


def test_502_when_the_providers_quota_is_gone(site):
    before = site.llm.count
    site.llm.script(Step(status=429, body={"error": {"code": "insufficient_quota",
                                                     "message": "You exceeded your quota"}}))
    check(site.process(TEXT + " Quota."), 502, "llm_error", site)
    assert site.llm.count == before + 1


def test_503_when_the_provider_keeps_failing(site):
    before = site.llm.count
    site.llm.script(*[Step(status=503, headers={"retry-after-ms": "5"})] * 3)
    response = site.process(TEXT + " Down.")
    problem = check(response, 503, "llm_unavailable", site)
    assert int(response.headers["Retry-After"]) == problem["retry_after"] >= 1
    assert site.llm.count == before + 3


def test_504_when_only_a_cached_answer_is_wanted_and_there_is_none(site):
    before = site.llm.count
    response = site.process(TEXT + " Never asked.", headers={"Cache-Control": "only-if-cached"})
    check(response, 504, "deadline_exceeded", site)
    assert site.llm.count == before


def test_options_and_cors(site, shared_site):
    response = site.http.request("OPTIONS", "/v1/process")
    assert response.status == 204 and response.headers["Allow"] == "POST, OPTIONS"
    assert "Access-Control-Allow-Origin" not in response.headers
    open_site = shared_site(settings={"cors.origins": "https://a.example, https://b.example"})
    response = open_site.http.request("OPTIONS", "/v1/process",
                                      headers={"Origin": "https://b.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://b.example"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    response = open_site.http.get("/v1/health", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers
    wide_site = shared_site(settings={"cors.origins": "*"})
    response = wide_site.http.get("/v1/health", headers={"Origin": "https://any.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_client_that_leaves_in_mid_body_costs_nothing(site):
    head = site.http.head_of("POST", "/v1/process", {
        "Authorization": f"Bearer {site.http.key}", "Content-Type": "application/json",
        "Content-Length": "1000"})
    with socket.create_connection(("127.0.0.1", site.http.port)) as connection:
        connection.sendall(head + b'{"text": "half')
    assert site.process(TEXT + " After.").status == 200
