"""How the program starts: what it was built with, what it refuses, whose its files become."""

import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from lib import fcgi
from lib.pool import Jobs, Pool, built_ctl, built_program, conf_text
from lib.proc import ACCOUNT, Daemon, accepts, wait_until
from lib.site import USER_KEY

as_root = pytest.mark.skipif(not ACCOUNT, reason="needs root, who gives its rights away")
SANITIZED = b"__asan_init" in built_program().read_bytes()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's build goes without the hardening flags")
@pytest.mark.parametrize("binary", [built_program(), built_ctl()], ids=lambda path: path.name)
def test_relocations_are_bound_at_the_start_and_read_only(binary):
    said = subprocess.run(["readelf", "-dlW", binary], capture_output=True, text=True, check=True,
                          env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
    assert "GNU_RELRO" in said and "BIND_NOW" in said
    stack = next(line for line in said.splitlines() if "GNU_STACK" in line)
    assert " RW " in stack and "RWE" not in stack


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's build goes without the hardening flags")
def test_version_tells_how_the_program_is_hardened(program):
    lines = subprocess.run([program, "-V"], capture_output=True, text=True, check=True,
                           timeout=20).stdout.splitlines()
    said = {line[:16].strip(): line[16:].strip() for line in lines}
    assert said["relocations"] == "read-only" and said["stack"] == "not executable"
    assert said["stack guard"] == "on" and said["PIE"] == "on" and said["fortify"] != "off"


def refusals(program, conf, env=None):
    """What both tests of the configuration and a start say; all of them must refuse."""
    for command in ([program, "-t"], [built_ctl(), "config", "test"], [program]):
        ended = subprocess.run([*command, "-c", conf], env={"USER_API_KEY": USER_KEY, **(env or {})},
                               capture_output=True, text=True, timeout=20,
                               stdin=subprocess.DEVNULL)
        assert ended.returncode == 1, command
        yield ended.stderr


# ---- what a process hides


def is_hidden(pid):
    """Not dumpable, seen from outside: what ptrace guards in /proc is root's (proc(5)). As the
    tests' servers never run as root, that is nobody's else."""
    return Path(f"/proc/{pid}/environ").stat().st_uid == 0


def test_master_and_workers_leave_no_core(site):
    one = site(server=None, workers=1, llm=False, settings={"pool.job_workers": 1})
    assert len(one.pool.await_workers(2)) == 2
    wait_until(lambda: all(map(is_hidden, [one.pool.pid, *one.pool.workers()])), "no core")
    with open(f"/proc/{one.pool.workers()[0]}/limits", encoding="ascii") as limits:
        assert any(line.split()[4:6] == ["0", "0"] for line in limits if "core file" in line)


def test_a_worker_on_fd_0_leaves_no_core(fd0_worker):
    worker = fd0_worker(env={"USER_API_KEY": USER_KEY})
    assert fcgi.request(worker.socket_path).status == 200
    assert is_hidden(worker.pid)


def test_a_job_worker_of_its_own_leaves_no_core(program, workdir):
    conf = workdir.write("conf/textmill.conf", conf_text(
        {"redis.url": f"unix://{workdir}/run/none.sock"}))
    jobs = Jobs(workdir, program, {"USER_API_KEY": USER_KEY}, conf).start()
    try:
        wait_until(lambda: is_hidden(jobs.pid), "no core")
    finally:
        jobs.stop()


def test_a_cgi_leaves_no_core(program, workdir):
    """Seen while it waits for its body."""
    conf = workdir.write("conf/textmill.conf", "")
    cgi = Daemon(workdir)
    body, ours = os.pipe()
    cgi.spawn([program], {
        "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "2",
        "CONTENT_TYPE": "application/json", "PATH_INFO": "/v1/process", "USER_API_KEY": USER_KEY,
        "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_X_API_KEY": USER_KEY, "TEXTMILL_CONF": str(conf),
    }, stdin=body)
    os.close(body)
    try:
        wait_until(lambda: is_hidden(cgi.pid), "no core")
    finally:
        os.write(ours, b"{}")
        os.close(ours)
        cgi.process.wait(20)
    assert "Status: 4" in cgi.errors()


# ---- closed standard descriptors


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_pool_serves_with_descriptors_closed(program, workdir, closed):
    address = workdir / "run" / "textmill.sock"
    conf = workdir.write("conf/textmill.conf", conf_text({"listen": address}))
    pool = subprocess.Popen(["sh", "-c", f'exec "$0" -c "$1" {closed}', program, conf],
                            env={"USER_API_KEY": USER_KEY})
    try:
        wait_until(lambda: accepts(address), "the listener")
        assert fcgi.request(address).status == 200
        if ACCOUNT:    # others may not look
            files = [os.readlink(f"/proc/{pool.pid}/fd/{fd}") for fd in range(3)]
            assert not any(file.startswith("socket") for file in files), files
    finally:
        pool.terminate()
        assert pool.wait(timeout=20) == 0


def test_a_cgi_without_standard_input_is_answered(program, workdir):
    conf = workdir.write("conf/textmill.conf", "")
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" <&-', program], capture_output=True, text=True, timeout=20,
        env={"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10",
             "CONTENT_TYPE": "application/json", "PATH_INFO": "/v1/process",
             "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_X_API_KEY": USER_KEY, "USER_API_KEY": USER_KEY,
             "TEXTMILL_CONF": str(conf)})
    assert ended.stdout.startswith("Status: 400"), (ended.stdout, ended.stderr)


