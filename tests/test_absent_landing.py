"""A landing area whose files are not there to be had: it costs no attempt, and is said once."""

import json
import os
import subprocess

import pytest

from ferry_harness import eventually, put, tables


@pytest.fixture
def site(site, folder):
    made = site(east="", west="")
    put(folder / "east" / "in" / "a.csv", b"from the east")
    put(folder / "west" / "b.csv", b"from the west")
    made.watch_once()
    return made


def take_root_away(folder):
    (folder / "east").rename(folder / "away")


def give_root_back(folder):
    (folder / "away").rename(folder / "east")


def empty_root(folder):
    (folder / "away").mkdir()
    (folder / "east" / "in").rename(folder / "away" / "in")


def fill_root_again(folder):
    (folder / "away" / "in").rename(folder / "east" / "in")


def logs(site):
    return tables(site.metastore)[1]


@pytest.mark.parametrize("go, come_back", [(take_root_away, give_root_back),
                                           (empty_root, fill_root_again)])
def test_an_area_that_is_not_there_costs_no_attempt(site, folder, go, come_back):
    go(folder)
    ended = site.transfer()
    assert ended.code == 0, ended.stderr
    assert ended.stderr.count("landing area left out") == 1
    assert site.server.files() == ["b.csv"]
    for _ in range(6):
        ended = site.transfer()
        assert ended.code != 0 and "east" in ended.stderr
    assert {row["remote_path"].rpartition("/")[2] for row in logs(site)
            if row["transfer_status"] != "in_progress"} == {"b.csv"}
    assert site.status()["pending"] == 1
    come_back(folder)
    site.watch_once()
    assert site.transfer().code == 0
    assert (site.server.root / "in" / "a.csv").read_bytes() == b"from the east"
    assert all(row["attempt"] == 1 for row in logs(site))


def test_a_file_system_that_is_not_mounted_below_an_area_costs_no_attempt(site, folder):
    """As if east/in were where another file system is to be mounted."""
    (row,) = site.rows("in/a.csv")
    with open(site.metastore / "file_registry.jsonl", "a", encoding="utf-8") as table:
        table.write(json.dumps({**row, "device": row["device"] + 1}) + "\n")
    (folder / "east" / "in" / "a.csv").rename(folder / "a.csv")
    put(folder / "east" / "other.csv", b"is there")
    site.watch_once()
    for _ in range(6):
        ended = site.transfer()
        assert ended.stderr.count("landing area left out") <= 1
    assert site.server.files() == ["b.csv", "other.csv"]
    assert [error for errors in site.failures().values() for error in errors] == []
    os.rename(folder / "a.csv", folder / "east" / "in" / "a.csv")
    site.watch_once()
    assert site.transfer().code == 0
    assert "in/a.csv" in site.server.files()


def test_one_who_follows_says_once_that_an_area_is_not_there(site, folder):
    take_root_away(folder)
    with_others = site.start("transfer", "--follow")
    try:
        eventually(lambda: site.server.files() == ["b.csv"], what="the file of the west")
        for number in range(4):
            put(folder / "west" / f"{number}.csv", b"x")
            site.ferry("watch", "--once", "--landing", "west")
            eventually(lambda: f"{number}.csv" in site.server.files(), what="the next file")
        give_root_back(folder)
        put(folder / "west" / "last.csv", b"x")
        site.ferry("watch", "--once")
        eventually(lambda: "in/a.csv" in site.server.files(), deadline=60, what="the east's file")
    finally:
        ended = with_others.stop()
    assert ended.stderr.count("landing area left out") == 1, ended.stderr
    assert ended.stderr.count("landing area is back") == 1, ended.stderr


def test_a_file_that_was_removed_is_not_an_absent_area(site, folder):
    (folder / "east" / "in" / "a.csv").unlink()
    put(folder / "east" / "in" / "other.csv", b"x")
    ended = site.transfer()
    assert ended.code == 1
    (error,) = site.failures()["in/a.csv"]
    assert error["kind"] == "abnormal"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_what_lands_where_a_file_system_was_unmounted_is_seen(site, folder):
    mounted = folder / "east" / "sub"
    (mounted / "deep").mkdir(parents=True)
    mount = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs ferry "$0" && exec "$@"', mounted)
    with site.watching("--rescan-interval", "1h", under=mount) as watcher:
        put(mounted / "deep" / "before", b"on what the watcher does not see")
        subprocess.run(["nsenter", f"--target={watcher.popen.pid}", "--mount", "umount", mounted],
                       check=True)
        eventually(lambda: site.rows("sub/deep/before"), what="what lay below it")
        put(mounted / "deep" / "after", b"after")
        eventually(lambda: site.rows("sub/deep/after"), what="what lands there now")
