"""How the program starts: what it was built with, what it refuses, whose its files become."""

import subprocess

import pytest

from lib.pool import built_ctl, built_program

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
