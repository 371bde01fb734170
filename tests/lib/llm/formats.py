"""The wire formats: what a server of each accepts, answers, streams and complains of."""

import json
import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from .values import ANYTHING, words_for


@dataclass(eq=False)
class Refusal(Exception):
    """The server will not: status, its code, type or status word, and a message."""
    status: int
    error: str
    message: str


@dataclass
class Answer:
    """What a document or a stream is made of."""
    text: str
    seed: str
    finish: str
    tokens: tuple    # (input, output)


def event(data, name=None, end="\n"):
    """One server-sent event, as bytes."""
    data = data if isinstance(data, str) else json.dumps(data)
    head = f"event: {name}{end}" if name else ""
    return f"{head}data: {data}{end}{end}".encode()


def only(members, known, unknown, status=400):
    """Refuses members that the server does not know; unknown says so with {}."""
    for name in members:
        if name not in known:
            raise Refusal(status, None, unknown.format(name))


def check_key(sent, key):
    """sent: the header's value, None without one."""
    if key is not None and sent != key:
        raise Refusal(401, None, "no such key")


class OpenAI:
    """Chat completions, also as Azure serves them: another header and a version in the query."""

    path = re.compile(r"/chat/completions$")
    known = {
        "model", "messages", "max_tokens", "max_completion_tokens", "response_format", "stream",
        "stream_options", "temperature", "top_p", "seed", "user",
    }
    finishes = {"stop": "stop", "length": "length", "filter": "content_filter"}
    codes = {    # status: (type, code)
        400: ("invalid_request_error", None), 401: ("invalid_request_error", "invalid_api_key"),
        403: ("invalid_request_error", "unsupported_country_region_territory"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }

    def check(self, request, key):
        query = parse_qs(urlsplit(request.path).query)
        azure = "/openai/deployments/" in request.path
        if azure and not query.get("api-version"):
            raise Refusal(404, "404", "Resource not found")
        check_key(request.headers.get("api-key" if azure else "Authorization"),
                  key if azure or key is None else f"Bearer {key}")
        asked = request.json
        only(asked, self.known, "Unrecognized request argument supplied: {}")
        if not asked.get("model") and not azure:
            raise Refusal(400, None, "you must provide a model parameter")
        roles = [message["role"] for message in asked.get("messages", [])]
        if "user" not in roles or set(roles) - {"system", "developer", "user", "assistant"}:
            raise Refusal(400, None, "'messages' are not as they should be")
        if "stream_options" in asked and not asked.get("stream"):
            raise Refusal(400, None, "'stream_options' is only allowed when 'stream' is enabled")
        wanted = asked.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            form = wanted["json_schema"]
            if form.get("strict"):
                self._check_strict(form["schema"])
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", form["name"]):
                raise Refusal(400, None, "Invalid 'response_format.json_schema.name'")
        return asked

    def _check_strict(self, schema):
        if schema.get("type") == "object":
            if schema.get("additionalProperties") is not False or \
                    set(schema.get("required", [])) != set(schema["properties"]):
                raise Refusal(400, None, "Invalid schema for response_format")
            for part in schema["properties"].values():
                self._check_strict(part)
        elif schema.get("type") == "array":
            self._check_strict(schema["items"])

    def streams(self, request):
        return bool(request.json.get("stream"))

    def words(self, asked, seed):
        wanted = asked.get("response_format") or {}
        system = " ".join(str(message.get("content", "")) for message in asked.get("messages", [])
                          if message.get("role") in ("system", "developer"))
        schema = None
        if wanted.get("type") == "json_schema":
            schema = wanted["json_schema"]["schema"]
        elif wanted.get("type") == "json_object":
            schema = ANYTHING
        return words_for(schema, system, seed)

    def failure(self, status, error=None, message=None):
        kind, code = self.codes.get(status, ("server_error", None))
        return {"error": {"message": message or f"scripted failure {status}", "type": kind,
                          "param": None, "code": error or code}}

    def _usage(self, tokens):
        return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1],
                "total_tokens": sum(tokens)}

    def document(self, asked, answer):
        return {
            "id": f"chatcmpl-{answer.seed}", "object": "chat.completion",
            "created": int(time.time()), "model": asked.get("model", "unknown"),
            "choices": [{"index": 0, "finish_reason": self.finishes[answer.finish],
                         "message": {"role": "assistant", "content": answer.text}}],
            "usage": self._usage(answer.tokens),
        }

    def stream(self, asked, answer, pieces):
        """(events before the first delta, deltas, events after the last)"""
        def chunk(choices, **more):
            return event({"id": f"chatcmpl-{answer.seed}", "object": "chat.completion.chunk",
                          "created": int(time.time()), "model": asked.get("model", "unknown"),
                          "choices": choices, **more})

        def delta(what, finish=None):
            return chunk([{"index": 0, "delta": what, "finish_reason": finish}])
        after = [delta({}, self.finishes[answer.finish])]
        if (asked.get("stream_options") or {}).get("include_usage"):
            after.append(chunk([], usage=self._usage(answer.tokens)))
        return ([delta({"role": "assistant", "content": ""})],
                [delta({"content": piece}) for piece in pieces], [*after, event("[DONE]")])

    def failure_event(self, status, error=None, message=None):
        return event(self.failure(status, error, message))


