"""Asynchronous batches while workers, whole services and Redis are killed at random: afterwards
nothing is missing, double or paid for twice."""

import collections
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.batches import await_end, queue_is_empty, submit
from lib.pool import Jobs
from lib.llm import Step
from lib.proc import children_of, kill_all, name_of, wait_until
from lib.site import FREE

WORKERS = 4
SETTINGS = {**FREE, "jobs.claim_after": "2s", "batch.concurrency": 5, "breaker.threshold": 1000}


class Pooled:
    """A pool with job workers behind nginx."""

    def __init__(self, site):
        self.site = site(settings={**SETTINGS, "pool.job_workers": WORKERS}, aof=True)

    def workers(self):
        return self.site.pool.job_workers()

    def kill_worker(self, pid):
        os.kill(pid, signal.SIGKILL)

    def kill_all(self):
        self.site.pool.kill()
        self.site.pool.start()

    def close(self):
        """The site stops its pool."""


class Fcgid:
    """mod_fcgid, which starts the workers that take batches, and textmill --jobs beside it."""

    def __init__(self, site, program):
        self.site = site(server="mod_fcgid", settings=SETTINGS, aof=True)
        self.jobs = [Jobs(self.site.dir, program, self.site.env, self.site.conf)
                     for _ in range(WORKERS)]
        for one in self.jobs:
            one.start()

    def workers(self):
        return [one.pid for one in self.jobs]

    def kill_worker(self, pid):
        one, = [one for one in self.jobs if one.pid == pid]
        one.kill()
        one.start()

    def kill_all(self):
        children = children_of(self.site.web.pid, deep=True)
        kill_all([pid for pid in children if name_of(pid) == "textmill"])
        for pid in self.workers():
            self.kill_worker(pid)

    def close(self):
        for one in self.jobs:
            one.stop()


class Havoc(threading.Thread):
    """Kills until told to stop; counts how many LLM requests were under way at each kill: so many
    calls may be made again."""

    def __init__(self, shape, seed):
        super().__init__(daemon=True)
        self.shape, self.random = shape, random.Random(seed)
        self.enough = threading.Event()
        self.kills = collections.Counter()
        self.in_flight = 0
        self.trouble = None

    def run(self):
        try:
            while not self.enough.wait(self.random.uniform(0.3, 1.2)):
                kind = self.random.choices(("worker", "all", "redis"), (6, 2, 1))[0]
                getattr(self, kind)()
                self.kills[kind] += 1
        except (AssertionError, OSError) as trouble:
            self.trouble = trouble

    def worker(self):
        found = self.shape.workers()
        if found:
            self.in_flight += 1
            self.shape.kill_worker(self.random.choice(found))

    def all(self):
        self.in_flight += len(self.shape.workers())
        self.shape.kill_all()

    def redis(self):
        # What had its answer but not yet its result in Redis may be asked again.
        self.in_flight += len(self.shape.workers())
        self.shape.site.redis.kill()
        time.sleep(self.random.uniform(0, 0.3))
        self.shape.site.redis.start()


def await_accepted(site, name, count):
    """Submits until accepted: a refusal means that Redis or the workers were just away."""
    def accepted():
        try:
            answer = submit(site, count, name)
        except OSError:
            return False
        assert answer.status in (202, 409, 500, 502, 503, 504), answer.text
        return answer.status in (202, 409)
    wait_until(accepted, f"batch {name} accepted", 60)


def check_results(found, items):
    """Every item has its result, in its place; the words of those that completed."""
    assert found["completed"] + found["failed"] == items == len(found["results"])
    words = {}
    for index, entry in enumerate(found["results"]):
        assert entry["request_index"] == index
        if entry["status"] == "failed":
            assert entry["error"]["code"] in ("llm_unavailable", "deadline_exceeded"), entry
        else:
            words[found["batch_id"], index] = entry["response"]["result"]
    return words


def survive(shape, batches, items, seconds, seed):
    """Runs batches under havoc for about so long."""
    site, total, words = shape.site, batches * items, {}
    site.llm.always = Step(delay=seconds * WORKERS / total)
    havoc = Havoc(shape, seed)
    havoc.start()
    with ThreadPoolExecutor(4) as submitters:
        list(submitters.map(lambda n: await_accepted(site, f"h{n}", items), range(batches)))
    havoc.enough.wait(seconds)
    havoc.enough.set()
    havoc.join()
    assert not havoc.trouble, havoc.trouble
    for number in range(batches):
        found = await_end(site, f"h{number}", timeout=60, patient=True)
        words.update(check_results(found, items))
    assert queue_is_empty(site)
    assert len(set(words.values())) == len(words), "an item has another one's answer"
    print(f"{havoc.kills}, {site.llm.count} calls for {total} items, "
          f"{havoc.in_flight} in flight at kills")
    assert len(words) <= site.llm.count <= total + havoc.in_flight
    assert sum(havoc.kills.values()) > 0


@pytest.fixture(params=["pool", "mod_fcgid"])
def shape(request, site, program):
    built = Pooled(site) if request.param == "pool" else Fcgid(site, program)
    yield built
    built.close()


def test_batches_survive_kills(shape):
    survive(shape, 5, 20, 4, seed=1)


@pytest.mark.soak
def test_batches_survive_a_minute_of_kills(shape, request):
    survive(shape, 20, 50, request.config.getoption("--soak"), seed=7)
