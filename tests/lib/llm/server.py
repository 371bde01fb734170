"""The scripted server itself: connections, requests, and what became of them."""

import contextlib
import hashlib
import json
import re
import select
import socket
import socketserver
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from .formats import Answer, Refusal, format_of
from .step import Step


@dataclass
class Request:
    """One request as it arrived, and what became of it."""
    method: str
    path: str
    headers: object                # http.client.HTTPMessage
    body: bytes
    connection: int                # 1, 2, ...: which connection it came on
    port: int                      # the client's end of it
    at: float                      # time.monotonic() of its arrival
    sent: list = field(default_factory=list)    # when each delta of a stream had left
    refused: int = 0               # status, where the server of the format would refuse it
    gone_at: float = None          # when the client left before the answer was out
    out: bool = False              # the answer is out

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def gone(self):
        return self.gone_at is not None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A client that leaves is no error of the test's."""


class _Watch:
    """Notes at once when a client closes its connection before its answer is out."""

    def __init__(self, noted):
        self._epoll, self._requests, self._noted = select.epoll(), {}, noted
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, fd, request):
        self._requests[fd] = request
        self._epoll.register(fd, select.EPOLLRDHUP)

    def end(self, fd):
        if self._requests.pop(fd, None):
            self._epoll.unregister(fd)

    def _run(self):
        while not self._ended:
            for fd, _ in self._epoll.poll(0.05):
                request = self._requests.get(fd)
                with contextlib.suppress(OSError):    # ended this moment
                    self._epoll.modify(fd, 0)
                if request:
                    self._noted(request)

    def stop(self):
        self._ended = True
        self._thread.join()
        self._epoll.close()


