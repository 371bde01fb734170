"""For long: the same workers answer everything, and their memory stays flat."""

import time

import pytest

from lib.proc import children_of, memory_kib
from lib.site import ADMIN_KEY

TEXT = "The river carries the boats {} miles to the sea, and the tide brings them home again."
GROWTH_KIB = 256    # that a worker's memory may differ by


@pytest.mark.soak
def test_workers_live_on_and_do_not_grow(request, site):
    seconds = request.config.getoption("--soak")
    here = site(workers=2, settings={
        "limit.minute": 1000000, "limit.hour": 1000000, "limit.admin_hour": 1000000,
        "limit.llm_hour": 1000000, "pool.requests_max": 100000000})
    http = here.http.with_key(ADMIN_KEY)
    workers, warm, count = here.pool.workers(), None, 0
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        # Three of four are hits; one in 500 has a body of 1 MB that is refused.
        answer = here.process(TEXT.format(count // 4), http=http)
        assert answer.status == 200, answer.text
        assert answer.json()["cache_hit"] is (count % 4 != 0)
        if count % 500 == 0:
            assert here.process("x" * 1000000, http=http).status == 422
        count += 1
        if warm is None and time.monotonic() > begin + seconds / 4:
            warm = [memory_kib(pid) for pid in workers]
    assert children_of(here.pool.pid) == workers
    grown = [memory_kib(pid) - before for pid, before in zip(workers, warm)]
    assert max(grown) < GROWTH_KIB, f"{count} requests: {warm} KiB grew by {grown}"
