"""What a test must not leave behind: processes, sockets, Redis keys that never expire."""

import os
import stat
from pathlib import Path

from .proc import wait_until


def _lives_in(process, needle):
    where = os.fsencode(os.readlink(process / "cwd"))
    return where == needle or where.startswith(needle + b"/") \
        or needle in process.joinpath("environ").read_bytes()


def processes_of(directory):
    """(pid, command line) of each process that has to do with a directory: by its command line,
    environment or working directory. A zombie counts as gone. Of textmill only root may see more
    than the command line: for others a worker that was given nothing on it is not found."""
    needle = os.fsencode(str(directory))
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            cmdline = entry.joinpath("cmdline").read_bytes()
            if needle in cmdline or _lives_in(entry, needle):
                words = cmdline.replace(b"\0", b" ").decode(errors="replace")
                found.append((int(entry.name), words))
        except OSError:
            continue    # ended meanwhile, or another user's
    return found


def sockets_in(directory):
    """Socket files below a directory, but those of mod_fcgid, which removes its own only when
    it starts again."""
    return [str(Path(top) / name) for top, _, names in os.walk(directory)
            for name in names if Path(top).name != "fcgid"
            and stat.S_ISSOCK(os.lstat(Path(top) / name).st_mode)]


def sanitizer_reports(directory):
    """Reports of AddressSanitizer and kin: of their own files, and within the other logs."""
    reports = []
    for path in sorted((Path(directory) / "log").glob("*")):
        text = path.read_text(errors="replace") if path.is_file() else ""
        if path.name.startswith("sanitizer.") or "Sanitizer:" in text or ": runtime error:" in text:
            reports.append(f"{path.name}: {text[-8000:]}")
    return reports


def of(directory):
    """All that is left of a test's directory, in words. Processes have a moment to end."""
    troubles = []
    try:
        wait_until(lambda: not processes_of(directory), "end of all processes", 5)
    except AssertionError:
        troubles.append(f"processes left: {processes_of(directory)}")
    sockets = sockets_in(directory)
    if sockets:
        troubles.append(f"sockets left: {sockets}")
    return troubles + sanitizer_reports(directory)
