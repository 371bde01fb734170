"""A small HTTP client: one connection per request, nothing hidden, and raw bytes where a test
wants to be impolite."""

import http.client
import json as json_module
import socket
from contextlib import closing
from dataclasses import dataclass


@dataclass
class Response:
    """headers: http.client.HTTPMessage, with get and get_all, names in any case."""
    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json_module.loads(self.body)

    @property
    def type(self):
        """Media type without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip()


class Client:
    """Speaks to a site. Paths are relative to the mount point; key is sent as Bearer."""

    def __init__(self, port, mount="", key=None, timeout=60.0):
        self.port, self.mount, self.key, self.timeout = port, mount, key, timeout

    def with_key(self, key):
        """The same site, another caller; None for nobody."""
        return Client(self.port, self.mount, key, self.timeout)

    def request(self, method, path, json=None, body=None, headers=None, chunked=False):
        """body: bytes, or an iterable of bytes with chunked. json sets the type, too."""
        fields = dict(headers or {})
        has_key = {"authorization", "x-api-key"} & {name.lower() for name in fields}
        if self.key is not None and not has_key:
            fields["Authorization"] = f"Bearer {self.key}"
        if json is not None:
            body = json_module.dumps(json).encode()
            fields.setdefault("Content-Type", "application/json")
        if chunked:
            body = [body] if isinstance(body, bytes) else body
            fields["Transfer-Encoding"] = "chunked"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        with closing(connection):
            connection.request(method, self.mount + path, body=body, headers=fields,
                               encode_chunked=chunked)
            answer = connection.getresponse()
            return Response(answer.status, answer.reason, answer.headers, answer.read())

    def get(self, path, **how):
        return self.request("GET", path, **how)

    def head(self, path, **how):
        return self.request("HEAD", path, **how)

    def post(self, path, **how):
        return self.request("POST", path, **how)

    def delete(self, path, **how):
        return self.request("DELETE", path, **how)

    def connect(self):
        """A bare connection, for raw bytes and for leaving early."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout)

    def raw(self, data, half_close=False, method="POST"):
        """Sends exactly these bytes, perhaps nothing after them, and reads one response; None
        when the server closes without one."""
        with self.connect() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(connection, method=method)
            try:
                answer.begin()
                return Response(answer.status, answer.reason, answer.headers, answer.read())
            except (http.client.HTTPException, ConnectionError):
                return None
            finally:
                answer.close()

    def head_of(self, method, path, headers):
        """A request's header block, as bytes, to be sent with raw or connect."""
        lines = [f"{method} {self.mount}{path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}",
                 *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()