class _Left(Exception):
    """The client or the test has ended the wait."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.llm = self.server.llm
        self.number = self.llm._opened(self.request)
        if self.llm.tls:
            raw = self.request
            try:
                self.request = self.llm.tls.wrap_socket(raw, server_side=True)
            except OSError:
                self.llm._closed(raw)
                raise
            self.llm._opened(self.request, raw)
        super().setup()

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()
        self.llm._closed(self.connection)
        if self.llm.tls:
            self.connection.close()

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body, self.number,
                          self.client_address[1], time.monotonic())
        wire = format_of(request.path)
        trouble = self._check(wire, request)
        step = self.llm._arrived(request, trouble)
        self.llm.watch.begin(self.connection.fileno(), request)
        try:
            self._answer(wire, request, step)
        except (OSError, _Left):
            self.close_connection = True
            if not step.silent:
                self.llm._gone(request)
        finally:
            request.out = True
            self.llm.watch.end(self.connection.fileno())
            self.llm._left()

    do_GET = do_POST

    def _check(self, wire, request):
        if wire is None or request.method != "POST":
            return Refusal(404, None, "no such path")
        try:
            asked = wire.check(request, self.llm.key)
            for name in set(asked) & set(self.llm.refuses):
                raise Refusal(400, None, self.llm.refuses[name])
        except Refusal as refusal:
            return refusal
        except (KeyError, TypeError, ValueError) as trouble:
            return Refusal(400, None, f"not of the format: {trouble!r}")
        return None

    def _wait(self, request, seconds, until=None):
        """Waits, but no longer than the client and the test do. until(seconds) ends it, too."""
        deadline = time.monotonic() + seconds
        while not (request.gone or self.llm.stopping.is_set()):
            left = deadline - time.monotonic()
            if left <= 0 or (until and until(min(left, 0.05))):
                return
            if not until:
                self.llm.stopping.wait(min(left, 0.05))
        raise _Left

    def _answer(self, wire, request, step):
        if step.silent:
            self._wait(request, 3600, self.llm.released.wait)
            raise _Left
        if step.delay:
            self._wait(request, step.delay)
        if step.raw is not None:
            self.close_connection = True
            self.wfile.write(step.raw)
            return
        body, events = self._content(wire, request, step)
        if events:
            self._stream(wire, request, step, events)
            return
        self.send_response(step.status)
        headers = {"Content-Type": "application/json", **step.headers,
                   "Content-Length": len(body) if step.content_length is None
                   else step.content_length}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if step.cut is not None:
            body = body[:step.cut]
        self._send(request, body, step.drip)
        if step.cut is not None or step.content_length is not None:
            self.close_connection = True

    def _content(self, wire, request, step):
        """(body, None), or (None, the parts of a stream)."""
        if step.size:
            return b"x" * step.size, None
        if step.body is not None:
            if isinstance(step.body, bytes):
                return step.body, None
            return (step.body if isinstance(step.body, str) else json.dumps(step.body)).encode(), \
                None
        if wire is None or step.status >= 300:
            failure = wire.failure(step.status, step.error, step.message) if wire else {}
            return json.dumps({**failure, **(step.document or {})}).encode(), None
        asked = request.json
        seed = hashlib.sha256(request.body).hexdigest()[:8]
        text = wire.words(asked, seed) if step.text is None else step.text
        if step.pieces is not None:
            text = "".join(step.pieces)
        tokens = step.usage or (len(request.body.split()), len(text.split()))
        answer = Answer(text, seed, step.finish, tokens)
        if wire.streams(request) and not step.whole:
            pieces = step.pieces or re.findall(r"\s*\S+\s*", text)
            return None, wire.stream(asked, answer, pieces)
        return json.dumps({**wire.document(asked, answer), **(step.document or {})}).encode(), None

    def _stream(self, wire, request, step, events):
        before, deltas, after = events
        self.send_response(step.status)
        for name, value in {"Content-Type": "text/event-stream", **step.headers,
                            "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self._chunk(request, b"".join(before), step.drip)
        for number, delta in enumerate(deltas):
            if number == step.cut_after:
                self.close_connection = True
                return
            if number == step.error_after:
                self._chunk(request, wire.failure_event(500, step.error, step.message))
                self.wfile.write(b"0\r\n\r\n")
                return
            self._wait(request, step.pause if number else step.first_pause)
            if step.gate:
                self._wait(request, 3600, lambda left: step.gate.acquire(timeout=left))
            self._chunk(request, delta, step.drip)
            request.sent.append(time.monotonic())
        if step.cut_after == len(deltas):
            self.close_connection = True
            return
        self._chunk(request, b"".join(after), step.drip)
        request.out = True
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, request, data, drip=0):
        if data and not drip:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            return
        piece = max(drip // 20, 1)
        for at in range(0, len(data), piece):
            self._chunk(request, data[at:at + piece])
            self._wait(request, piece / drip)

    def _send(self, request, body, drip):
        if not drip:
            request.out = len(body) < 65536
            self.wfile.write(body)
            return
        piece = max(drip // 20, 1)
        for at in range(0, len(body), piece):
            self.wfile.write(body[at:at + piece])
            self._wait(request, piece / drip)


class LLM:
    """The server, in a thread of its own, on a port of its own.

    requests         all requests in order of arrival
    connections      how many connections were opened, TLS or not, good or not
    active, peak     requests being answered now, and at most at once
    key              the key that requests must have; None: any or none will do
    refuses          members of requests that are refused: {"response_format": "its words"}

    host             the name in the URLs
    certificate      lib.certificates.Certificate to speak TLS with; None: plain HTTP
    """

    def __init__(self, key=None, host="127.0.0.1", certificate=None):
        self.key, self.host, self.refuses = key, host, {}
        self.requests, self.steps, self.always = [], [], None
        self.connections = self.active = self.peak = 0
        self.released, self.stopping = threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._open = set()
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate.cert, certificate.key)
            self.tls.set_alpn_protocols(["http/1.1"])
        self._thread = None
        self._listen(0)

    def _listen(self, port):
        self.watch = _Watch(self._gone)
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.llm = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,),
                                        daemon=True)
        self._thread.start()

    @property
    def root(self):
        """The base URL without a path: that of Anthropic's and Gemini's formats."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    @property
    def url(self):
        """The base URL of the OpenAI format."""
        return f"{self.root}/v1"

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

    def _await(self, condition, what, timeout):
        with self._changed:
            assert self._changed.wait_for(condition, timeout), \
                f"{what()}: not within {timeout:g} s"

    def await_requests(self, count, timeout=10.0):
        """Waits until so many requests have arrived."""
        self._await(lambda: len(self.requests) >= count,
                    lambda: f"{count} LLM requests, not {self.count}", timeout)

    def await_idle(self, timeout=10.0):
        """Waits until no request is being answered."""
        self._await(lambda: not self.active, lambda: f"end of {self.active} requests", timeout)

    def await_gone(self, request, timeout=10.0):
        """Waits until the client of a request has left; returns when that was."""
        self._await(lambda: request.gone, lambda: "the client's leaving", timeout)
        return request.gone_at

    def stop(self):
        """Ends the server and all its connections: from now on it is away."""
        if self._thread is None:
            return
        self.stopping.set()
        self.released.set()
        self._server.shutdown()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):    # not SSLSocket's: it may be in use
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self._server.server_close()
        self.watch.stop()
        self._thread.join()
        self._thread = None

    def start(self):
        """Back again after stop(), on the same port."""
        self.stopping.clear()
        self.released.clear()
        self._listen(self.port)

    def _opened(self, connection, instead_of=None):
        with self._changed:
            self._open.discard(instead_of)
            self._open.add(connection)
            if instead_of is None:
                self.connections += 1
            if self.stopping.is_set():
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            return self.connections

    def _closed(self, connection):
        with self._changed:
            self._open.discard(connection)

    def _arrived(self, request, trouble):
        """The step for a request; trouble: the format's own server would refuse it."""
        with self._changed:
            self.requests.append(request)
            self.active += 1
            self.peak = max(self.peak, self.active)
            if trouble:
                request.refused = trouble.status
                step = Step(status=trouble.status, error=trouble.error, message=trouble.message)
            else:
                step = self.steps.pop(0) if self.steps else self.always or Step()
                step = step(request) if callable(step) else step
            self._changed.notify_all()
        return Step(**vars(step))

    def _left(self):
        with self._changed:
            self.active -= 1
            self._changed.notify_all()

    def _gone(self, request):
        with self._changed:
            if request.gone_at is None and not request.out and not self.stopping.is_set():
                request.gone_at = time.monotonic()
            self._changed.notify_all()