class Anthropic:
    """Messages."""

    path = re.compile(r"/messages$")
    known = {
        "model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream",
        "temperature", "top_p", "top_k", "stop_sequences", "metadata",
    }
    finishes = {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"}
    types = {
        400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
        403: "permission_error", 404: "not_found_error", 413: "request_too_large",
        429: "rate_limit_error", 500: "api_error", 504: "timeout_error", 529: "overloaded_error",
    }

    def check(self, request, key):
        if urlsplit(request.path).path != "/v1/messages":
            raise Refusal(404, None, "Not found")
        check_key(request.headers.get("x-api-key"), key)
        if not request.headers.get("anthropic-version"):
            raise Refusal(400, None, "anthropic-version: header is required")
        asked = request.json
        only(asked, self.known, "{}: Extra inputs are not permitted")
        for name in ("model", "max_tokens", "messages"):
            if not asked.get(name):
                raise Refusal(400, None, f"{name}: Field required")
        if {message["role"] for message in asked["messages"]} - {"user", "assistant"}:
            raise Refusal(400, None, "messages: Unexpected role")
        tools = {tool["name"]: tool for tool in asked.get("tools", [])}
        choice = asked.get("tool_choice") or {}
        if choice.get("type") == "tool" and choice["name"] not in tools:
            raise Refusal(400, None, "tool_choice: Tool not found")
        if any(not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) or
               tool["input_schema"].get("type") != "object" for name, tool in tools.items()):
            raise Refusal(400, None, "tools.0: Input should be an object with a name")
        return asked

    def streams(self, request):
        return bool(request.json.get("stream"))

    def _tool(self, asked):
        """The tool that the model is made to use, or None."""
        choice = asked.get("tool_choice") or {}
        return next((tool for tool in asked.get("tools", [])
                     if choice.get("type") == "tool" and tool["name"] == choice["name"]), None)

    def words(self, asked, seed):
        tool = self._tool(asked)
        return words_for(tool and tool["input_schema"], asked.get("system", ""), seed)

    def failure(self, status, error=None, message=None):
        return {"type": "error", "request_id": "req_0",
                "error": {"type": error or self.types.get(status, "api_error"),
                          "message": message or f"scripted failure {status}"}}

    def _message(self, asked, answer, content, stop, tokens):
        return {"id": f"msg_{answer.seed}", "type": "message", "role": "assistant",
                "model": asked["model"], "content": content, "stop_reason": stop,
                "stop_sequence": None,
                "usage": {"input_tokens": tokens[0], "cache_creation_input_tokens": 0,
                          "cache_read_input_tokens": 0, "output_tokens": tokens[1]}}

    def _stop(self, asked, answer):
        forced = answer.finish == "stop" and self._tool(asked)
        return "tool_use" if forced else self.finishes[answer.finish]

    def document(self, asked, answer):
        tool = self._tool(asked)
        block = {"type": "text", "text": answer.text}
        if tool:
            try:
                said = json.loads(answer.text)
            except ValueError:    # cut, or scripted so
                said = {}
            block = {"type": "tool_use", "id": "toolu_0", "name": tool["name"], "input": said}
        return self._message(asked, answer, [block], self._stop(asked, answer), answer.tokens)

    def stream(self, asked, answer, pieces):
        tool = self._tool(asked)
        block = {"type": "text", "text": ""}
        if tool:
            block = {"type": "tool_use", "id": "toolu_0", "name": tool["name"], "input": {}}

        def one(kind, **more):
            return event({"type": kind, **more}, kind)

        def delta(piece):
            what = {"type": "input_json_delta", "partial_json": piece} if tool else \
                {"type": "text_delta", "text": piece}
            return one("content_block_delta", index=0, delta=what)
        start = self._message(asked, answer, [], None, (answer.tokens[0], 1))
        return ([one("message_start", message=start),
                 one("content_block_start", index=0, content_block=block), one("ping")],
                [delta(piece) for piece in pieces],
                [one("content_block_stop", index=0),
                 one("message_delta", usage={"output_tokens": answer.tokens[1]}, delta={
                     "stop_reason": self._stop(asked, answer), "stop_sequence": None}),
                 one("message_stop")])

    def failure_event(self, status, error=None, message=None):
        return event(self.failure(status, error, message), "error")


