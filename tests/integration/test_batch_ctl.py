"""textmillctl batch: what a sysadmin sees of asynchronous batches, and files of any length."""

import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import time

import pytest

from lib.certificates import Authority
from lib.llm import Step
from lib.pool import built_ctl
from lib.proc import free_port, wait_until
from lib.site import ADMIN_KEY, FREE, USER_KEY

SHORT = {**FREE, "limits.text_min": 1}
# Every request that is sent twice is one more LLM call.
EXACT = {**SHORT, "cache.enabled": False, "pool.job_workers": 4}
ASYNC = {"Prefer": "respond-async"}


def ctl(site, *words, key=USER_KEY, **how):
    return subprocess.run([built_ctl(), "batch", *map(str, words)], capture_output=True, text=True,
                          env={**site.env, "TEXTMILL_API_KEY": key}, timeout=60, **how)


def submit(site, name, count=2, http=None):
    requests = [{"text": f"text {number} of {name}", "operation": "summarize"}
                for number in range(count)]
    answer = (http or site.http).post("/v1/batch_process", headers=ASYNC,
                                      json={"requests": requests, "batch_id": name})
    assert answer.status == 202, answer.text


def line(number):
    return json.dumps({"text": f"Line {number}.", "operation": "summarize"}) + "\n"


def write_lines(site, count):
    path = site.dir / "data" / "texts.jsonl"
    path.write_text("".join(map(line, range(1, count + 1))))
    return path


def beside(path, ending):
    return path.with_name(f"{path.name}.{ending}.jsonl")


def rows_of(path, ending):
    """Those that were written to their end."""
    whole = [row for row in beside(path, ending).read_text().splitlines(True) if row[-1] == "\n"]
    return [json.loads(row) for row in whole]


def results_of(path):
    return rows_of(path, "results")


def sizes_of(path):
    """How many requests each batch has that was noted."""
    return [row["requests"] for row in rows_of(path, "batches")]


def begin(site, path, **how):
    return subprocess.Popen([built_ctl(), "batch", "run", path, "--url", site.url],
                            env={**site.env, "TEXTMILL_API_KEY": USER_KEY}, **how)


def finish(site, path, count):
    """Runs to the end: all lines have their results, none was asked for twice."""
    ended = ctl(site, "run", path, "--url", site.url)
    assert ended.returncode == 0, ended.stderr
    assert [row["line"] for row in results_of(path)] == list(range(1, count + 1))
    assert {row["status"] for row in results_of(path)} == {"completed"}
    assert site.llm.count == count


def test_list_show_and_cancel(site):
    one = site(settings=SHORT)
    submit(one, "first")
    submit(one, "second", http=one.http.with_key(ADMIN_KEY))
    submit(one, "first", http=one.http.with_key(ADMIN_KEY))
    listed = ctl(one, "list")
    assert listed.returncode == 0, listed.stderr
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert rows[0] == ["BATCH", "USER", "STATUS", "ITEMS", "DONE", "FAILED", "CREATED"]
    assert sorted(row[0] for row in rows[1:]) == ["first", "first", "second"]
    assert all(row[2:6] == ["pending", "2", "0", "0"] for row in rows[1:])
    users = {row[1] for row in rows[1:]}
    assert len(users) == 2
    user = one.http.get("/v1/auth/status").json()["user"]
    assert len(ctl(one, "list", "--user", user).stdout.splitlines()) == 2
    several = ctl(one, "show", "first")
    assert several.returncode == 1 and "--user" in several.stderr
    shown = ctl(one, "show", "--user", user, "first")
    assert shown.returncode == 0 and "status     pending" in shown.stdout
    assert shown.stdout.splitlines()[-2:] == ["pending", "pending"]
    cancelled = ctl(one, "cancel", "second")
    assert cancelled.returncode == 0 and "status     cancelled" in cancelled.stdout
    assert "2 cancelled" in cancelled.stdout
    assert one.http.with_key(ADMIN_KEY).get("/v1/batch_status/second").json()["status"] \
        == "cancelled"


