"""ferry list: which rows, in which order, with which columns; and as they come."""

import os

import pytest

from ferry_harness import Process, eventually, put
from shell_session import ShellSession


@pytest.fixture
def listed(configured, landing):
    """Three files; b has two of them, c none, of which one has failed for good."""
    configured.write("")
    put(landing / "big.csv", b"x" * 5000)
    put(landing / "orders/small.csv", b"x")
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    put(landing / "late.txt", b"xyz")
    configured.register()

    def run(*words, code=0):
        ended = configured.run("list", *words)
        assert ended.code == code, ended.stderr
        return ended

    return run


def paths(ended):
    return [line["path"] for line in ended.json_lines]


def test_filters(listed):
    pending_for_b = listed("--status", "pending", "--destination", "b", "--json")
    assert paths(pending_for_b) == ["late.txt"]
    both = listed("--status", "pending,successful", "--destination", "b", "--json")
    assert sorted(paths(both)) == ["big.csv", "late.txt", "orders/small.csv"]
    assert sorted(paths(listed("--match", "*.csv", "--destination", "b", "--json"))) == [
        "big.csv", "orders/small.csv"]
    assert paths(listed("--match", "orders/*", "--destination", "b", "--json")) == [
        "orders/small.csv"]
    assert sorted(paths(listed("--landing", "in", "--destination", "c", "--json"))) == [
        "big.csv", "late.txt", "orders/small.csv"]
    assert paths(listed("--until", "1h", "--json")) == []
    assert len(paths(listed("--since", "1h", "--destination", "b", "--json"))) == 3


def test_a_landing_area_that_nobody_knows_is_told(listed, folder):
    assert "--landing NOPE: no such area is configured" in listed("--landing", "NOPE", code=2).stderr
    (folder / "unused").mkdir()
    assert paths(listed("--landing", str(folder / "unused"), "--json")) == []


def test_order_and_columns(listed):
    assert paths(listed("--sort", "size", "--destination", "b", "--json")) == [
        "big.csv", "late.txt", "orders/small.csv"]
    assert paths(listed("--sort", "path", "--destination", "b", "--json")) == [
        "big.csv", "late.txt", "orders/small.csv"]
    lines = listed("--columns", "path,destination", "--sort", "path").stdout.splitlines()
    assert lines == ["big.csv  to b", "big.csv  to c", "late.txt  to b", "late.txt  to c",
                     "orders/small.csv  to b", "orders/small.csv  to c"]
    assert " to c" in listed().stdout  # there are two
    assert " to " not in listed("--destination", "b").stdout


@pytest.mark.parametrize("words, message", [
    (["--sort", "colour"], "--sort: 'colour' is not one of registered"),
    (["--columns", "path,sise"], "did you mean 'size'?"),
    (["--status", "pending,done"], "--status: 'done' is not one of"),
    (["--since", "25:00"], "is not a time: write 2h (ago)"),
    (["--follow", "--sort", "size"], "--follow shows what changes")])
def test_mistakes_are_told(listed, words, message):
    assert message in listed(*words, code=2).stderr


def test_given_up_is_asked_for_by_its_name(configured, landing, server):
    configured.write("")
    put(landing / "a.csv", b"a")
    put(landing / "fine.csv", b"f")
    configured.register()
    (server.root / "a.csv").mkdir()  # no file gets a directory's name
    ended = configured.transfer("--to", "b", "--max-attempts", "1")
    assert ended.code == 1
    text = '[transfer]\nmax_attempts = 1\n'
    configured.file.write_text(configured.file.read_text() + text)
    rows = configured.run("list", "--status", "given_up", "--json").json_lines
    assert [(row["path"], row["destination"]) for row in rows] == [("a.csv", "b")]
    status = configured.run("status").stdout
    assert "  given up          1   'ferry list --status given_up' says why" in status


def test_following(configured, landing, folder, listed):
    process = Process(folder, "list", "--follow", "--destination", "b", "--json", "--config",
                      configured.file)
    try:
        # It has looked once when it waits for changes: what comes then is new.
        eventually(lambda: os.path.exists(f"/proc/{process.popen.pid}/fd") and any(
            "inotify" in os.readlink(f"/proc/{process.popen.pid}/fd/{fd}")
            for fd in os.listdir(f"/proc/{process.popen.pid}/fd")), what="the look at changes")
        put(landing / "new.csv", b"new")
        configured.register()
        assert configured.transfer("--to", "b").code == 0
        out = process.popen.stdout
        lines = []

        def came():
            lines.append(out.readline())
            return b"new.csv" in lines[-1] and b'"successful"' in lines[-1]

        eventually(came, what="the delivery")
        assert not any(b"big.csv" in line for line in lines)
    finally:
        ended = process.stop()
    assert ended.code == 0


def test_following_one_file(configured, landing, folder, listed):
    process = Process(folder, "history", "late.txt", "--follow", "--config", configured.file)
    try:
        out = process.popen.stdout
        assert b"late.txt" in out.readline()
        assert configured.transfer("--to", "b").code == 0
        eventually(lambda: b"successful   to b" in out.readline(), what="the delivery")
    finally:
        ended = process.stop()
    assert ended.code == 0
