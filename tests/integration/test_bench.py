"""The measuring works; what it measures is no matter of a test."""

import subprocess

from lib.pool import built_program
from lib.proc import ROOT


def bench(*words):
    return subprocess.run([ROOT / "bench" / "run", *words], capture_output=True, text=True,
                          timeout=120, check=False,
                          env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "TEXTMILL_BIN": str(built_program())})


def test_a_measure_is_a_row_of_the_table():
    done = bench("equal", "cgi")
    assert done.returncode == 0, done.stderr
    head, rule, equal, cgi = done.stdout.splitlines()
    assert head == "| what | measured | budget |" and set(rule) <= set("|- ")
    assert equal.endswith("| 1 | 1 |")
    assert " ms | <= 20 ms |" in cgi


def test_what_can_be_measured_is_listed():
    listed = bench("--list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == [
        "cached", "miss", "workers", "tls", "private", "idle", "cgi", "replaced", "stream", "equal"]
    assert "cannot measure nothing" in bench("nothing").stderr
