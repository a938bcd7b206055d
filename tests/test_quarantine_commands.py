"""How 'ferry quarantine' ends: whose trouble it is, and what it does not know."""

import json
import os
import signal
import uuid

import pytest

from ferry_harness import eventually, put
from landing_site import humble_ferry
from line_proxy import Line
from silent_server import SilentServer

EMPTY = 'empty = "quarantine"'


@pytest.fixture
def held_site(site, folder):
    made = site(east=EMPTY)
    for name in ("one", "two"):
        put(folder / "east" / name, b"")
    assert made.watch_once()["quarantined"] == 2
    return made


@pytest.fixture
def held_remote(remote):
    remote.reach_a_by(remote.a, EMPTY)
    for name in ("one", "two"):
        put(remote.area / name, b"")
    remote.register()
    return remote


def states(site, path):
    return [row.get("state", "ready") for row in site.rows(path)]


# Whose trouble it is.


def test_a_metastore_that_cannot_be_read_is_its_trouble(held_site):
    registry = held_site.metastore / "file_registry.jsonl"
    registry.rename(held_site.metastore / "kept")
    registry.mkdir()
    for words in (("list",), ("release", "one"), ("drop", "one")):
        ended = held_site.ferry("quarantine", *words)
        assert ended.code == 4, (words, ended.stderr)


@pytest.mark.parametrize("words", [("release", "one"), ("drop", "one"), ("drop", "--all")])
@pytest.mark.parametrize("where", ["here", "on a server"])
def test_a_metastore_that_cannot_be_written_is_its_trouble(request, where, words):
    held = request.getfixturevalue("held_site" if where == "here" else "held_remote")
    for name in ("file_registry.jsonl", "index.sqlite", ""):
        path = held.metastore / name
        if path.exists():
            path.chmod(0o555 if path.is_dir() else 0o444)
    ended = humble_ferry("quarantine", *words, "--config", held.config)
    held.metastore.chmod(0o755)
    assert ended.returncode == 4, ended.stderr


@pytest.mark.parametrize("action", ["release", "drop"])
def test_a_server_that_cannot_be_reached_is_another_trouble(held_remote, action):
    held_remote.a.stop()
    ended = held_remote.ferry("quarantine", action, "one")
    assert ended.code == 3, ended.stderr
    assert f"not {'released' if action == 'release' else 'dropped'}" in ended.stderr
    assert held_remote.states("one") == ["quarantined"]
    assert held_remote.ferry("quarantine", "list").code == 0


@pytest.mark.parametrize("action", ["release", "drop"])
def test_a_stop_is_heard_while_a_server_is_silent(held_remote, action):
    with SilentServer() as silent:
        held_remote.reach_a_by(silent, EMPTY)
        with open(held_remote.config, "a", encoding="utf-8") as config:
            config.write('connect_timeout = "10m"\n')
        running = held_remote.start("quarantine", action, "--all")
        eventually(lambda: silent.taken, what="a connection")
        running.popen.send_signal(signal.SIGTERM)
        ended = running.wait(timeout=30)
    assert ended.code == 130, ended.stderr
    assert "not released" not in ended.stderr and "not dropped" not in ended.stderr
    assert held_remote.states("one") == held_remote.states("two") == ["quarantined"]


def test_of_several_troubles_the_worst_counts(held_remote, folder):
    (folder / "here").mkdir()
    put(folder / "here" / "three", b"")
    with open(held_remote.config, "a", encoding="utf-8") as config:
        config.write(f'[landing.here]\npath = "{folder / "here"}"\n{EMPTY}\n')
    held_remote.register()
    put(folder / "here" / "three", b"newer")
    held_remote.a.stop()
    for names in (("one", "three"), ("three", "one")):
        ended = held_remote.ferry("quarantine", "release", *names)
        assert ended.code == 3, ended.stderr
        assert ended.stderr.count("not released") == 2
    ended = held_remote.ferry("quarantine", "release", "three")
    assert ended.code == 1, ended.stderr