def test_wrong_words_and_no_redis(site):
    one = site(settings=SHORT)
    assert ctl(one, "show").returncode == 2
    assert ctl(one, "show", "a", "b").returncode == 2
    assert ctl(one, "list", "--what").returncode == 2
    assert ctl(one, "run", "x").returncode == 2
    missing = ctl(one, "show", "nothing")
    assert missing.returncode == 1 and "no such asynchronous batch: nothing" in missing.stderr
    one.redis.stop()
    away = ctl(one, "list")
    assert away.returncode == 1 and "Redis" in away.stderr
    one.redis.start()


def test_a_file_is_run_in_batches(site):
    one = site(settings={**SHORT, "pool.job_workers": 4})
    path = write_lines(one, 120)
    with path.open("a") as more:
        more.write("\n" + json.dumps({"text": "x", "operation": "nothing"}) + "\n")
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1 and "some requests failed" in ended.stderr
    assert "121 of 121 done, 1 failed" in ended.stderr
    found = results_of(path)
    assert [row["line"] for row in found] == [*range(1, 121), 122], "blank lines are lines"
    assert all(row["status"] == "completed" and row["response"]["result"] for row in found[:-1])
    assert found[-1]["status"] == "failed" and found[-1]["error"]["status"] == 422
    assert one.llm.count == 120
    assert len(ctl(one, "list").stdout.splitlines()) == 1 + 3
    again = ctl(one, "run", path, "--url", one.url)
    assert "121 of 121 done" in again.stderr and one.llm.count == 120


def is_cut(path):
    """The results end within a batch."""
    written = beside(path, "results").read_bytes().count(b"\n")
    return written not in {sum(sizes_of(path)[:end]) for end in range(len(sizes_of(path)) + 1)}


def test_a_killed_run_goes_on_where_it_was(site):
    """Whenever it is killed, and however little of its last write has reached the disk."""
    one = site(settings={**EXACT, "pool.job_workers": 2})
    one.llm.always = Step(delay=0.01)
    path = write_lines(one, 250)
    noted, results = beside(path, "batches"), beside(path, "results")
    moments = [
        (signal.SIGKILL, lambda: noted.exists() and noted.stat().st_size),
        (signal.SIGINT, lambda: one.llm.count >= 10),
        (signal.SIGKILL, lambda: results.stat().st_size),
        (signal.SIGKILL, lambda: len(noted.read_bytes().splitlines()) == 5),
        (signal.SIGINT, lambda: one.llm.count >= 240),
    ]
    for number, moment in moments:
        run = begin(one, path, stderr=subprocess.DEVNULL)
        wait_until(moment, "the moment")
        run.send_signal(number)
        run.wait()
        if results.exists():
            os.truncate(results, max(results.stat().st_size - 5000, 0))
    assert is_cut(path)
    finish(one, path, 250)


def test_a_full_disk_costs_nothing_twice(site):
    one = site(settings=EXACT)
    path = write_lines(one, 250)
    cut = 0
    for most in (100, 5000, 40000, 70000, 100000):
        def full(most=most):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        ended = ctl(one, "run", path, "--url", one.url, preexec_fn=full)
        assert ended.returncode == 1 and ".jsonl: File too large" in ended.stderr, ended.stderr
        cut += is_cut(path)
    assert cut >= 3, "the disk was full in the middle of a batch"
    finish(one, path, 250)
    assert sizes_of(path) == [50] * 5


def test_what_is_appended_meanwhile_is_of_the_next_run(site):
    one = site(settings={**EXACT, "pool.job_workers": 1})
    one.llm.always = Step(delay=0.01)
    path = write_lines(one, 70)
    run = begin(one, path, stderr=subprocess.DEVNULL)
    wait_until(lambda: one.llm.count, "the first call")
    with path.open("a") as more:
        more.writelines(map(line, range(71, 101)))
    run.kill()
    run.wait()
    run = begin(one, path, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(sizes_of(path)) == 3, "all batches")
    with path.open("a") as more:
        more.write(line(101) + line(102)[:-1])
    assert "100 of 100 done" in run.communicate(timeout=30)[1]
    assert one.llm.count == 100
    finish(one, path, 102)
    assert sizes_of(path) == [50, 20, 30, 2]


