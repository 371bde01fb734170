"""A scripted LLM server: polite unless told otherwise.

Left alone it answers every request in the wire format of its path, with something that fits
what was asked: a value of the JSON schema where there is one, else a sentence. Equal requests
get equal answers. llm.script(...) queues steps that the next requests get instead; llm.always
is a step for all that find the queue empty.

    site.llm.script(Step(status=503, headers={"Retry-After": "1"}), Step(delay=0.2))
    ...
    assert site.llm.count == 2
"""

import contextlib
import hashlib
import json
import re
import socketserver
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler


@dataclass
class Step:
    """How to answer one request. Without a body the answer is the format's own, which for an
    error status is the format's error document."""
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: object = None            # bytes, str, or anything for json.dumps
    text: str = None               # the model's words, within the format's own document
    document: dict = None          # changes to top-level members of the format's own document
    delay: float = 0               # s before the first byte
    drip: int = 0                  # bytes of the body per second; 0: all at once
    cut: int = None                # the connection ends after so many bytes of the body
    size: int = 0                  # a body of so many bytes, no JSON
    content_length: object = None  # announced instead of the true one
    raw: bytes = None              # sent instead of any HTTP, then the connection ends
    silent: bool = False           # nothing at all, until llm.release()


@dataclass
class Request:
    """One request as it arrived."""
    method: str
    path: str
    headers: object                # http.client.HTTPMessage
    body: bytes
    connection: int                # 1, 2, ...: which connection it came on
    at: float                      # time.monotonic() of its arrival
    gone: bool = False             # the client left before the answer was out

    @property
    def json(self):
        return json.loads(self.body)


SENTENCE = "The harbour kept its old light, and the ships came home by it"


