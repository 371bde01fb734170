"""Reads a stream of server-sent events as a client sees it: each with the moment it came."""

import http.client
import json as json_module
import time
from dataclasses import dataclass


@dataclass
class Event:
    """at: time.monotonic() when its last byte was there."""
    name: str
    data: str
    at: float

    @property
    def json(self):
        return json_module.loads(self.data)


class EventStream:
    """with EventStream(client, "/v1/process", {...}) as stream: for event in stream: ...

    status, headers   of the response, which is there once the object is made
    comments          moments of the comment lines so far
    body()            what is no stream, whole
    """

    def __init__(self, client, path, json, headers=None, method="POST"):
        fields = {"Content-Type": "application/json", "Accept": "text/event-stream",
                  "Authorization": f"Bearer {client.key}", **(headers or {})}
        self.comments, self._rest = [], b""
        self.connection = http.client.HTTPConnection("127.0.0.1", client.port,
                                                     timeout=client.timeout)
        self.asked_at = time.monotonic()
        self.connection.request(method, client.mount + path, body=json_module.dumps(json).encode(),
                                headers=fields)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.status, self.headers = self.answer.status, self.answer.headers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.answer.close()
        self.connection.close()

    @property
    def type(self):
        return self.headers.get("Content-Type", "").partition(";")[0].strip()

    def body(self):
        return self.answer.read()

    def _block(self):
        """Bytes up to the next empty line; None at the end."""
        while b"\n\n" not in self._rest:
            piece = self.answer.read1(65536)
            if not piece:
                assert not self._rest, f"the stream ends within an event: {self._rest!r}"
                return None
            self._rest += piece
        block, _, self._rest = self._rest.partition(b"\n\n")
        return block.decode("utf-8")

    def next(self):
        """The next event; None at the end of the stream."""
        while True:
            block = self._block()
            if block is None:
                return None
            now = time.monotonic()
            fields = {}
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                if name:
                    assert name not in fields, block
                    fields[name] = value[1:] if value.startswith(" ") else value
                else:
                    self.comments.append(now)
            if fields:
                assert set(fields) == {"event", "data"}, block
                return Event(fields["event"], fields["data"], now)

    def __iter__(self):
        return iter(self.next, None)


def text_of(events):
    """All the deltas' text."""
    return "".join(event.json["text"] for event in events if event.name == "delta")
