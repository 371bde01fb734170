"""A FastCGI client that can also misbehave: it sends records one by one, as bytes, so that a
test decides what is missing, cut or wrong. FastCGI Specification 1.0, 1996."""

import socket
import struct
import time
from dataclasses import dataclass, field

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, \
    GET_VALUES_RESULT, UNKNOWN_TYPE = range(1, 12)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1


def record(kind, content=b"", request_id=1, version=1, padding=0):
    """One record; content at most 65535 bytes."""
    return struct.pack(">BBHHBx", version, kind, request_id, len(content), padding) \
        + content + b"\0" * padding


def stream(kind, data, request_id=1, piece=65535):
    """Records of a stream, with the empty one that ends it."""
    pieces = [data[i:i + piece] for i in range(0, len(data), piece)]
    return b"".join(record(kind, part, request_id) for part in pieces + [b""])


def begin(role=RESPONDER, flags=0, request_id=1):
    return record(BEGIN_REQUEST, struct.pack(">HB5x", role, flags), request_id)


def pair(name, value):
    """A name-value pair."""
    def length(data):
        size = len(data)
        return bytes([size]) if size < 128 else struct.pack(">I", size | 1 << 31)
    name = name.encode() if isinstance(name, str) else name
    value = value.encode() if isinstance(value, str) else value
    return length(name) + length(value) + name + value


def params(values, request_id=1):
    """The stream of params, ended."""
    return stream(PARAMS, b"".join(pair(*item) for item in values.items()), request_id)


def variables(method="GET", path="/v1/health", body=b"", **more):
    """The CGI variables of a request as nginx would send them. more: HTTP_X_API_KEY=..."""
    values = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "test",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
        "REQUEST_URI": path,
    }
    if body or method == "POST":
        values.update(CONTENT_LENGTH=str(len(body)), CONTENT_TYPE="application/json")
    values.update(more)
    return {name: value for name, value in values.items() if value is not None}


@dataclass
class Answer:
    """What came back. app_status and protocol_status are None when the end never came."""
    stdout: bytes = b""
    stderr: bytes = b""
    app_status: int = None
    protocol_status: int = None
    records: list = field(default_factory=list)    # (kind, request id, content) of the others
    closed: bool = False    # the other side closed the connection

    @property
    def status(self):
        """HTTP status: of the Status header; 200 without one."""
        return int(self.headers.get("status", "200").split()[0])

    @property
    def headers(self):
        """Headers by lower-case name; the last of equal ones."""
        head = self.stdout.partition(b"\r\n\r\n")[0].decode("latin-1")
        fields = (line.partition(":") for line in head.split("\r\n") if line)
        return {name.strip().lower(): value.strip() for name, _, value in fields}

    @property
    def body(self):
        return self.stdout.partition(b"\r\n\r\n")[2]


class Connection:
    """One connection to the socket. address: a path or (host, port)."""

    def __init__(self, address, timeout=30.0):
        tcp = isinstance(address, tuple)
        self.socket = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(address if tcp else str(address))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def abort(self, request_id=1):
        return self.send(record(ABORT_REQUEST, b"", request_id))

    def _exactly(self, count, deadline):
        data = b""
        while len(data) < count:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = self.socket.recv(count - len(data))
            if not piece:
                return None
            data += piece
        return data

    def read(self, timeout=30.0):
        """Reads until the request's end or the connection's; TimeoutError after timeout."""
        answer, deadline = Answer(), time.monotonic() + timeout
        while answer.app_status is None:
            try:
                head = self._exactly(8, deadline)
                content = None
                if head is not None:
                    _, kind, request_id, length, padding = struct.unpack(">BBHHBx", head)
                    content = self._exactly(length + padding, deadline)
            except ConnectionError:
                content = None
            if content is None:
                answer.closed = True
                break
            content = content[:length]
            if kind == STDOUT:
                answer.stdout += content
            elif kind == STDERR:
                answer.stderr += content
            elif kind == END_REQUEST:
                answer.app_status, answer.protocol_status = struct.unpack(">IB3x", content)
            else:
                answer.records.append((kind, request_id, content))
        return answer


def request(address, method="GET", path="/v1/health", body=b"", role=RESPONDER, timeout=30.0,
            **more):
    """A whole, polite request; returns its Answer."""
    with Connection(address, timeout) as connection:
        connection.send(begin(role) + params(variables(method, path, body, **more))
                        + stream(STDIN, body))
        return connection.read(timeout)
