"""A private redis-server on a Unix socket, and the few words of its protocol tests need."""

import contextlib
import queue
import signal
import socket
import threading

from .proc import Daemon, accepts


class RedisError(Exception):
    """An error reply."""


class RedisConnection:
    """One connection speaking RESP2. Bulk strings are bytes; errors are raised."""

    def __init__(self, path, timeout=5.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.reader = self.socket.makefile("rb")

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.reader.read(length + 2)[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP: {line!r}")


class RedisServer(Daemon):
    """redis-server, listening on a Unix socket only.

    aof      keep data across stop() and start(); else memory only
    options  further lines of redis.conf, such as {"maxmemory": "1mb"}
    """

    name = "redis"

    def __init__(self, workdir, aof=False, options=None):
        super().__init__(workdir)
        self.socket_path = workdir / "run" / "redis.sock"
        self.paused = False
        lines = {
            "port": 0, "unixsocket": self.socket_path, "unixsocketperm": 700,
            "dir": workdir / "data", "save": '""', "daemonize": "no",
            "logfile": workdir / "log" / "redis.log", "databases": 1,
            "appendonly": "yes" if aof else "no", "appendfsync": "always" if aof else "no",
            **(options or {}),
        }
        self.conf = workdir.write(
            "conf/redis.conf", "".join(f"{name} {value}\n" for name, value in lines.items()))

    @property
    def url(self):
        return f"unix://{self.socket_path}"

    def start(self):
        self.spawn(["redis-server", self.conf])
        assert self.await_ready(lambda: accepts(self.socket_path)), self.errors()
        return self

    def stop(self):
        self.paused = False
        super().stop()

    def pause(self):
        """Half dead: the socket still accepts, nothing is answered."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.signal(signal.SIGCONT)
        self.paused = False

    def call(self, *words):
        """One command on a connection of its own; returns the reply, raises RedisError."""
        connection = RedisConnection(self.socket_path)
        try:
            connection.send(*words)
            return connection.read()
        finally:
            connection.close()

    def keys(self, pattern="*"):
        """All keys that match, as text, sorted."""
        cursor, found = b"0", set()
        while True:
            cursor, keys = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            found.update(key.decode(errors="replace") for key in keys)
            if cursor == b"0":
                return sorted(found)

    def keys_without_expiry(self, pattern="*"):
        return [key for key in self.keys(pattern) if self.call("TTL", key) == -1]

    def command_counts(self):
        """Calls per command since the start, as INFO commandstats has them."""
        counts = {}
        for line in self.call("INFO", "commandstats").decode().splitlines():
            if line.startswith("cmdstat_"):
                name, _, stats = line[len("cmdstat_"):].partition(":")
                counts[name.lower()] = int(stats.split(",")[0].partition("=")[2])
        return counts

    @contextlib.contextmanager
    def counting(self):
        """with redis.counting() as counts: ... ; then counts holds the calls in between."""
        before, counts = self.command_counts(), {}
        yield counts
        for name, calls in self.command_counts().items():
            calls -= before.get(name, 0)
            if calls and name != "info":
                counts[name] = calls

    @contextlib.contextmanager
    def monitor(self):
        """with redis.monitor() as lines: ... ; then lines holds every command, as MONITOR
        prints it, in order. Commands that scripts run are marked lua."""
        connection = RedisConnection(self.socket_path, timeout=None)
        connection.send("MONITOR")
        assert connection.read() == "OK"
        lines, marker, done = [], "end-of-monitor", queue.Queue()

        def listen():
            with contextlib.suppress(OSError, ConnectionError):
                while True:
                    line = connection.read()
                    if marker in line:
                        break
                    lines.append(line)
            done.put(None)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield lines
        finally:
            self.call("ECHO", marker)
            done.get(timeout=5)
            thread.join()
            connection.close()
