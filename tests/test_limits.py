"""Limits that the system sets (setrlimit(2)): errors like others, which end nothing by force."""

import subprocess

import pytest

from ferry_harness import SANITIZED, check_exit_code, command, environment, put

GIB = 1 << 30


def run_within(limits, *arguments):
    ended = subprocess.run(["prlimit", *limits, *command(*arguments)], capture_output=True, text=True,
                           env=environment(), timeout=120, check=False)
    assert ended.returncode >= 0, f"killed by signal {-ended.returncode}: {ended.stderr}"
    check_exit_code(arguments, ended.returncode)
    return ended


def test_a_file_that_may_not_grow(ferry, landing, metastore):
    put(landing / "a.csv", b"a")
    arguments = ["watch", "--once", "--landing", landing, "--metastore", metastore]
    ended = run_within(["--fsize=100"], *arguments)
    assert ended.returncode == 4 and "File too large" in ended.stderr, ended.stderr
    assert ferry(*arguments).code == 0


# A thread takes as much of the address space as the stack may have.
FEW_THREADS = [f"--stack={GIB}", f"--as={4 * GIB}"]


@pytest.mark.skipif(bool(SANITIZED), reason="a sanitizer needs more address space")
def test_fewer_threads_than_wanted_read_files(landing, metastore):
    for number in range(20):
        put(landing / f"{number}.csv", b"%d" % number)
    ended = run_within(FEW_THREADS, "watch", "--once", "--hash-threads", "8", "--landing", landing,
                       "--metastore", metastore)
    assert ended.returncode == 0, ended.stderr
    assert "fewer threads" in ended.stderr and "registered 20 files" in ended.stdout