# What is held on a server is released only if it is still the version that has its place.


@pytest.fixture
def replaced(held_remote):
    """A newer version of "one" was registered, and delivered."""
    put(held_remote.area / "one", b"newer")
    assert held_remote.register() == 1
    assert held_remote.transfer().summary["successful"] == 1
    return held_remote


@pytest.mark.parametrize("words", [["one"], ["--all"]])
def test_a_release_on_a_server_replaces_no_newer_version(replaced, words):
    before = replaced.states("one")
    ended = replaced.ferry("quarantine", "release", *words)
    assert ended.code == 1, ended.stderr
    assert "one: the registry has a newer version" in ended.stderr
    assert replaced.states("one") == before == ["quarantined", "ready"]
    assert replaced.states("two") == (["ready"] if words == ["--all"] else ["quarantined"])
    replaced.register()
    assert replaced.transfer().code == 0
    assert (replaced.b.root / "one").read_bytes() == b"newer"
    assert replaced.states("one") == before

    assert replaced.ferry("quarantine", "drop", "one").code == 0
    assert (replaced.area / "one").read_bytes() == b"newer"


@pytest.mark.parametrize("change, reason", [
    (lambda path: path.unlink(), "it is gone on the server"),
    (lambda path: put(path, b"newer"), "another file has its place on the server"),
    (lambda path: (path.unlink(), path.mkdir()), "another file has its place on the server")],
    ids=["gone", "changed", "directory"])
def test_what_is_not_on_the_server_is_not_released(held_remote, change, reason):
    change(held_remote.area / "one")
    ended = held_remote.ferry("quarantine", "release", "--all")
    assert ended.code == 1, ended.stderr
    assert reason in ended.stderr
    assert ended.stdout == "released two\n"
    assert (held_remote.states("one"), held_remote.states("two")) == (["quarantined"], ["ready"])


def test_what_is_released_on_a_server_stays_one_version(held_remote):
    ended = held_remote.ferry("quarantine", "release", "one", "--json")
    assert ended.json["reason"] == "released from quarantine: it is empty"
    assert held_remote.states("one") == ["ready"]
    assert held_remote.register() == 0
    assert held_remote.transfer().summary["successful"] == 1
    assert held_remote.b.files() == ["one"]
    assert held_remote.ferry("quarantine", "release", "one").code == 2


def test_a_newer_version_that_is_registered_meanwhile_is_delivered(held_remote, folder):
    """Registered while the release looks at the server."""
    with Line(folder, held_remote.a.port, "--delay-ms", "300") as line:
        held_remote.reach_a_by(line, EMPTY)
        releasing = held_remote.start("quarantine", "release", "one")
        held_remote.reach_a_by(held_remote.a, EMPTY)
        put(held_remote.area / "one", b"newer")
        held_remote.register()
        ended = releasing.wait()
    assert ended.code in (0, 1), ended.stderr
    assert held_remote.states("one")[-1] == "ready"
    assert held_remote.transfer().code == 0
    assert (held_remote.b.root / "one").read_bytes() == b"newer"
    assert held_remote.register() == 0
    assert len(held_remote.states("one")) == 2


# What cannot be seen is not known to be gone.


def put_away(folder):
    """As if the area's file system were not mounted."""
    (folder / "east").rename(folder / "away")
    (folder / "east").mkdir()


def take_quarantine(folder):
    (folder / "east" / ".quarantine").rename(folder / "away")


def bring_back(folder):
    if (folder / "away" / ".quarantine").exists():
        (folder / "east").rmdir()
        (folder / "away").rename(folder / "east")
    else:
        (folder / "away").rename(folder / "east" / ".quarantine")


