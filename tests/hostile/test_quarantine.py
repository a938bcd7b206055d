"""An uploader and the quarantine: he makes it first, takes it away, and lays things in its way."""

import os
import shutil
import stat

import pytest

from ferry_harness import eventually, put
from uploader import (IS_ROOT, Uploader, give_to_uploader, identity_of_unregistered,
                      until_time_is_up)

needs_another_account = pytest.mark.skipif(not IS_ROOT, reason="only root has another account")


@pytest.fixture
def site(site, folder):
    made = site(east='empty = "quarantine"')
    folder.chmod(0o711)
    give_to_uploader(folder / "east")
    return made


@pytest.fixture
def area(site, folder):
    return folder / "east"


def make_quarantine_with_fifos(area):
    """Before ferry does, and with a FIFO wherever a note would be written."""
    (area / ".quarantine").mkdir(mode=0o777)
    (area / ".quarantine").chmod(0o777)
    give_to_uploader(area / ".quarantine")
    (area / ".link").symlink_to("/etc/passwd")
    os.rename(area / ".link", area / "link")
    name = identity_of_unregistered(area / "link")
    for fifo in (f".{name}.json.tmp", f"{name}.json"):
        os.mkfifo(area / ".quarantine" / fifo)


@needs_another_account
def test_a_fifo_at_the_name_of_a_note_does_not_stop_the_watcher(site, area):
    with site.watching() as watcher:
        make_quarantine_with_fifos(area)
        eventually(lambda: "not moved aside" in watcher.log() or "quarantined" in watcher.log(),
                   what="a word about the link")
        put(area / "lawful.csv", b"lawful")
        eventually(lambda: site.rows("lawful.csv"), what="the lawful file")
    assert "belongs to another account" in watcher.ended.stderr
    assert (area / "link").is_symlink()


@needs_another_account
def test_only_a_quarantine_of_ours_is_used(site, area):
    (area / ".quarantine").mkdir()
    give_to_uploader(area / ".quarantine")
    put(area / "empty.csv", b"")
    ended = site.ferry("watch", "--once", "--json")
    assert ended.code == 0 and "belongs to another account" in ended.stderr
    assert (area / "empty.csv").exists()
    assert site.status()["pending"] == 0

    (area / ".quarantine").rmdir()
    assert site.watch_once()["quarantined"] == 1
    assert stat.S_IMODE((area / ".quarantine").stat().st_mode) == 0o700


def test_a_quarantine_that_is_open_to_others_is_closed(site, area):
    (area / ".quarantine").mkdir()
    (area / ".quarantine").chmod(0o777)
    put(area / "empty.csv", b"")
    assert site.watch_once()["quarantined"] == 1
    assert stat.S_IMODE((area / ".quarantine").stat().st_mode) == 0o700


@needs_another_account
def test_whatever_becomes_of_the_quarantine_the_watcher_goes_on(site, area, folder):
    canary = folder / "canary"
    canary.mkdir(mode=0o777)

    def work(turn):
        held = area / ".quarantine"
        os.rename(held, area / f".away-{turn}")
        if turn % 3 == 0:
            held.mkdir()
        elif turn % 3 == 1:
            held.symlink_to(canary)
        else:
            os.mkfifo(held)
        (area / f"l{turn}").symlink_to("/etc/passwd")
        os.mkfifo(area / f"f{turn}")
        if held.is_dir() and not held.is_symlink():
            shutil.rmtree(held)
        else:
            held.unlink()

    with site.watching("--rescan-interval", "200ms"):
        with Uploader(work) as uploader:
            for turn in until_time_is_up():
                put(area / f"{turn:06}.csv", b"lawful")
                put(area / f"{turn:06}-empty.csv", b"")
                eventually(lambda: site.rows(f"{turn:06}.csv"), what="a lawful file")
        assert uploader.turns > 20
    assert list(canary.iterdir()) == []
