import os
import pathlib
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[1])]

from machine import Machine  # noqa: E402  (needs the path)


def pytest_configure():
    if os.geteuid() != 0:
        pytest.exit("only root may make namespaces and boot a system in them", returncode=1)


@pytest.fixture(scope="module")
def machine():
    running = Machine()
    yield running
    running.shut_down()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the machine said last."""
    outcome = yield
    report = outcome.get_result()
    running = item.funcargs.get("machine")
    if report.failed and running:
        journal = running.output("journalctl", "--no-pager", "--lines=60")
        report.sections.append(("the machine's journal", journal))