@pytest.mark.parametrize("go", [put_away, take_quarantine])
@pytest.mark.parametrize("words", [("drop", "--all"), ("release", "one", "two")])
def test_what_cannot_be_seen_is_neither_dropped_nor_released(held_site, folder, go, words):
    go(folder)
    listed = held_site.ferry("quarantine", "list")
    assert listed.code == 0
    assert listed.stdout.count("its file is not found: is its file system mounted?") == 2
    assert all(one["out_of_sight"] for one in held_site.held())
    ended = held_site.ferry("quarantine", *words)
    assert ended.code == 1, ended.stderr
    assert ended.stderr.count("is there: is its file system mounted?") == 2, ended.stderr
    assert ended.stdout == ""
    assert states(held_site, "one") == states(held_site, "two") == ["quarantined"]
    bring_back(folder)
    assert held_site.ferry("quarantine", "drop", "--all").code == 0
    assert states(held_site, "one") == states(held_site, "two") == ["missing"]
    assert not [path for path in (folder / "east").rglob("*") if path.name in ("one", "two")]


def test_a_file_of_another_file_system_is_not_known_to_be_gone(held_site, folder):
    (row,) = held_site.rows("one")
    with open(held_site.metastore / "file_registry.jsonl", "a", encoding="utf-8") as table:
        table.write(json.dumps({**row, "device": row["device"] + 1}) + "\n")
    held = folder / "east" / ".quarantine" / row["id"]
    held.rename(folder / "kept")
    ended = held_site.ferry("quarantine", "drop", "one")
    assert ended.code == 1 and "a file system that is not there" in ended.stderr, ended.stderr
    assert states(held_site, "one") == ["quarantined"]
    (folder / "kept").rename(held)
    assert held_site.ferry("quarantine", "drop", "one").code == 0


def test_what_somebody_deleted_is_dropped_from_the_list(held_site, folder):
    for held in (folder / "east" / ".quarantine").glob("*/*"):
        held.unlink()
    assert held_site.ferry("quarantine", "list").stdout.count("its file is gone") == 2
    assert held_site.ferry("quarantine", "drop", "--all").code == 0
    assert states(held_site, "one") == ["missing"]


def test_what_was_never_moved_is_released_only_if_it_is_what_was_held(site, folder):
    site = site(east=EMPTY)
    put(folder / "east" / "one", b"")
    put(folder / "east" / "two", b"")
    (folder / "east").chmod(0o555)
    humble_ferry("watch", "--once", "--config", site.config)
    (folder / "east").chmod(0o755)
    put(folder / "east" / "one", b"newer")
    ended = site.ferry("quarantine", "release", "--all")
    assert ended.code == 1, ended.stderr
    assert "one: another file has taken its place" in ended.stderr
    assert (states(site, "one"), states(site, "two")) == (["quarantined"], ["ready"])
    site.watch_once()
    assert site.transfer().summary["successful"] == 2
    assert (site.server.root / "one").read_bytes() == b"newer"


# A change of mode makes no new version of what is held.


@pytest.fixture
def held_in_place(site, folder):
    made, area = site(east=EMPTY), folder / "east"
    for name in ("one", "two"):
        put(area / name, b"")
    area.chmod(0o555)
    humble_ferry("watch", "--once", "--config", made.config)
    yield made
    area.chmod(0o755)


def test_what_is_held_in_its_place_stays_one_version(held_in_place, folder):
    (before,) = held_in_place.rows("one")
    (folder / "east" / "one").chmod(0o640)
    humble_ferry("watch", "--once", "--config", held_in_place.config)
    (row,) = held_in_place.rows("one")
    assert (row["id"], row["state"]) == (before["id"], "quarantined")
    assert held_in_place.ferry("quarantine", "release", "one").stdout == "released one\n"
    assert states(held_in_place, "one") == ["ready"]