@pytest.mark.parametrize("change, at", [
    (lambda lines: [*lines[:54], line(99), *lines[55:]], 51),
    (lambda lines: ["\n", *lines], 1),
    (lambda lines: lines[1:], 1),
    (lambda lines: lines[:-1], 51),
], ids=["edited", "blank line", "first line gone", "last line gone"])
def test_a_file_that_was_changed_is_refused(site, change, at):
    one = site(settings=EXACT)
    path = write_lines(one, 60)
    finish(one, path, 60)
    before = beside(path, "results").read_bytes()
    kept = path.read_text()
    path.write_text("".join(change(kept.splitlines(True))) + line(61))
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1 and f"{path}:{at}: changed, here or in" in ended.stderr
    assert one.llm.count == 60 and beside(path, "results").read_bytes() == before
    path.write_text(kept + line(61))
    finish(one, path, 61)


def test_a_run_without_its_notes_finds_its_batches(site):
    one = site(settings=EXACT)
    path = write_lines(one, 120)
    finish(one, path, 120)
    beside(path, "batches").unlink()
    results = beside(path, "results")
    results.write_text("".join(results.read_text().splitlines(True)[:72]))
    finish(one, path, 120)
    assert sizes_of(path) == [50, 50, 20]


def test_a_batch_that_the_server_has_lost_is_sent_again(site):
    one = site(settings={**EXACT, "pool.job_workers": 1})
    one.llm.always = Step(silent=True)
    path = write_lines(one, 60)
    run = begin(one, path, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(one.redis.keys("tm:batch:*:state")) == 2, "both batches")
    one.llm.await_requests(1)
    one.redis.call("FLUSHALL")
    one.llm.always = None
    one.llm.release()
    assert run.wait(timeout=30) == 0, run.stderr.read()
    run.stderr.close()
    assert [row["line"] for row in results_of(path)] == list(range(1, 61))
    assert sizes_of(path) == [50, 10]


def test_a_run_waits_for_its_limit(site):
    one = site(settings={**SHORT, "pool.job_workers": 4, "limit.minute": 600})
    path = write_lines(one, 610)
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 0, ended.stderr
    assert "rate limit reached: going on in" in ended.stderr
    assert [row["line"] for row in results_of(path)] == list(range(1, 611))


def test_what_is_in_hand_when_its_batch_is_cancelled_is_waited_for(site):
    one = site(settings={**EXACT, "pool.job_workers": 1})
    one.llm.always = Step(silent=True)
    path = write_lines(one, 3)
    run = begin(one, path, stderr=subprocess.PIPE, text=True)
    one.llm.await_requests(1)
    [noted] = rows_of(path, "batches")
    cancelled = one.http.delete(f"/v1/batch_status/{noted['batch_id']}").json()
    assert [item["status"] for item in cancelled["results"]].count("processing") == 1
    log = one.dir / "log" / "access.log"
    looks = log.read_text().count('"GET ')
    wait_until(lambda: log.read_text().count('"GET ') >= looks + 2, "another look")
    assert run.poll() is None and results_of(path) == []
    one.llm.always = None
    one.llm.release()
    assert "3 of 3 done, 2 failed" in run.communicate(timeout=30)[1] and run.returncode == 1
    assert sorted(row["status"] for row in results_of(path)) == \
        ["cancelled", "cancelled", "completed"]