def value_for(schema, name="", seed="0"):
    """A value that a JSON schema allows, for the subset that structured answers use."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "object":
        return {key: value_for(part, key, seed)
                for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        count = max(min(3, schema.get("maxItems", 3)), schema.get("minItems", 0))
        return [value_for(schema.get("items", {}), name, f"{seed}-{i + 1}") for i in range(count)]
    if kind in ("number", "integer"):
        low = schema.get("minimum", 0)
        value = low + (schema.get("maximum", low + 1) - low) * 0.75
        return int(value) if kind == "integer" else value
    if kind == "boolean":
        return True
    end = "?" if "question" in name else "."
    return f"{SENTENCE} ({seed}){end}"[:schema.get("maxLength", 10000)]


class OpenAI:
    """The OpenAI chat completions format."""

    path = re.compile(r"/chat/completions$")

    # Where JSON is asked for without a schema: something for each built-in operation.
    ANYTHING = {
        "sentiment": {"type": "string", "enum": ["positive"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "explanation": {"type": "string"},
        "key_points": {"type": "array", "items": {"type": "string"}},
        "questions": {"type": "array", "items": {"type": "string"}},
    }

    def words(self, asked, seed):
        """What the model says."""
        wanted = asked.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            return json.dumps(value_for(wanted["json_schema"]["schema"], seed=seed))
        system = " ".join(str(message.get("content", "")) for message in asked.get("messages", [])
                          if message.get("role") in ("system", "developer"))
        if wanted.get("type") == "json_object" or "JSON" in system:
            return json.dumps(value_for({"type": "object", "properties": self.ANYTHING},
                                        seed=seed))
        return f"{SENTENCE} ({seed})."

    def document(self, request, step):
        asked = request.json
        seed = hashlib.sha256(request.body).hexdigest()[:8]
        if step.status >= 400:
            return {"error": {"message": f"scripted failure {step.status}", "type": "server_error",
                              "param": None, "code": None}}
        text = self.words(asked, seed) if step.text is None else step.text
        prompt_tokens = len(request.body.split())
        completion_tokens = len(text.split())
        return {
            "id": f"chatcmpl-{seed}", "object": "chat.completion", "created": int(time.time()),
            "model": asked.get("model", "unknown"),
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                         "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
                      "total_tokens": prompt_tokens + completion_tokens},
        }


FORMATS = [OpenAI()]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A client that leaves is no error of the test's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.llm = self.server.llm
        self.number = self.llm._opened(self.connection)

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()
        self.llm._closed(self.connection)

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body, self.number,
                          time.monotonic())
        step = self.llm._arrived(request)
        try:
            self._answer(request, step)
        except OSError:
            request.gone = True
            self.close_connection = True
        finally:
            self.llm._left()

    do_GET = do_POST

    def _body(self, request, step):
        if step.size:
            return b"x" * step.size
        if step.body is None:
            wire = next((one for one in FORMATS if one.path.search(request.path)), None)
            if wire is None:
                step.status = 404
                return b'{"error": {"message": "no such path"}}'
            return json.dumps({**wire.document(request, step), **(step.document or {})}).encode()
        if isinstance(step.body, bytes):
            return step.body
        return (step.body if isinstance(step.body, str) else json.dumps(step.body)).encode()

    def _answer(self, request, step):
        if step.silent:
            self.llm.released.wait()
            self.close_connection = True
            return
        if step.delay:
            self.llm.stopping.wait(step.delay)
        if step.raw is not None:
            self.close_connection = True
            self.wfile.write(step.raw)
            return
        body = self._body(request, step)
        self.send_response(step.status)
        headers = {"Content-Type": "application/json", **step.headers,
                   "Content-Length": len(body) if step.content_length is None
                   else step.content_length}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if step.cut is not None:
            body = body[:step.cut]
        self._send(body, step.drip)
        if step.cut is not None or step.content_length is not None:
            self.close_connection = True

    def _send(self, body, drip):
        if not drip:
            self.wfile.write(body)
            return
        piece = max(drip // 20, 1)
        for at in range(0, len(body), piece):
            self.wfile.write(body[at:at + piece])
            self.wfile.flush()
            if self.llm.stopping.wait(piece / drip):
                break


class LLM:
    """The server, in a thread of its own, on a port of its own.

    requests         all requests in order of arrival
    connections      how many connections were opened
    active, peak     requests being answered now, and at most at once
    """

    def __init__(self):
        self.requests, self.steps, self.always = [], [], None
        self.connections = self.active = self.peak = 0
        self.released, self.stopping = threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._open = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.llm = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,),
                                        daemon=True)
        self._thread.start()

    @property
    def url(self):
        """The base URL of the OpenAI format."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def count(self):
        return len(self.requests)

    def script(self, *steps):
        """Queues steps: one per request, in order."""
        with self._changed:
            self.steps.extend(steps)

    def release(self):
        """Ends all silence, for good."""
        self.released.set()

    def await_requests(self, count, timeout=10.0):
        """Waits until so many requests have arrived."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.requests) >= count, timeout)
        assert arrived, f"{self.count} LLM requests instead of {count} within {timeout:g} s"

    def await_idle(self, timeout=10.0):
        """Waits until no request is being answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self.active, timeout), \
                f"{self.active} LLM requests still open"

    def stop(self):
        """Ends the server and all its connections: from now on it is away."""
        if self._thread is None:
            return
        self.stopping.set()
        self.released.set()
        self._server.shutdown()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(2)
        self._server.server_close()
        self._thread.join()
        self._thread = None

    def _opened(self, connection):
        with self._changed:
            self.connections += 1
            self._open.add(connection)
            if self.stopping.is_set():
                connection.shutdown(2)
            return self.connections

    def _closed(self, connection):
        with self._changed:
            self._open.discard(connection)

    def _arrived(self, request):
        with self._changed:
            self.requests.append(request)
            self.active += 1
            self.peak = max(self.peak, self.active)
            step = self.steps.pop(0) if self.steps else self.always or Step()
            self._changed.notify_all()
        return Step(**vars(step))

    def _left(self):
        with self._changed:
            self.active -= 1
            self._changed.notify_all()