def test_of_two_rows_of_one_file_a_release_leaves_none_held(held_in_place, folder):
    """As ferry registered a change of mode once."""
    (row,) = held_in_place.rows("one")
    path = folder / "east" / "one"
    path.chmod(0o640)
    twin = {**row, "id": str(uuid.uuid4()), "ctime_ns": path.stat().st_ctime_ns}
    with open(held_in_place.metastore / "file_registry.jsonl", "a", encoding="utf-8") as table:
        table.write(json.dumps(twin) + "\n")
    assert held_in_place.ferry("quarantine", "release", row["id"]).code == 0
    assert states(held_in_place, "one") == ["superseded", "ready"]
    assert held_in_place.transfer().summary["successful"] == 1


def test_what_was_replaced_in_its_place_is_dropped_from_the_list(held_in_place, folder):
    (folder / "east").chmod(0o755)
    put(folder / "east" / "one", b"newer")
    listed = held_in_place.ferry("quarantine", "list", "one")
    assert "another file has taken its place" in listed.stdout
    assert [one["path"] for one in held_in_place.held() if one["replaced"]] == ["one"]
    ended = held_in_place.ferry("quarantine", "release", "one")
    assert ended.code == 1 and "another file has taken its place" in ended.stderr
    held_in_place.watch_once()
    ended = held_in_place.ferry("quarantine", "drop", "one")
    assert ended.code == 0, ended.stderr
    assert states(held_in_place, "one") == ["missing", "ready"]
    assert held_in_place.transfer().summary["successful"] == 1
    assert (held_in_place.server.root / "one").read_bytes() == b"newer"


def test_what_was_corrected_in_its_place_is_not_deleted(site, folder):
    """Size, inode and time of the last change as before: the bytes are others."""
    made, path = site(east='extensions = ["csv"]'), folder / "east" / "one"
    put(path, b"old bytes")
    path.parent.chmod(0o555)
    humble_ferry("watch", "--once", "--config", made.config)
    path.parent.chmod(0o755)
    assert states(made, "one") == ["quarantined"]
    times = path.stat()
    path.write_bytes(b"new bytes")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert made.ferry("quarantine", "drop", "one").code == 0
    assert path.read_bytes() == b"new bytes"
    assert states(made, "one") == ["missing"]


# A release that fails lets nothing go.


def marks(folder):
    return list((folder / "east" / ".quarantine").glob("*.released"))


def test_what_lies_in_its_place_is_released_under_its_own_name_only(site, folder):
    site, area = site(east=EMPTY), folder / "east"
    put(area / "sub" / "one", b"")
    (area / "sub").chmod(0o555)
    watch = ("watch", "--once", "--config", site.config)
    humble_ferry(*watch)
    ended = site.ferry("quarantine", "release", "sub/one", "--as", "new/one")
    assert ended.code == 1, ended.stderr
    assert "sub/one: it lies in its place still, and is released under its own" in ended.stderr
    assert not marks(folder) and not (area / "new").exists()
    (area / "sub" / "one").chmod(0o600)
    humble_ferry(*watch)
    assert set(states(site, "sub/one")) == {"quarantined"}


def test_what_is_held_in_an_area_that_we_may_only_read_is_released(site, folder):
    site, area = site(east=EMPTY), folder / "east"
    put(area / "one", b"")
    area.chmod(0o555)
    humble_ferry("watch", "--once", "--config", site.config)
    ended = humble_ferry("quarantine", "release", "one", "--config", site.config)
    area.chmod(0o755)
    assert ended.returncode == 0, ended.stderr
    assert states(site, "one") == ["ready"]


def test_a_release_that_cannot_move_the_file_leaves_no_mark(held_site, folder):
    (folder / "east" / "closed").mkdir(mode=0o555)
    ended = humble_ferry("quarantine", "release", "one", "--as", "closed/one", "--config",
                         held_site.config)
    assert ended.returncode == 1, ended.stderr
    assert not marks(folder)
    assert states(held_site, "one") == ["quarantined"]


def test_a_list_of_some_shows_these_and_knows_no_others(held_site):
    listed = held_site.ferry("quarantine", "list", "two", "--json")
    assert [file["path"] for file in listed.json_lines] == ["two"]
    assert held_site.ferry("quarantine", "list", "two", "three").code == 2
