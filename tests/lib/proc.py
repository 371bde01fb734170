"""Directories and processes of a test: made, awaited, stopped, and nothing of them left.

Started as root, every server runs as an unprivileged account, as it would in production; the
directory of a test then belongs to that account. Nothing here sleeps for a fixed time: what is
awaited is a condition, with a deadline.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _account():
    """The account servers run as: None for our own."""
    if os.geteuid() != 0:
        return None
    for name in ("www-data", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("neither www-data nor nobody exists: no account to run servers as")


ACCOUNT = _account()


def wait_until(condition, what, timeout=10.0):
    """Returns the first true value of condition(); an AssertionError names what never came."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def free_port():
    """A TCP port that nobody uses at this moment; who binds it must be ready to try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(address):
    """True when somebody listens: address is a path or (host, port)."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address if isinstance(address, tuple) else str(address))
        except OSError:
            return False
        return True


def files_of(pid):
    """Where the descriptors of a process lead. textmill is not dumpable, so that even its own
    user may not look; who is not root asks sudo, and else skips the test."""
    if os.geteuid() == 0:
        return {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    if shutil.which("sudo"):
        asked = subprocess.run(["sudo", "-n", "find", f"/proc/{pid}/fd", "-printf", "%l\\n"],
                               capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return set(asked.stdout.split("\n"))
    pytest.skip("only root may see the descriptors of a worker")


def holder_of(pids, port):
    """The one of these processes that has the TCP socket with that local port."""
    with open("/proc/net/tcp") as table:
        inodes = {f"socket:[{words[9]}]" for words in (line.split() for line in list(table)[1:])
                  if int(words[1].split(":")[1], 16) == port}
    found = [pid for pid in pids if inodes & files_of(pid)]
    assert len(found) == 1, f"processes {found} have port {port}"
    return found[0]


def children_of(pid, deep=False):
    """Pids of the children of a process; deep: and of their children, and so on."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    if deep:
        found += [pid for child in found for pid in children_of(child, deep=True)]
    return sorted(found)


def name_of(pid):
    """What ps calls a process; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def memory_kib(pid):
    """Memory of a process that no file backs. What it shares with its master counts, too, so a
    page that it begins to write on is no growth. Not from smaps, which only root may read."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith("RssAnon:"))


class Workdir:
    """The directory of one test site. Short, because a Unix socket's path holds 107 bytes."""

    SUBDIRS = ("conf", "data", "htdocs", "log", "run", "tmp", "web")

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="tm-", dir="/tmp"))
        for name in self.SUBDIRS:
            (self.path / name).mkdir(mode=0o700)
        self.give(self.path, *(self.path / name for name in self.SUBDIRS))

    def __truediv__(self, name):
        return self.path / name

    def __str__(self):
        return str(self.path)

    def give(self, *paths):
        """Hands paths to the account that servers run as."""
        if ACCOUNT:
            for path in paths:
                os.chown(path, ACCOUNT.pw_uid, ACCOUNT.pw_gid)

    def write(self, name, text, mode=0o600):
        """Writes a file below the directory, readable by the servers; returns its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.give(path.parent, path)
        return path

    def fill_in(self, template, into, **words):
        """Copies a template of scripts/lib with its @WORD@s replaced."""
        text = (ROOT / "scripts" / "lib" / template).read_text()
        for word, value in {"DIR": self.path, **words}.items():
            text = text.replace(f"@{word}@", str(value))
        return self.write(into, text)

    def logs(self):
        """Names and texts of all log files, longest cut to their ends."""
        found = []
        for path in sorted((self.path / "log").glob("*")):
            if path.is_file() and path.stat().st_size:
                found.append((path.name, path.read_text(errors="replace")[-20000:]))
        return found

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Daemon:
    """A server process in a session of its own, with its standard error in log/<name>.err."""

    name = "daemon"
    stop_signal = signal.SIGTERM
    stop_timeout = 15

    def __init__(self, workdir):
        self.workdir = workdir
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def spawn(self, argv, env=None, stdin=subprocess.DEVNULL, as_root=False):
        """Starts argv with a small, known environment, in the test's directory."""
        account = {}
        if ACCOUNT and not as_root:
            account = {"user": ACCOUNT.pw_uid, "group": ACCOUNT.pw_gid, "extra_groups": []}
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.workdir),
            "LC_ALL": "C",
            **(env or {}),
        }
        with open(self.workdir / "log" / f"{self.name}.err", "ab") as err:
            self.process = subprocess.Popen(
                [str(word) for word in argv], env=environment, cwd=str(self.workdir),
                stdin=stdin, stdout=err, stderr=err, start_new_session=True, **account)

    def errors(self):
        """What the process wrote to its standard output and error."""
        path = self.workdir / "log" / f"{self.name}.err"
        return path.read_text(errors="replace") if path.exists() else ""

    def ended(self):
        return self.process.poll() is not None

    def await_ready(self, ready, timeout=15.0):
        """Waits until ready() or the process ends; True when ready."""
        wait_until(lambda: ready() or self.ended(), f"{self.name} ready", timeout)
        return not self.ended()

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """Dies with all its children and without a word, as on a power cut."""
        process, self.process = self.process, None
        pids = [process.pid, *children_of(process.pid, deep=True)]
        kill_all(pids)
        process.wait()
        wait_until(lambda: not any(map(name_of, pids)), f"the end of {self.name}")

    def stop(self):
        """Ends the process as its service manager would. It must obey, and within its time."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(self.stop_signal)
        try:
            process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(
                f"{self.name} did not end within {self.stop_timeout} s of {self.stop_signal!r}"
            ) from None


def kill_all(pids):
    """SIGKILL for those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start_on_free_port(start, attempts=5):
    """Calls start(port) with free ports until one was still free when the server bound it."""
    for _ in range(attempts):
        server = start(free_port())
        if server is not None:
            return server
    raise AssertionError(f"no free port in {attempts} attempts")