def test_output_that_is_lost_is_no_success():
    ended = subprocess.run(["sh", "-c", 'exec "$0" key new >&-', built_ctl()],
                           capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1 and "cannot write" in ended.stderr


# ---- the log


@pytest.mark.parametrize("name,words", [
    ("nosuch/textmill.log", "No such file"), ("run", "directory"), ("run/fifo", "No such device"),
])
def test_a_log_that_cannot_be_opened_is_refused(program, workdir, name, words):
    os.mkfifo(workdir / "run" / "fifo")
    conf = workdir.write("conf/textmill.conf", conf_text({
        "listen": workdir / "run" / "textmill.sock", "log.target": workdir / name}))
    for said in refusals(program, conf):
        assert f"{workdir / name}" in said and words in said


def test_a_test_of_the_configuration_makes_no_log(program, workdir):
    log = workdir / "log" / "textmill.log"
    conf = workdir.write("conf/textmill.conf", conf_text({
        "listen": workdir / "run" / "textmill.sock", "log.target": log}))
    for command in ([program, "-t"], [built_ctl(), "config", "test"]):
        subprocess.run([*command, "-c", conf], env={"USER_API_KEY": USER_KEY}, check=True,
                       capture_output=True, timeout=20)
    assert not log.exists()


# ---- started as root, to become another user


@pytest.fixture
def root_folder(workdir):
    """A folder that the user may look into, and no more."""
    path = workdir / "root"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def root_pool(program, workdir):
    """root_pool(settings={...}) -> lib.pool.Pool, started as root, with a user to become."""
    started = []

    def make(settings):
        conf = workdir.write("conf/textmill.conf", conf_text({
            "user": ACCOUNT.pw_name, "listen": workdir / "run" / "textmill.sock",
            "log.target": workdir / "log" / "textmill.log",
            "pool.workers_max": 1, "pool.job_workers": 0, **settings}))
        pool = Pool(workdir, program, {"USER_API_KEY": USER_KEY}, conf, as_root=True)
        pool.socket_path = settings.get("listen", pool.socket_path)
        started.append(pool)
        return pool.start()

    yield make
    for pool in started:
        pool.stop()


@as_root
def test_keys_that_the_user_cannot_read_are_refused(program, workdir, root_folder):
    keys = root_folder / "keys"
    keys.write_text("# mine\n")
    keys.chmod(0o600)
    conf = workdir.write("conf/textmill.conf", conf_text({
        "user": ACCOUNT.pw_name, "listen": workdir / "run" / "textmill.sock",
        "auth.keys_file": keys}))
    for said in refusals(program, conf):
        assert f"{keys}: cannot be read: Permission denied" in said
        assert f'as user "{ACCOUNT.pw_name}"' in said
    assert not (workdir / "run" / "textmill.sock").exists()
    keys.chmod(0o644)
    subprocess.run([program, "-t", "-c", conf], env={"USER_API_KEY": USER_KEY}, check=True,
                   capture_output=True, timeout=20)


def replace_workers(pool):
    """USR1, and waits until a new worker serves."""
    before = set(pool.workers())
    pool.signal(signal.SIGUSR1)
    wait_until(lambda: pool.workers() and not before & set(pool.workers()), "a new worker")
    assert fcgi.request(pool.socket_path).status == 200


@as_root
def test_the_log_is_the_users_and_is_opened_again(root_pool, workdir):
    log = workdir / "log" / "textmill.log"
    pool = root_pool({})
    assert log.stat().st_uid == ACCOUNT.pw_uid and log.stat().st_mode & 0o777 == 0o640
    log.rename(workdir / "log" / "textmill.log.1")
    replace_workers(pool)
    assert "log opened again" in log.read_text()


@as_root
def test_a_log_that_was_not_opened_again_is_not_said_to_be(root_pool, root_folder):
    """The file that root made is the user's, but not its folder."""
    log, moved = root_folder / "textmill.log", root_folder / "textmill.log.1"
    pool = root_pool({"log.target": log})
    assert "cannot open" not in log.read_text()
    log.rename(moved)
    replace_workers(pool)
    assert "cannot open the log again: Permission denied" in moved.read_text()
    assert "opened again," not in moved.read_text() and not log.exists()


@as_root
def test_a_log_of_others_is_told_at_the_start(root_pool, root_folder):
    log = root_folder / "textmill.log"
    log.touch(mode=0o640)
    root_pool({"log.target": log})
    wait_until(lambda: "cannot open the log again" in log.read_text(), "the warning")
    assert log.stat().st_uid == 0


@as_root
def test_a_socket_in_the_users_folder_goes_with_the_pool(root_pool, workdir):
    pool = root_pool({})
    assert stat.S_ISSOCK(pool.socket_path.stat().st_mode)
    pool.stop()
    assert not pool.socket_path.exists()
    assert "stays behind" not in (workdir / "log" / "textmill.log").read_text()


@as_root
def test_a_socket_in_roots_folder_stays_and_is_taken_over(root_pool, root_folder, workdir):
    pool = root_pool({"listen": root_folder / "textmill.sock"})
    pool.stop()
    log = (workdir / "log" / "textmill.log").read_text()
    assert f"the socket {pool.socket_path} stays behind" in log and "Permission denied" in log
    pool.start()
    assert fcgi.request(pool.socket_path).status == 200
    pool.stop()
    pool.socket_path.unlink()
