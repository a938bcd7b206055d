"""How 'ferry quarantine' ends: whose trouble it is, and what it does not know."""

import signal

import pytest

from ferry_harness import eventually, put
from landing_site import humble_ferry
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


@pytest.mark.parametrize("action", ["drop"])
def test_a_server_that_cannot_be_reached_is_another_trouble(held_remote, action):
    held_remote.a.stop()
    ended = held_remote.ferry("quarantine", action, "one")
    assert ended.code == 3, ended.stderr
    assert f"not {'released' if action == 'release' else 'dropped'}" in ended.stderr
    assert held_remote.states("one") == ["quarantined"]
    assert held_remote.ferry("quarantine", "list").code == 0


@pytest.mark.parametrize("action", ["drop"])
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