class Gemini:
    """generateContent and streamGenerateContent."""

    path = re.compile(r"/models/[^/]+:(generateContent|streamGenerateContent)$")
    known = {"contents", "systemInstruction", "generationConfig", "safetySettings", "tools",
             "toolConfig", "cachedContent"}
    known_config = {"maxOutputTokens", "responseMimeType", "responseSchema", "temperature", "topP",
                    "topK", "stopSequences", "candidateCount", "thinkingConfig", "seed"}
    known_schema = {"type", "format", "title", "description", "nullable", "enum", "maxItems",
                    "minItems", "properties", "required", "items", "anyOf", "propertyOrdering",
                    "minimum", "maximum", "minLength", "maxLength", "pattern", "default",
                    "example", "minProperties", "maxProperties"}
    types = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}
    finishes = {"stop": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}
    statuses = {
        400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
        404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
    unknown = 'Invalid JSON payload received. Unknown name "{}": Cannot find field.'

    def check(self, request, key):
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if not path.startswith("/v1beta/models/"):
            raise Refusal(404, None, "Not found")
        if key is not None and request.headers.get("x-goog-api-key") != key:
            raise Refusal(400, None, "API key not valid. Please pass a valid API key.")
        if "key" in query or (self.streams(request) and query.get("alt") != ["sse"]):
            raise Refusal(400, None, "not what a client of ours should send")
        asked = request.json
        only(asked, self.known, self.unknown)
        config = asked.get("generationConfig", {})
        only(config, self.known_config, self.unknown)
        if "responseSchema" in config:
            self._check_schema(config["responseSchema"])
            if config.get("responseMimeType") != "application/json":
                raise Refusal(400, None, "response_schema needs response_mime_type")
        if not all(content["parts"] for content in asked["contents"]):
            raise Refusal(400, None, "contents are required")
        return asked

    def _check_schema(self, schema):
        only(schema, self.known_schema, self.unknown)
        if schema.get("type") not in self.types:
            raise Refusal(400, None, f"Invalid value at 'response_schema.type': {schema}")
        for part in [*schema.get("properties", {}).values(), *[schema.get("items") or {}][:1]]:
            if part:
                self._check_schema(part)

    def streams(self, request):
        return urlsplit(request.path).path.endswith(":streamGenerateContent")

    def words(self, asked, seed):
        config = asked.get("generationConfig", {})
        system = json.dumps(asked.get("systemInstruction", {}))
        schema = config.get("responseSchema")
        if schema is None and config.get("responseMimeType") == "application/json":
            schema = ANYTHING
        return words_for(schema, system, seed)

    def failure(self, status, error=None, message=None):
        return {"error": {"code": status, "message": message or f"scripted failure {status}",
                          "status": error or self.statuses.get(status, "UNKNOWN")}}

    def _response(self, answer, text, finish, tokens):
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        return {"candidates": [candidate], "modelVersion": "gemini-scripted",
                "responseId": answer.seed,
                "usageMetadata": {"promptTokenCount": tokens[0], "candidatesTokenCount": tokens[1],
                                  "totalTokenCount": sum(tokens)}}

    def document(self, asked, answer):
        return self._response(answer, answer.text, self.finishes[answer.finish], answer.tokens)

    def stream(self, asked, answer, pieces):
        said = [event(self._response(answer, piece, None, (answer.tokens[0], number + 1)),
                      end="\r\n") for number, piece in enumerate(pieces)]
        last = self._response(answer, "", self.finishes[answer.finish], answer.tokens)
        return [], said, [event(last, end="\r\n")]

    def failure_event(self, status, error=None, message=None):
        return event(self.failure(status, error, message), end="\r\n")


FORMATS = [OpenAI(), Anthropic(), Gemini()]


def format_of(path):
    """The format of a request's path, or None."""
    path = urlsplit(path).path
    return next((one for one in FORMATS if one.path.search(path)), None)
