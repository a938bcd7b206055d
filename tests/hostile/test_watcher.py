"""An uploader and the watcher: whatever he lays in its way, lawful files are registered."""

import contextlib
import multiprocessing
import os
import resource

import pytest

from ferry_harness import eventually, put
from uploader import Uploader, give_to_uploader, land, until_time_is_up

# More than a scan looks ahead, and more than are inspected at once.
MANY = 25_600


@pytest.fixture
def area(folder):
    folder.chmod(0o711)
    return folder / "east"


class Watched:
    """A site, and whether a lawful file is registered there."""

    def __init__(self, site):
        self.site = site

    def registers(self, path, deadline=60):
        eventually(lambda: self.site.rows(path), deadline, what=f"{path} registered")


@pytest.fixture
def watched(site):
    return Watched(site(east=""))


@contextlib.contextmanager
def held_open(directory, count):
    """So many files, each open for writing as long as the block lasts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = min(most - 100, count)

    def hold(first, ready, done):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        held = [open(directory / f"{number:06}.csv", "wb")
                for number in range(first, min(first + each, count))]
        ready.release()
        done.wait()
        del held

    context = multiprocessing.get_context("fork")
    ready, done = context.Semaphore(0), context.Event()
    holders = [context.Process(target=hold, args=(first, ready, done), daemon=True)
               for first in range(0, count, each)]
    try:
        for holder in holders:
            holder.start()
        for _ in holders:
            assert ready.acquire(timeout=60)
        yield
    finally:
        done.set()
        for holder in holders:
            holder.join()


def test_files_that_are_held_open_for_writing_do_not_stop_a_scan(watched, area):
    put(area / "later" / "lawful.csv", b"lawful")
    with held_open(area, MANY), watched.site.watching():
        watched.registers("later/lawful.csv")


def test_files_that_are_too_young_do_not_stop_a_scan(site, area):
    site = site(east='min_age = "1h"')
    count = 40_000
    for number in range(count):
        os.close(os.open(area / f"{number:06}.csv", os.O_CREAT))
    old = area / "later" / "lawful.csv"
    put(old, b"lawful")
    os.utime(old, (1, 1))
    with site.watching() as watcher:
        eventually(lambda: f"files={count + 1}" in watcher.log(), deadline=60, what="the whole scan")


def make_giants(area, count):
    for number in range(count):
        with open(area / f"giant-{number:06}.bin", "wb") as giant:
            with contextlib.suppress(OSError):  # where files have to be smaller
                os.truncate(giant.fileno(), 2**43)
                os.truncate(giant.fileno(), 2**63 - 1)


def test_giants_do_not_keep_the_threads_from_other_files(watched, area):
    make_giants(area, 5_000)  # more than there are places for files on their way
    put(area / "z" / "lawful.csv", b"lawful")
    with watched.site.watching():
        watched.registers("z/lawful.csv")
        put(area / "z" / "another.csv", b"lawful")
        watched.registers("z/another.csv")


def test_a_giant_that_is_refused_is_not_read(site, area):
    site = site(east='max_size = "1M"')
    make_giants(area, 20)
    summary = site.watch_once()
    assert summary["quarantined"] == 20 and summary["bytes"] == 0
    assert {file["reason"].split(",")[-1] for file in site.held()} == {" more than max_size (1048576)"}


def make_deep_tree(area, depth):
    """Deeper than any path that a system call takes."""
    here = os.open(area, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deep.csv", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def remove_deep_tree(area):
    here = [os.open(area, os.O_RDONLY)]
    with contextlib.suppress(FileNotFoundError):
        while True:
            here.append(os.open("d" * 250, os.O_RDONLY, dir_fd=here[-1]))
    with contextlib.suppress(FileNotFoundError):
        os.unlink("deep.csv", dir_fd=here[-1])
    while len(here) > 1:
        os.close(here.pop())
        os.rmdir("d" * 250, dir_fd=here[-1])
    os.close(here[0])


def test_a_tree_deeper_than_paths_are_long_costs_no_rescans(watched, area):
    make_deep_tree(area, 20)
    try:
        with watched.site.watching("--poll-interval", "200ms", "--rescan-interval", "1h") as watcher:
            for number in range(20):
                put(area / f"{number}.csv", b"lawful")
                watched.registers(f"{number}.csv")
        assert watcher.ended.stderr.count(" rescan ") == 1
        assert "too long" in watcher.ended.stderr
    finally:
        remove_deep_tree(area)


TRICKS = [b"two\nlines.csv", b"bell\x07.csv", b"\x1b]0;title\x07.csv", b"c1-\xc2\x9b2J.csv",
          b"\xe2\x80\xae\xe2\x81\xa6vsc.exe", b"latin-\xe9.csv", b"overlong-\xc0\xaf.csv",
          b"surrogate-\xed\xa0\x80.csv", b"\xff\xfe.csv", b"line\xe2\x80\xa8separator.csv"]


def test_names_that_would_command_a_terminal_are_neither_shown_nor_delivered(watched, area):
    for trick in TRICKS:
        with open(os.fsencode(area) + b"/" + trick, "wb") as out:
            out.write(b"tricky")
        os.mkdir(os.fsencode(area) + b"/dir-" + trick)
    put(area / "lawful.csv", b"lawful")
    ended = watched.site.ferry("watch", "--once")
    shown = ended.stderr + ended.stdout
    assert len(watched.site.held()) == len(TRICKS)
    watched.site.transfer()
    assert watched.site.server.files() == ["lawful.csv"]
    for command in (["quarantine", "list"], ["list"], ["quarantine", "list", "--json"],
                    ["list", "--json"], ["status"]):
        shown += watched.site.ferry(*command).stdout
    for character in shown:
        point = ord(character)
        assert point == 10 or 32 <= point < 127 or point == 0xFFFD, f"U+{point:04X} in the output"


def test_directories_that_come_and_go_do_not_stop_the_watcher(watched, area, folder):
    canary = folder / "canary"
    canary.mkdir(mode=0o755)
    (canary / "secret.csv").write_bytes(b"CANARY")
    give_to_uploader(area)

    def work(turn):
        top = area / f"t{turn % 5}"
        if top.is_symlink():
            top.unlink()
        elif top.exists():
            os.rename(top, area / f"away-{turn}")
        if turn % 3 == 0:
            top.symlink_to(canary)
        else:
            (top / "a" / "b").mkdir(parents=True)
            (top / "a" / "b" / "file.csv").write_bytes(b"lawful")

    with watched.site.watching("--rescan-interval", "300ms"):
        with Uploader(work) as uploader:
            for turn in until_time_is_up():
                land(area / f"{turn:06}.csv", b"lawful")
                watched.registers(f"{turn:06}.csv")
        assert uploader.turns > 20
    watched.site.transfer()
    root = watched.site.server.root
    assert all(b"CANARY" not in (root / name).read_bytes() for name in watched.site.server.files())
