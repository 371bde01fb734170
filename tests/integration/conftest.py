"""Fixtures of the integration tests: real servers, put together per test, gone after it."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from lib import leftovers  # noqa: E402
from lib.llm import LLM  # noqa: E402
from lib.pool import Fd0Worker, Program, conf_text  # noqa: E402
from lib.proc import Workdir  # noqa: E402
from lib.site import PROVIDER_KEY, Site  # noqa: E402

IN_TEST, IN_MODULE = [], []    # directories of the sites that live as long as each
IN_USE = []                    # those of IN_MODULE that the test in hand has asked for


def pytest_addoption(parser):
    parser.addoption("--soak", type=float, default=0, metavar="SECONDS",
                     help="run the tests marked soak, each for so long")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: runs for long; only with --soak SECONDS")
    # Ended from outside, the run still takes its servers down.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--soak"):
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test's report ends with the logs of its servers."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for workdir in IN_TEST + IN_USE:
            for name, text in workdir.logs():
                report.sections.append((f"{workdir}/log/{name}", text))
    if call.when == "teardown":
        _remove(IN_TEST)
        IN_USE.clear()


def pytest_sessionfinish():
    _remove(IN_TEST)
    _remove(IN_MODULE)


def _remove(workdirs):
    while workdirs:
        workdirs.pop().remove()


def _assert_nothing_left(workdirs):
    troubles = [trouble for workdir in workdirs for trouble in leftovers.of(workdir.path)]
    assert not troubles, "\n".join(troubles)


@pytest.fixture(scope="session")
def program():
    """Path of the binary under test, where every account can reach it."""
    copy = Program()
    yield copy.path
    copy.remove()


@pytest.fixture(autouse=True)
def no_leftovers():
    """Runs after all else: no process, socket or sanitizer report is left of a test."""
    yield
    _assert_nothing_left(IN_TEST)


@pytest.fixture
def workdir():
    """A directory for a test that starts its servers itself."""
    made = Workdir()
    IN_TEST.append(made)
    return made


def _close(sites):
    troubles = []
    while sites:
        try:
            sites.pop().close()
        except AssertionError as trouble:
            troubles.append(str(trouble))
    assert not troubles, "; ".join(troubles)


@pytest.fixture
def llm():
    """llm(key=PROVIDER_KEY, host=..., certificate=...) -> lib.llm.LLM: one more of them."""
    started = []

    def make(key=PROVIDER_KEY, **how):
        started.append(LLM(key, **how))
        return started[-1]

    yield make
    for one in started:
        one.stop()


@pytest.fixture
def site(program):
    """site(server="nginx"|"apache-proxy"|"mod_fcgid"|"cgi"|None, workers=2, settings={...},
    env={...}, redis=True, llm=True, mount="", extra="", providers={...}) -> lib.site.Site.
    server=None starts the pool alone, to be spoken to with lib.fcgi. A value None in env takes a
    variable away."""
    sites = []

    def make(**how):
        sites.append(Site(program, into=IN_TEST, **how))
        return sites[-1]

    yield make
    _close(sites)


@pytest.fixture(scope="module")
def shared_site(program):
    """As site, but the same call gives the same site to all tests of a module: for tests that
    leave it as they found it, where starting servers would take most of the time."""
    sites, workdirs = {}, []

    def make(**how):
        name = repr(sorted(how.items()))
        if name not in sites:
            sites[name] = Site(program, into=workdirs, **how)
            IN_MODULE[:] = workdirs
        IN_USE.append(sites[name].dir)
        return sites[name]

    yield make
    try:
        _close(list(sites.values()))
        _assert_nothing_left(workdirs)
    finally:
        _remove(IN_MODULE)


@pytest.fixture
def fd0_worker(program, workdir):
    """fd0_worker(settings={...}, env={...}) -> lib.pool.Fd0Worker, one worker on fd 0."""
    started = []

    def make(settings=None, env=None):
        conf = workdir.write("conf/textmill.conf", conf_text(
            {"log.target": workdir / "log" / "textmill.log", **(settings or {})}))
        worker = Fd0Worker(workdir, program, env or {}, conf)
        started.append(worker)
        return worker.start()

    yield make
    for worker in started:
        worker.stop()
