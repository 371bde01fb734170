"""The built program, started in the shapes that need no web server to start it."""

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from .proc import ROOT, Daemon, accepts, children_of, name_of, wait_until


JOB_WORKER = "textmill-jobs"    # the name that ps shows


def built_program():
    """The binary under test: TEXTMILL_BIN, else build/textmill."""
    path = Path(os.environ.get("TEXTMILL_BIN") or ROOT / "build" / "textmill").resolve()
    assert os.access(path, os.X_OK), f"{path}: not built; set TEXTMILL_BIN or run scripts/check"
    return path


def built_ctl():
    """textmillctl: TEXTMILLCTL_BIN, else the one beside the binary under test."""
    path = Path(os.environ.get("TEXTMILLCTL_BIN") or built_program().with_name("textmillctl"))
    assert os.access(path, os.X_OK), f"{path}: not built; set TEXTMILLCTL_BIN"
    return path.resolve()


class Program:
    """A copy of the binary in a place that the servers' account can reach, whatever the
    permissions above the source tree are."""

    def __init__(self):
        built = built_program()
        self.directory = Path(tempfile.mkdtemp(prefix="tm-bin-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.path = self.directory / "textmill"
        shutil.copy2(built, self.path)
        self.path.chmod(0o755)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def conf_text(settings):
    """textmill.conf from {"limit.minute": 5, "listen": "/x", "provider main": {"model": "m"}}."""

    def line(name, value):
        if isinstance(value, bool):
            value = "true" if value else "false"
        value = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'{name} = "{value}"'

    top, sections = [], {}
    for name, value in settings.items():
        if isinstance(value, dict):
            kind, _, title = name.partition(" ")
            header = f'{kind} "{title}"' if title else kind
            sections.setdefault(header, []).extend(line(*item) for item in value.items())
        elif "." in name:
            section, _, rest = name.partition(".")
            sections.setdefault(section, []).append(line(rest, value))
        else:
            top.append(line(name, value))
    for header, lines in sections.items():
        top += [f"{header} {{", *("\t" + text for text in lines), "}"]
    return "\n".join(top) + "\n"


class Pool(Daemon):
    """textmill with a listener of its own: a master and its workers.

    count  how many workers it starts with: awaited, because the socket accepts before them
    """

    name = "textmill"
    stop_timeout = 60

    def __init__(self, workdir, program, env, conf, count=1, as_root=False):
        super().__init__(workdir)
        self.program, self.env, self.conf, self.as_root = program, env, conf, as_root
        self.count = count
        self.socket_path = workdir / "run" / "textmill.sock"

    def start(self):
        self.spawn([self.program, "-c", self.conf], self.env, as_root=self.as_root)
        ready = self.await_ready(lambda: accepts(self.socket_path))
        assert ready, f"textmill ended with status {self.process.returncode}: {self.errors()}"
        wait_until(lambda: len(self.workers()) >= self.count, f"{self.count} workers")
        return self

    def workers(self):
        """Pids of the workers, job workers among them."""
        return children_of(self.pid)

    def job_workers(self):
        """Pids of those that work on asynchronous batches."""
        return [pid for pid in children_of(self.pid) if name_of(pid) == JOB_WORKER]

    def await_workers(self, count):
        """Waits until there are exactly so many workers; returns their pids."""
        def found():
            pids = self.workers()
            return pids if len(pids) == count else None

        return wait_until(found, f"{count} workers")

    def stop(self, number=signal.SIGTERM):
        """Graceful stop; the exit status must be 0 and no worker may survive its master."""
        if self.process is None:
            return
        process, workers = self.process, [] if self.ended() else self.workers()
        self.stop_signal = number
        super().stop()
        assert process.returncode == 0, \
            f"textmill ended with status {process.returncode}: {self.errors()[-2000:]}"
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        assert not left, f"workers {left} outlived their master"


class Fd0Worker(Daemon):
    """One worker as spawn-fcgi or multiwatch start it: the listening socket is its fd 0."""

    name = "textmill"

    def __init__(self, workdir, program, env, conf):
        super().__init__(workdir)
        self.program, self.conf = program, conf
        self.env = {**env, "TEXTMILL_CONF": str(conf)}
        self.socket_path = workdir / "run" / "textmill.sock"

    def start(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket_path))
            self.workdir.give(self.socket_path)
            listener.listen(16)
            self.spawn([self.program], self.env, stdin=listener)
        assert self.await_ready(lambda: accepts(self.socket_path)), self.errors()
        return self

    def stop(self):
        super().stop()
        self.socket_path.unlink(missing_ok=True)    # it is ours, not the worker's


class Jobs(Daemon):
    """textmill --jobs: one job worker where no pool runs."""

    name = "jobs"
    stop_timeout = 40

    def __init__(self, workdir, program, env, conf):
        super().__init__(workdir)
        self.program, self.env, self.conf = program, env, conf

    def start(self):
        self.spawn([self.program, "-c", self.conf, "--jobs"], self.env)
        assert self.await_ready(lambda: name_of(self.pid) == JOB_WORKER), self.errors()
        return self
