"""textmillctl batch: what a sysadmin sees of asynchronous batches, and files of any length."""

import json
import os
import pty
import signal
import subprocess
import time

from lib.llm import Step
from lib.pool import built_ctl
from lib.proc import wait_until
from lib.site import ADMIN_KEY, FREE, USER_KEY

SHORT = {**FREE, "limits.text_min": 1}
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


def write_lines(site, count):
    path = site.dir / "data" / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"Line {number}.", "operation": "summarize"})
                            + "\n" for number in range(1, count + 1)))
    return path


def results_of(path):
    return [json.loads(line) for line in
            path.with_name(path.name + ".results.jsonl").read_text().splitlines()]


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
    assert [row["line"] for row in found] == list(range(1, 122))
    assert all(row["status"] == "completed" and row["response"]["result"] for row in found[:-1])
    assert found[-1]["status"] == "failed" and found[-1]["error"]["status"] == 422
    assert one.llm.count == 120
    assert len(ctl(one, "list").stdout.splitlines()) == 1 + 3
    again = ctl(one, "run", path, "--url", one.url)
    assert "121 of 121 done" in again.stderr and one.llm.count == 120


def test_a_killed_run_goes_on_where_it_was(site):
    one = site(settings={**SHORT, "pool.job_workers": 2})
    one.llm.always = Step(delay=0.02)
    path = write_lines(one, 150)
    run = subprocess.Popen([built_ctl(), "batch", "run", path, "--url", one.url],
                           env={**one.env, "TEXTMILL_API_KEY": USER_KEY},
                           stderr=subprocess.DEVNULL)
    results = path.with_name(path.name + ".results.jsonl")
    wait_until(lambda: results.exists() and results.stat().st_size, "first results")
    run.kill()
    run.wait()
    with results.open("a") as torn:
        torn.write('{"line":51,"status":"comp')
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 0, ended.stderr
    found = results_of(path)
    assert [row["line"] for row in found] == list(range(1, 151))
    assert {row["status"] for row in found} == {"completed"}
    assert one.llm.count == 150, "what was sent before is not done again"


def test_a_run_waits_for_its_limit(site):
    one = site(settings={**SHORT, "pool.job_workers": 4, "limit.minute": 600})
    path = write_lines(one, 610)
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 0, ended.stderr
    assert "rate limit reached: going on in" in ended.stderr
    assert [row["line"] for row in results_of(path)] == list(range(1, 611))


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


def test_mistakes_are_told_before_anything_is_sent(site):
    one = site(settings=SHORT)
    path = write_lines(one, 3)
    with path.open("a") as more:
        more.write("[1]\n")
    ended = ctl(one, "run", path, "--url", one.url)
    assert ended.returncode == 1 and "request 4 is no JSON object" in ended.stderr
    path = write_lines(one, 3)
    ended = ctl(one, "run", path, "--url", one.url, key="wrong-key-0123456789abcdef")
    assert ended.returncode == 1 and "refused with 401" in ended.stderr
    assert "wrong-key" not in ended.stderr
    assert ctl(one, "run", path, "--url", "ftp://nowhere").returncode == 1
    assert ctl(one, "run", "/nowhere", "--url", one.url).returncode == 1
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
