"""A share of `make test-crash`: some calls of every scenario, and a few storms."""

import pathlib
import subprocess

import pytest

from ferry_harness import FERRY, SANITIZED, environment

RUN = pathlib.Path(__file__).with_name("run")


@pytest.mark.skipif(SANITIZED, reason="sanitizers and LD_PRELOAD do not go together")
@pytest.mark.parametrize("options", [("--time", 25), ("--storms", 4, "--time", 10)],
                         ids=["systematic", "storms"])
def test_no_promise_is_broken(options):
    ended = subprocess.run([RUN, *map(str, options)], capture_output=True, text=True, check=False,
                           env=environment({"FERRY": str(FERRY)}))
    assert ended.returncode == 0, ended.stdout + ended.stderr
