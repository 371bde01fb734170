"""The pool: rude clients, signals, crashes, the socket, memory."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib import fcgi
from lib.llm import Step
from lib.pool import built_program
from lib.proc import accepts, free_port, memory_kib, wait_until
from lib.site import USER_KEY

TEXT = "A pool of workers is only as good as the worst thing that a client can do to one of them."
BODY = json.dumps({"text": TEXT, "operation": "summarize"}).encode()


def healthy(one, timeout=10.0):
    return fcgi.request(one.pool.socket_path, timeout=timeout).status == 200


def test_silent_and_one_byte_clients_pin_no_worker(site):
    one = site(server=None, workers=2, llm=False)
    rude = [fcgi.Connection(one.pool.socket_path) for _ in range(6)]
    for connection in rude[::2]:
        connection.send(b"\x01")
    began = time.monotonic()
    assert healthy(one, timeout=30)
    assert time.monotonic() - began < 20
    for connection in rude:
        connection.close()


@pytest.mark.parametrize("data", [
    b"\xff" * 64,
    fcgi.record(99, b"x" * 10),
    fcgi.begin()[:-3],
    fcgi.begin() + fcgi.record(fcgi.PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    fcgi.begin() + fcgi.params({}) + fcgi.stream(fcgi.STDIN, b""),
    fcgi.begin(role=9) + fcgi.params(fcgi.variables()) + fcgi.stream(fcgi.STDIN, b""),
    fcgi.begin() + fcgi.params(fcgi.variables("POST", "/v1/process", b"x" * 50)),
    b"GET / HTTP/1.0\r\n\r\n",
])
def test_malformed_records_do_no_harm(site, data):
    one = site(server=None, workers=1, llm=False)
    pids = one.pool.await_workers(1)
    with fcgi.Connection(one.pool.socket_path) as connection:
        connection.send(data).half_close()
        connection.read(timeout=20)
    assert healthy(one) and one.pool.workers() == pids


def test_who_never_reads_or_never_sends_pins_no_worker(site):
    """Half a minute is what each has; that the body did not come is said, and logged as such."""
    one = site(server=None, workers=2)
    one.llm.script(Step(text="word " * 400_000))
    reader, sender = (fcgi.Connection(one.pool.socket_path) for _ in range(2))
    head = fcgi.begin() + fcgi.params(fcgi.variables(
        "POST", "/v1/process", BODY, HTTP_X_API_KEY=USER_KEY))
    reader.send(head + fcgi.stream(fcgi.STDIN, BODY))
    one.llm.await_requests(1)
    sender.send(head + fcgi.record(fcgi.STDIN, BODY[:10]))
    answer = sender.read(timeout=60)
    assert answer.status == 400 and json.loads(answer.body)["code"] == "bad_request"
    assert "in time" in json.loads(answer.body)["detail"]
    wait_until(lambda: "400 bad_request: The body did not come in time." in one.log, "its line")
    assert healthy(one) and healthy(one, timeout=60)
    wait_until(lambda: "the client left before the answer was written" in one.log,
               "the reader's end", timeout=60)
    reader.close()
    sender.close()


def test_term_lets_the_request_in_hand_finish(site):
    one = site(workers=2)
    one.llm.script(Step(delay=0.5))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(one.process(TEXT)))
    caller.start()
    one.llm.await_requests(1)
    one.pool.stop(signal.SIGTERM)
    caller.join()
    assert answers[0].status == 200
    assert not one.pool.socket_path.exists()


def test_term_lets_what_waits_in_the_queue_finish(site):
    one = site(server=None, workers=1, settings={"limit.minute": 0, "limit.hour": 0})
    one.llm.script(*[Step(delay=1.2)] * 3)
    waiting = [fcgi.Connection(one.pool.socket_path) for _ in range(3)]
    for number, connection in enumerate(waiting):
        body = json.dumps({"text": f"{TEXT} {number}", "operation": "summarize"}).encode()
        connection.send(fcgi.begin() + fcgi.params(fcgi.variables(
            "POST", "/v1/process", body, HTTP_X_API_KEY=USER_KEY)) + fcgi.stream(fcgi.STDIN, body))
    one.llm.await_requests(1)
    one.pool.stop(signal.SIGTERM)
    answers = [connection.read() for connection in waiting]
    assert [(answer.status, answer.app_status) for answer in answers] == [(200, 0)] * 3
    for connection in waiting:
        connection.close()


def test_no_request_is_lost_while_workers_are_replaced(site):
    """requests_max ends workers all the time; every request is answered all the same."""
    one = site(workers=3, settings={"pool.requests_max": 5, "limit.minute": 0, "limit.hour": 0})
    statuses = [one.process(TEXT).status for _ in range(60)]
    assert set(statuses) == {200}
    one.pool.await_workers(3)


def test_kill_of_every_worker_is_survived(site):
    one = site(workers=3)
    before = one.pool.await_workers(3)
    assert one.process(TEXT).status == 200
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(one.pool.workers()) - set(before)) == 3, "three new workers")
    assert one.process(TEXT).status == 200


def test_workers_end_with_a_killed_master(site):
    one = site(workers=3)
    workers = one.pool.await_workers(3)
    process, one.pool.process = one.pool.process, None
    process.kill()
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers),
               "the workers' end")
    one.pool.start()    # the socket of the dead is taken over
    assert one.process(TEXT).status == 200


def test_workers_that_die_at_once_are_throttled(site):
    one = site(server=None, workers=1, llm=False)
    seen = set()
    for _ in range(3):
        pid = wait_until_worker(one, seen)
        seen.add(pid)
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    wait_until_worker(one, seen, timeout=15)
    assert time.monotonic() - began > 0.5, "the fourth start was not delayed"
    assert "next start in" in one.log


def wait_until_worker(one, seen, timeout=10.0):
    found = []

    def fresh():
        found[:] = [pid for pid in one.pool.workers() if pid not in seen]
        return found

    wait_until(fresh, "a new worker", timeout=timeout)
    return found[0]


def test_a_live_socket_is_not_stolen(site, program):
    one = site(server=None, workers=1, llm=False)
    second = subprocess.run([program, "-c", one.conf], env=one.env, capture_output=True,
                            text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert second.returncode != 0
    assert str(one.pool.socket_path) in second.stderr + one.log
    assert healthy(one)


def test_the_socket_has_the_configured_mode(site):
    one = site(server=None, workers=1, llm=False, settings={"pool.socket_mode": "0600"})
    assert one.pool.socket_path.stat().st_mode & 0o777 == 0o600


def test_a_worker_on_fd_0(fd0_worker):
    worker = fd0_worker(env={"USER_API_KEY": USER_KEY})
    assert fcgi.request(worker.socket_path).status == 200
    answer = fcgi.request(worker.socket_path, "POST", "/v1/process", BODY, HTTP_X_API_KEY=USER_KEY)
    assert answer.status == 200 and json.loads(answer.body)["metadata"]["provider"] == "extractive"


def test_workers_listen_to_no_tcp_beyond_loopback(program, workdir):
    conf = workdir.write("conf/textmill.conf", 'listen = "0.0.0.0:9000"\n')
    ended = subprocess.run([program, "-t", "-c", conf], env={"USER_API_KEY": USER_KEY},
                           capture_output=True, text=True, timeout=20)
    assert ended.returncode != 0 and "loopback" in ended.stderr


def test_a_tcp_listener_on_loopback(program, workdir):
    port = free_port()
    conf = workdir.write("conf/textmill.conf", f'listen = "127.0.0.1:{port}"\n')
    pool = subprocess.Popen([program, "-c", conf], env={"USER_API_KEY": USER_KEY},
                            stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: accepts(("127.0.0.1", port)), "the listener")
        assert fcgi.request(("127.0.0.1", port)).status == 200
    finally:
        pool.terminate()
        assert pool.wait(timeout=20) == 0


@pytest.mark.skipif(b"__asan_init" in built_program().read_bytes(),
                    reason="the address sanitizer keeps freed memory")
def test_private_memory_is_flat(site):
    """Every request gives back what it took: cached answers, large bodies, errors."""
    one = site(server=None, workers=1, settings={"pool.requests_max": 0, "limit.minute": 0,
                                                 "limit.hour": 0, "limit.llm_hour": 0})
    pid, = one.pool.await_workers(1)

    def serve(count):
        for _ in range(count):
            answer = fcgi.request(one.pool.socket_path, "POST", "/v1/process", BODY,
                                  HTTP_X_API_KEY=USER_KEY)
            assert answer.status == 200

    serve(500)
    first = memory_kib(pid)
    serve(4000)    # a leak of 50 bytes would show
    assert memory_kib(pid) <= first + 160
    large = json.dumps({"text": "x" * 900_000, "operation": "summarize"}).encode()
    for _ in range(10):
        assert fcgi.request(one.pool.socket_path, "POST", "/v1/process", large,
                            HTTP_X_API_KEY=USER_KEY).status == 422
    serve(10)
    assert memory_kib(pid) <= first + 256


@pytest.mark.soak
def test_private_memory_is_flat_over_100000_cached_requests(site):
    one = site(server=None, workers=1, settings={"pool.requests_max": 0, "limit.minute": 0,
                                                 "limit.hour": 0, "limit.llm_hour": 0})
    pid, = one.pool.await_workers(1)
    figures = []
    for count in range(100_001):
        assert fcgi.request(one.pool.socket_path, "POST", "/v1/process", BODY,
                            HTTP_X_API_KEY=USER_KEY).status == 200
        if count % 10_000 == 0:
            figures.append(memory_kib(pid))
    assert figures[-1] <= figures[1] + 64, figures
