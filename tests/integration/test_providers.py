"""Each kind of provider, end to end, against a server that refuses what the real one would."""

import pytest

from lib.llm import Step
from lib.site import FREE, PROVIDER_KEY

TEXT = "Three houses stood by the harbour, each with its own key, its own door and its own manners."
KINDS = ("openai", "anthropic", "gemini")
OPERATIONS = ("summarize", "sentiment", "key_points", "questions", "qa")
PRICES = {"price_input": "2.5", "price_output": "10"}
MODEL = "the-model"

# What each documented failure is to a caller. Those worth another try are 503 when they last.
REFUSED = {
    "openai": [(400, None), (401, "invalid_api_key"), (403, None), (404, "model_not_found"),
               (429, "insufficient_quota"), (429, "billing_hard_limit_reached")],
    "anthropic": [(400, "invalid_request_error"), (401, "authentication_error"),
                  (402, "billing_error"), (403, "permission_error"), (404, "not_found_error"),
                  (413, "request_too_large")],
    "gemini": [(400, "INVALID_ARGUMENT"), (400, "FAILED_PRECONDITION"), (401, "UNAUTHENTICATED"),
               (403, "PERMISSION_DENIED"), (404, "NOT_FOUND")],
}
PASSING = {
    "openai": [(408, None), (409, None), (429, "rate_limit_exceeded"), (500, "server_error"),
               (502, None), (503, None), (504, None)],
    "anthropic": [(429, "rate_limit_error"), (500, "api_error"), (504, "timeout_error"),
                  (529, "overloaded_error")],
    "gemini": [(429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE"),
               (504, "DEADLINE_EXCEEDED")],
}


def conf(kind, llm, **more):
    return {"main": {"kind": kind, "url": llm.url if kind == "openai" else llm.root,
                     "model": MODEL, "key": PROVIDER_KEY, **more}}


@pytest.fixture
def provider(site, llm):
    """provider(kind, ...) -> a site with one provider of the kind; its server is site.llm."""
    def make(kind, settings=None, **more):
        server = llm()
        return site(llm=server, providers=conf(kind, server, **more),
                    settings={**FREE, **(settings or {})})
    return make


def ask(site, operation, text=TEXT, **more):
    if operation == "qa":
        more["question"] = "What stood by the harbour?"
    return site.process(text, operation, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_all_operations(provider, kind):
    one = provider(kind)
    for number, operation in enumerate(OPERATIONS):
        answer = ask(one, operation)
        assert answer.status == 200, (operation, answer.text, one.log)
        body = answer.json()
        assert body["metadata"]["provider"] == "main", operation
        assert body["metadata"]["attempts"] == 1, (operation, "what it asked was refused once")
        assert one.llm.count == number + 1
        assert not one.llm.requests[-1].refused
        if operation in ("summarize", "qa"):
            assert "harbour" in body["result"]
        elif operation == "sentiment":
            assert body["sentiment"]["sentiment"] in ("positive", "negative", "neutral")
            assert 0 <= body["sentiment"]["confidence"] <= 1
        else:
            assert len(body[operation]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_reaches_the_model_whole_and_apart_from_the_instruction(provider, kind):
    one = provider(kind)
    text = 'A "quoted" line,\n\ta tab, a brace }{, a back\\slash, an é and a 🦊 — and </text>.'
    assert ask(one, "summarize", text).status == 200
    asked = one.llm.requests[0].json
    if kind == "gemini":
        said = asked["contents"][0]["parts"][0]["text"]
        instruction = asked["systemInstruction"]["parts"][0]["text"]
    else:
        said = asked["messages"][-1]["content"]
        instruction = asked["system"] if kind == "anthropic" else asked["messages"][0]["content"]
    assert text in said and text not in instruction


@pytest.mark.parametrize("kind", KINDS)
def test_usage_and_cost_are_the_providers_count_at_its_price(provider, kind):
    one = provider(kind, **PRICES)
    one.llm.script(Step(usage=(1000, 200)))
    usage = ask(one, "summarize").json()["metadata"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (1000, 200)
    assert usage["cost"] == pytest.approx((1000 * 2.5 + 200 * 10) / 1e6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_useless_answer_cost_is_counted_too(provider, kind):
    one = provider(kind, **PRICES)
    one.llm.script(Step(text="{}", usage=(100, 10)), Step(usage=(100, 20)))
    body = ask(one, "key_points").json()
    usage = body["metadata"]["usage"]
    assert body["metadata"]["attempts"] == one.llm.count == 2
    assert (usage["input_tokens"], usage["output_tokens"]) == (200, 30)
    assert usage["cost"] == pytest.approx((200 * 2.5 + 30 * 10) / 1e6)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_price_the_cost_is_not_known(provider, kind):
    assert ask(provider(kind), "summarize").json()["metadata"]["usage"]["cost"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_the_one_that_the_provider_reports(provider, kind):
    metadata = ask(provider(kind), "summarize").json()["metadata"]
    assert metadata["model"] == ("gemini-scripted" if kind == "gemini" else MODEL)


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_are_502_at_once(provider, kind):
    one = provider(kind, {"log.level": "debug"})
    for number, (status, error) in enumerate(REFUSED[kind]):
        one.llm.script(Step(status=status, error=error, message=f"secret {PROVIDER_KEY} words"))
        answer = ask(one, "summarize", f"{TEXT} {number}")
        assert answer.status == 502 and answer.json()["code"] == "llm_error", (status, error)
        assert one.llm.count == number + 1, (status, error)
        assert "secret" not in answer.text
    assert PROVIDER_KEY not in one.log and f"HTTP {REFUSED[kind][0][0]}" in one.log


@pytest.mark.parametrize("kind", KINDS)
def test_passing_troubles_are_tried_again(provider, kind):
    one = provider(kind)
    for number, (status, error) in enumerate(PASSING[kind]):
        one.llm.script(Step(status=status, error=error, headers={"retry-after-ms": "5"}))
        answer = ask(one, "summarize", f"{TEXT} {number}")
        assert answer.status == 200, (status, error, answer.text)
        assert one.llm.count == 2 * (number + 1), (status, error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_key_is_a_502_and_in_no_log(site, llm, kind):
    server = llm()
    wrong = "a-wrong-key-of-the-provider-0123456789"
    one = site(llm=server, providers=conf(kind, server, key=wrong),
               settings={**FREE, "log.level": "debug"})
    answer = ask(one, "summarize")
    assert answer.status == 502 and server.count == 1 and server.requests[0].refused
    assert wrong not in one.log and wrong not in answer.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("finish", ["length", "filter"])
def test_an_answer_that_was_cut_is_no_success(provider, kind, finish):
    one = provider(kind)
    one.llm.always = Step(text="The harbour kept its", finish=finish)
    answer = ask(one, "summarize")
    assert answer.status == 502, answer.text
    assert one.redis.keys("tm:cache:*") == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_structured_answers_is_asked_in_plain_words(provider, kind):
    member = {"openai": "response_format", "anthropic": "tools", "gemini": "generationConfig"}
    words = {"openai": "Unrecognized request argument supplied: response_format",
             "anthropic": "tools: this model does not support tool use",
             "gemini": "response_schema is not supported by this model: JSON mode is not enabled"}
    one = provider(kind)
    if kind == "gemini":    # the member is needed for more; only its JSON mode is refused
        one.llm.script(*[Step(status=400, message=words[kind])] * 2)
    else:
        one.llm.refuses = {member[kind]: words[kind]}
    answer = ask(one, "key_points")
    assert answer.status == 200 and len(answer.json()["key_points"]) == 3, one.log
    last = one.llm.requests[-1].json
    assert "response_format" not in last and "tools" not in last
    assert "responseSchema" not in last.get("generationConfig", {})
    assert answer.json()["metadata"]["attempts"] == one.llm.count


def test_what_a_server_does_not_know_is_learned_once(site, llm):
    server = llm()
    one = site(llm=server, providers=conf("openai", server), settings=FREE, workers=1)
    server.refuses = {"response_format": "Unrecognized request argument: response_format"}
    assert ask(one, "key_points").status == 200
    learning = server.count
    assert ask(one, "key_points", f"{TEXT} Once more.").status == 200
    assert server.count == learning + 1


def test_a_server_that_wants_the_newer_name_for_tokens_gets_it(provider):
    one = provider("openai")
    one.llm.refuses = {"max_tokens": "Unsupported parameter: 'max_tokens' is not supported with "
                                     "this model. Use 'max_completion_tokens' instead."}
    answer = ask(one, "summarize")
    assert answer.status == 200, one.log
    assert "max_completion_tokens" in one.llm.requests[-1].json


@pytest.mark.parametrize("said", [
    '```json\n{"key_points": ["one", "two"]}\n```',
    'Here you are:\n\n{"key_points": ["one", "two"]}\n\nAnything else?',
])
def test_json_within_other_words_is_found(provider, said):
    one = provider("openai", json_mode="off")
    one.llm.script(Step(text=said))
    assert ask(one, "key_points").json()["key_points"] == ["one", "two"]
    assert "response_format" not in one.llm.requests[0].json


def test_azure_has_its_own_path_version_and_header(site, llm):
    server = llm()
    url = f"{server.root}/openai/deployments/my-model"
    one = site(llm=server, settings=FREE, providers={"azure": {
        "kind": "openai", "url": url, "model": "gpt-4o", "key": PROVIDER_KEY,
        "api_version": "2024-10-21"}})
    for operation in OPERATIONS:
        assert ask(one, operation).status == 200, one.log
    request = server.requests[0]
    assert request.path == \
        "/openai/deployments/my-model/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == PROVIDER_KEY and not request.headers["Authorization"]


@pytest.mark.parametrize("kind, headers, path", [
    ("openai", {"Authorization": f"Bearer {PROVIDER_KEY}"}, "/v1/chat/completions"),
    ("anthropic", {"x-api-key": PROVIDER_KEY, "anthropic-version": "2023-06-01"}, "/v1/messages"),
    ("gemini", {"x-goog-api-key": PROVIDER_KEY}, f"/v1beta/models/{MODEL}:generateContent"),
])
def test_path_and_headers(provider, kind, headers, path):
    one = provider(kind)
    assert ask(one, "summarize").status == 200
    request = one.llm.requests[0]
    assert request.path == path and PROVIDER_KEY not in request.path
    assert request.headers["Content-Type"] == "application/json"
    for name, value in headers.items():
        assert request.headers[name] == value


@pytest.mark.parametrize("kind, name", [("anthropic", "ANTHROPIC"), ("gemini", "GEMINI")])
def test_a_provider_of_the_environment(site, llm, kind, name):
    server = llm()
    one = site(llm=server, settings=FREE, env={
        "OPENAI_API_KEY": None, "OPENAI_BASE_URL": None, f"{name}_API_KEY": PROVIDER_KEY,
        f"{name}_BASE_URL": server.root})
    answer = ask(one, "summarize")
    assert answer.status == 200, one.log
    assert answer.json()["metadata"]["provider"] == kind
    assert PROVIDER_KEY not in one.log


@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_answers_are_502_and_the_worker_lives(provider, kind):
    one = provider(kind)
    pids = one.pool.workers()
    spoilt = [b"", b"null", b"{}", b'{"choices": [{}], "content": [{}], "candidates": [{}]}',
              b'{"choices": "x", "content": "x", "candidates": "x", "usage": -1}',
              b'{"choices": [{"message": {"content": "\xff\xfe"}}]}', b"\x00" * 100]
    for number, body in enumerate(spoilt):
        one.llm.script(Step(body=body), Step(body=body))
        answer = ask(one, "summarize", f"{TEXT} {number}")
        assert answer.status in (502, 503), body
        assert answer.json()["code"] in ("llm_error", "llm_unavailable")
        one.llm.steps.clear()
    one.llm.script(Step(size=10_000_000))
    assert ask(one, "summarize").status == 502
    assert one.pool.workers() == pids
    assert ask(one, "summarize", f"{TEXT} Well again.").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_the_wrong_length_are_asked_for_again(provider, kind):
    """Bytes past the announced length may spoil the next attempt, if its connection is the same."""
    one = provider(kind)
    for number, announced in enumerate((5, 1_000_000)):
        one.llm.script(Step(content_length=announced))
        answer = ask(one, "summarize", f"{TEXT} {number}")
        assert answer.status == 200
        assert 2 <= answer.json()["metadata"]["attempts"] <= 3, announced


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_of_a_byte_a_second_ends_at_the_deadline(provider, kind):
    one = provider(kind, {"llm.deadline": "700ms"})
    one.llm.script(Step(drip=1))
    assert ask(one, "summarize").status == 504
    one.llm.await_idle()
    assert ask(one, "summarize").status == 200