def test_a_limit_below_the_usual_size_makes_smaller_batches(site):
    one = site(settings={**EXACT, "limit.minute": 49})
    path = write_lines(one, 52)
    finish(one, path, 52)
    assert sizes_of(path) == [25, 25, 2]
    os.truncate(beside(path, "results"), beside(path, "results").stat().st_size * 2 // 3)
    finish(one, path, 52)
    assert sizes_of(path) == [25, 25, 2]


def test_batches_of_an_earlier_limit_are_found(site):
    """Also where the server would not take them today; one it never had is cut, in its place."""
    one = site(settings={**EXACT, "pool.job_workers": 0})
    path = write_lines(one, 60)
    run = begin(one, path, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(one.redis.keys("tm:batch:*:state")) == 2, "both batches")
    run.kill()
    run.wait()
    one.redis.call("DEL", *one.redis.keys("tm:batch:*-51}*"))
    one.pool.stop()
    one.pool.env.update(TEXTMILL_LIMIT_MINUTE="9", TEXTMILL_POOL_JOB_WORKERS="2")
    one.pool.start()
    finish(one, path, 60)
    assert sizes_of(path) == [50, 5, 5]


@pytest.mark.parametrize("limit, sizes", [
    ({"limits.body": "1k"}, [13, 12, 13, 12]),
    ({"limits.batch_max": 20}, [13, 12, 13, 12]),
], ids=["body", "items"])
def test_a_batch_that_is_too_large_for_the_server_is_split(site, limit, sizes):
    one = site(settings={**EXACT, **limit})
    path = write_lines(one, 50)
    finish(one, path, 50)
    assert sizes_of(path) == sizes


def test_a_request_that_is_too_large_for_the_server_is_named(site):
    one = site(settings={**EXACT, "limits.body": "1k"})
    path = write_lines(one, 2)
    with path.open("a") as more:
        more.write("\n" + json.dumps({"text": "word " * 300, "operation": "summarize"}) + "\n")
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1 and f"{path}:4: the server does not even take" in ended.stderr
    assert "refused with 413" in ended.stderr


def test_a_run_goes_on_after_502(site):
    one = site(settings={**EXACT, "pool.job_workers": 1})
    one.llm.always = Step(delay=0.01)
    path = write_lines(one, 120)
    log = one.dir / "log" / "run.err"
    with log.open("w") as err:
        run = begin(one, path, stderr=err)
    one.llm.await_requests(5)
    one.pool.stop()
    wait_until(lambda: "refused with 502" in log.read_text(), "the first 502")
    one.pool.start()
    assert run.wait(timeout=40) == 0, log.read_text()
    finish(one, path, 120)


def test_a_run_waits_for_a_server_that_hangs(site):
    one = site(settings={**SHORT, "pool.job_workers": 2})
    path = write_lines(one, 60)
    one.pool.signal(signal.SIGSTOP)
    for pid in one.pool.workers():
        os.kill(pid, signal.SIGSTOP)
    run = subprocess.Popen([built_ctl(), "batch", "run", path, "--url", one.url],
                           env={**one.env, "TEXTMILL_API_KEY": USER_KEY}, text=True,
                           stderr=subprocess.PIPE)
    time.sleep(0.3)
    assert run.poll() is None
    for pid in one.pool.workers():
        os.kill(pid, signal.SIGCONT)
    one.pool.signal(signal.SIGCONT)
    assert run.wait(timeout=30) == 0, run.stderr.read()
    run.stderr.close()
    assert len(results_of(path)) == 60


TOO_LONG = b'{"text": "' + b"x" * 1000 * 1000 + b'"}\n'


@pytest.mark.parametrize("content, told", [
    (b"{}\n\n{}\n[1]\n{}\n", "{path}:4: no JSON object"),
    (b"{}\n{\"text\": \"x\"", "{path}:2: no JSON object"),
    (b"{}\n{}\0\n", "{path}:2: no JSON object"),
    (b'{}\n{"text": "\xff"}\n', "{path}:2: not UTF-8"),
    (b'{"a":' * 70 + b"1" + b"}" * 70 + b"\n", "{path}:1: nested too deeply"),
    (b"{}\n" + TOO_LONG, "{path}:2: too long: 1000012 bytes, not at most 921600"),
    (b"", "{path}: no request in it"),
    (b"\n \r\n", "{path}: no request in it"),
], ids=["no object", "torn", "NUL", "not UTF-8", "deep", "long", "empty", "blank"])
def test_a_mistake_in_the_file_is_told_before_anything_is_sent(shared_site, content, told):
    one = shared_site(settings=SHORT)
    path = one.dir / "data" / "wrong.jsonl"
    path.write_bytes(content)
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1
    assert ended.stderr == f"textmillctl: {told.format(path=path)}\n"
    assert not beside(path, "results").exists() and one.redis.keys("tm:jobs*") == []


def test_what_cannot_be_read_again_is_refused(shared_site):
    one = shared_site(settings=SHORT)
    fifo = one.dir / "data" / "fifo"
    os.mkfifo(fifo)
    for path, more in ((fifo, {}), ("/dev/stdin", {"input": line(1)}), (one.dir / "data", {})):
        ended = ctl(one, "run", path, "--url", one.url, **more)
        assert ended.returncode == 1 and f"{path}: no regular file" in ended.stderr
    ended = ctl(one, "run", "/nowhere", "--url", one.url)
    assert ended.returncode == 1 and "/nowhere: No such file" in ended.stderr


@pytest.mark.parametrize("ending", ["results", "batches"])
def test_files_that_cannot_be_written_are_told(shared_site, ending):
    one = shared_site(settings=SHORT)
    path = write_lines(one, 3)
    beside(path, ending).mkdir()
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1
    assert f"{beside(path, ending)}: Is a directory" in ended.stderr
    beside(path, ending).rmdir()
    beside(path, ending).symlink_to("/dev/full")
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1 and f"{beside(path, ending)}: no regular file" in ended.stderr
    beside(path, ending).unlink()
    assert one.redis.keys("tm:jobs*") == []


def test_results_that_are_not_of_this_file_are_told(site):
    one = site(settings=EXACT)
    path = write_lines(one, 3)
    results = beside(path, "results")
    with results.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = ctl(one, "run", path, "--url", one.url)
        assert ended.returncode == 1 and f"{results}: another run is writing" in ended.stderr
    for content, told in (("{}\n" * 3, ":1: not the result of"),
                          ('{"line":1}\n{"line":3}\n', f":2: not the result of {path}:2:"),
                          ("".join(f'{{"line":{n}}}\n' for n in range(1, 5)), "has more lines")):
        results.write_text(content)
        ended = ctl(one, "run", path, "--url", one.url)
        assert ended.returncode == 1 and told in ended.stderr, ended.stderr
        assert results.read_text() == content
    noted = beside(path, "batches")
    noted.write_text("[]\n")
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1 and f"{noted}:1: not as this command" in ended.stderr
    assert one.llm.count == 0


def test_keys_and_addresses_that_do_not_serve_are_told(shared_site, llm, workdir):
    one = shared_site(settings=SHORT)
    path = write_lines(one, 3)
    ended = ctl(one, "run", path, "--url", one.url, key="wrong-key-0123456789abcdef")
    assert ended.returncode == 1 and "refused with 401" in ended.stderr
    assert "wrong-key" not in ended.stderr
    ended = ctl(one, "run", path, "--url", one.url, key="")
    assert ended.returncode == 1 and "refused with 401: no API key" in ended.stderr
    ended = ctl(one, "run", path, "--url", one.url, key="a key\r\nX: y")
    assert ended.returncode == 1 and "TEXTMILL_API_KEY: holds no API key" in ended.stderr
    for content, told in (("", "cannot read the key"), ("\n", "holds no API key")):
        key_file = one.dir.write("conf/key", content)
        ended = ctl(one, "run", path, "--url", one.url, "--key-file", key_file)
        assert ended.returncode == 1 and f"{key_file}: {told}" in ended.stderr
    ended = ctl(one, "run", path, "--url", "ftp://nowhere")
    assert ended.returncode == 1 and "ftp://nowhere: not an address" in ended.stderr
    away = f"http://127.0.0.1:{free_port()}"
    ended = ctl(one, "run", path, "--url", away)
    assert ended.returncode == 1 and f"no answer from {away}" in ended.stderr
    authority = Authority(workdir)
    server = llm(host="localhost", certificate=authority.certificate())
    for more, told in (((), f"no answer from {server.root}: SSL"),
                       (("--ca-file", "/nowhere"), f"no answer from {server.root}: "),
                       (("--ca-file", authority.ca_file), "refused with 404: no textmill there?")):
        ended = ctl(one, "run", path, "--url", server.root, *more)
        assert ended.returncode == 1 and told in ended.stderr, ended.stderr
        assert "trying on" not in ended.stderr
    assert one.redis.keys("tm:jobs*") == []


def test_a_terminal_gets_a_bar(site):
    one = site(settings={**SHORT, "pool.job_workers": 1})
    path = write_lines(one, 5)
    key_file = one.dir.write("conf/key", USER_KEY + "\n")
    master, slave = pty.openpty()
    run = subprocess.Popen([built_ctl(), "batch", "run", "--key-file", key_file, path, "--url",
                            one.url], env=one.env, stderr=slave)
    os.close(slave)
    assert run.wait(timeout=30) == 0
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert "\r[##############################] 5/5  0 failed" in shown
