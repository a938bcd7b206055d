"""--help, as people read it: on a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from ferry_harness import command, environment, exit_codes

PAGES = [[], *([name] for name in exit_codes())]


def on_terminal(columns, *words):
    """What ferry shows on a terminal that is so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(command(*words), stdin=theirs, stdout=theirs, stderr=theirs,
                          env=environment({"COLUMNS": ""})) as process:
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # the end of a terminal
            pass
        os.close(ours)
        assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def examples(name):
    """The command lines that a page shows."""
    page = subprocess.run(command(name, "--help"), capture_output=True, text=True, timeout=60, check=True).stdout
    shown = page.partition("\nexamples\n")[2].partition("\n\n")[0]
    return re.findall(r"^  (\S.*)$", shown, re.M)


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page[0] if page else "ferry")
def test_no_line_is_wider_than_the_terminal(page, columns):
    for words in ([*page, "--help"], ["help", *page, "--all"] if page else ["help"]):
        shown = on_terminal(columns, *words)
        assert [line for line in shown.splitlines() if len(line) > columns] == []
        piped = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=True).stdout
        assert shown.split() == piped.split(), "the same words"


def test_lists_within_a_description_keep_their_columns():
    shown = on_terminal(60, "config", "--help")
    assert re.search(r"^show   \S.*\n       \S.*\n(       \S.*\n)*check  \S", shown, re.M), shown


@pytest.mark.parametrize("name", list(exit_codes()))
def test_three_examples_each_with_options_that_there_are(name):
    lines = examples(name)
    assert len(lines) == 3
    everything = subprocess.run(command("help", name, "--all"), capture_output=True, text=True,
                                timeout=60, check=True).stdout
    for line in lines:
        ours = re.search(rf"\bferry {name}\b[^|]*", line)
        assert ours, line
        for option in re.findall(r" (--[a-z-]+)", ours[0].partition(" -- ")[0]):
            assert f"{option}\n" in everything or f"{option} " in everything, line
