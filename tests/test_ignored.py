"""Names that are never registered: whoever registers a directory is told how many were passed over, by which rule."""

import pytest

from ferry_harness import put

NAMES = [".hidden.csv", "sub/.other", ".dir/below.csv", ".dir/deeper/x.csv", "a.tmp", "b.part", "sub/c.filepart",
         "d.csv.bak"]
COUNTS = {"hidden": 2, "hidden_directories": 1, "unfinished": 3, "ignore": 1}
TEXT = ("passed over: 2 hidden files and 1 hidden directory (their names begin with '.'), 3 unfinished files "
        "(*.tmp, *.part, *.filepart), 1 that the landing area is to ignore\n")


def fill(directory):
    for name in ["good.csv", *NAMES]:
        put(directory / name, b"x")


@pytest.fixture
def push(ferry, server, folder):
    (folder / "home").mkdir()
    home = {"HOME": str(folder / "home"), "XDG_STATE_HOME": ""}
    return lambda *words: ferry("push", *words, *server.options(), env=home)


def test_push_tells_what_it_passed_over(push, server, folder):
    fill(folder / "in")
    ended = push(folder / "in", "--ignore", "*.bak")
    assert ended.code == 0
    assert ended.stdout.endswith(TEXT) and ended.stdout.count("passed over") == 1
    assert server.files() == ["good.csv"]
    assert push(folder / "in", "--ignore", "*.bak", "--json").json["ignored"] == COUNTS


def test_a_directory_without_such_names_is_not_talked_about(push, folder):
    put(folder / "in/good.csv", b"x")
    ended = push(folder / "in")
    assert ended.code == 0 and "passed over" not in ended.stdout
    assert set(push(folder / "in", "--json").json["ignored"].values()) == {0}


def test_only_what_lies_in_the_given_paths_counts(push, folder):
    fill(folder / "in")
    assert "passed over" not in push(folder / "in/good.csv").stdout
    assert "passed over: 1 hidden file (its name begins with '.'), 1 unfinished file (" in push(folder / "in/sub").stdout


def test_a_single_pass_of_the_watcher_tells_it_too(ferry, landing, metastore):
    fill(landing)
    places = ["--landing", landing, "--metastore", metastore, "--ignore", "*.bak"]
    ended = ferry("watch", "--once", *places)
    assert ended.code == 0 and ended.stdout.endswith(TEXT)
    assert "rescan" in ended.stderr and "ignored=7" in ended.stderr
    assert ferry("watch", "--once", "--json", *places).json["ignored"] == COUNTS


def test_what_lies_in_quarantine_is_not_passed_over(ferry, landing, metastore):
    put(landing / "bad.txt", b"x")
    put(landing / "good.csv", b"x")
    for _ in range(2):
        ended = ferry("watch", "--once", "--json", "--landing", landing, "--metastore", metastore, "--extension", "csv")
        assert set(ended.json["ignored"].values()) == {0}
    assert (landing / ".quarantine").exists()


def test_an_area_on_a_server_tells_it_too(remote):
    fill(remote.area)
    ended = remote.ferry("watch", "--once", "--json")
    assert ended.code == 0 and ended.json["ignored"] == COUNTS
