"""Abnormal files: each is recognised, told with its reason, and kept out of the stream."""

import json
import os
import pathlib
import random
import socket
import subprocess
import time

import pytest

from ferry_harness import eventually, make_files, put, relative_files
from landing_site import Meddler, checksum_of, humble_ferry

POLICY = """
empty = "quarantine"
max_size = "100KiB"
min_size = 3
extensions = ["csv", "zip"]
validate = ["sh", "-c", "! grep -q POISON || { echo 'it has poison in it' >&2; exit 1; }"]
"""


def make_deep_file(area):
    """With a path that no single system call takes."""
    here = os.open(area, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deep.csv", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def remove_deep_file(area):
    subprocess.run(["rm", "-rf", str(area / ("d" * 250))], check=False)


def put_abnormal_files(area, secret):
    """One of every kind that a look at the file tells; returns the reasons by name."""
    put(area / "empty.csv", b"")
    put(area / "large.csv", b"x" * 200_000)
    put(area / "small.csv", b"x")
    put(area / "program.exe", b"MZ....")
    put(area / "poison.csv", b"some POISON\n")
    (area / "link.csv").symlink_to(secret)
    (area / "directory-link").symlink_to(secret.parent)
    os.mkfifo(area / "fifo.csv")
    with socket.socket(socket.AF_UNIX) as made:
        here = os.getcwd()
        os.chdir(area)  # socket paths are short
        made.bind("socket.csv")
        os.chdir(here)
    put(pathlib.Path(os.fsdecode(os.fsencode(area) + b"/latin-\xe9.csv")), b"latin")
    put(area / "two\nlines.csv", b"lines")
    reasons = {"empty.csv": "it is empty",
               "large.csv": "it has 200000 bytes, more than max_size (102400)",
               "small.csv": "it has 1 bytes, less than min_size (3)",
               "program.exe": "its name ends with none of: csv, zip",
               "poison.csv": "sh: exit status 1: it has poison in it",
               "link.csv": "it is a symbolic link",
               "directory-link": "it is a symbolic link",
               "fifo.csv": "it is a FIFO",
               "socket.csv": "it is a socket",
               "latin-\\xe9.csv": "its name is not valid UTF-8",
               "two\\x0alines.csv": "control characters in its name"}
    try:
        os.mknod(area / "device.csv", 0o600 | 0o020000, os.makedev(1, 3))
        reasons["device.csv"] = "it is a device"
    except PermissionError:
        pass  # not everybody may make one
    return reasons


def corrupt_row(site, path):
    """As if the file's bytes had rotted: the registry has another checksum for this identity."""
    row = dict(site.rows(path)[-1], checksum=checksum_of(b"other bytes"))
    with open(site.metastore / "file_registry.jsonl", "a", encoding="utf-8") as table:
        table.write(json.dumps(row) + "\n")


def test_every_abnormal_kind_among_two_hundred_good_files(site, folder, server):
    site = site(east=POLICY, west="")
    east, west = folder / "east", folder / "west"
    secret = folder / "outside" / "secret.csv"
    put(secret, b"secret")
    make_files(east, 200, 100, prefix="good")
    for path in east.glob("good-*.dat"):
        path.rename(path.with_suffix(".csv"))
    good = sorted(path.name for path in east.glob("good-*.csv"))
    expected = put_abnormal_files(east, secret)
    for name in ("changed", "vanished", "rotten", "unreadable"):
        put(east / f"{name}.csv", name.encode())
    (east / "unreadable.csv").chmod(0)
    put(east / "shared.csv", b"from the east")
    make_deep_file(east)

    with open(east / "growing.csv", "wb") as growing:
        growing.write(b"half a file")
        growing.flush()
        ended = humble_ferry("watch", "--once", "--json", "--config", site.config)
    assert ended.returncode == 1, ended.stderr  # because of what cannot be read
    summary = json.loads(ended.stdout)
    assert (summary["quarantined"], summary["unsettled"]) == (len(expected), 1), ended.stderr
    assert "still being written" in ended.stderr and "growing.csv" in ended.stderr
    assert "unreadable.csv" in ended.stderr and "Permission denied" in ended.stderr
    assert "its path is too long" in ended.stderr or "File name too long" in ended.stderr
    assert site.reasons() == expected
    for file in site.held():
        written_otherwise = "\ufffd" in file["location"] or "\\x" in file["location"]
        assert written_otherwise or os.path.lexists(file["location"]), file

    put(west / "shared.csv", b"from the west")
    humble_ferry("watch", "--once", "--config", site.config)
    (east / "changed.csv").write_bytes(b"changed, and longer than before")
    (east / "vanished.csv").unlink()
    corrupt_row(site, "rotten.csv")
    ended = humble_ferry("transfer", "--json", "--config", site.config)
    assert ended.returncode == 1, ended.stderr
    failures = site.failures()
    for path, words in {"changed.csv": "changed", "vanished.csv": "not in the landing area",
                        "rotten.csv": "checksum", "shared.csv": "remote name"}.items():
        (error,) = failures.pop(path)
        assert error["kind"] == "abnormal" and words in error["message"], error
        assert error["retryable"] is False
    assert failures == {}
    assert "checksum" in site.reasons()["rotten.csv"]

    # Every good file, and nothing but: the growing one was closed and registered meanwhile.
    delivered = server.files()
    assert delivered == sorted([*good, "growing.csv", "shared.csv"])
    for name in good:
        assert (server.root / name).read_bytes() == (east / name).read_bytes()
    assert (server.root / "shared.csv").read_bytes() == b"from the east"
    (control,) = server.control_files()
    assert sorted(file["path"] for file in control["files"]) == delivered

    # Nothing is lost, nothing is tried for ever.
    for _ in range(2):
        humble_ferry("watch", "--once", "--config", site.config)
        site.transfer()
    found_abnormal = {path: [error["kind"] for error in errors].count("abnormal")
                      for path, errors in site.failures().items()}
    assert found_abnormal == {"changed.csv": 1, "vanished.csv": 1, "rotten.csv": 1,
                              "shared.csv": 1}
    assert (server.root / "changed.csv").read_bytes() == b"changed, and longer than before"
    assert site.rows("vanished.csv")[-1]["state"] == "missing"
    counts = site.status()
    assert counts["quarantined"] == sum(file["registered"] for file in site.held())
    assert len(site.held()) == len(expected) + 1
    assert (west / "shared.csv").exists() and (east / "unreadable.csv").exists()
    assert secret.read_bytes() == b"secret" and "secret.csv" not in server.files()
    remove_deep_file(east)


def test_a_released_file_is_delivered_and_not_held_again(site, folder, server):
    site = site(east='empty = "quarantine"')
    put(folder / "east" / "in" / "empty.csv", b"")
    assert site.watch_once()["quarantined"] == 1
    assert site.transfer().code == 0
    assert server.files() == []
    listed = site.ferry("list", "--status", "quarantined", "--json").json_lines
    assert [row["path"] for row in listed] == ["in/empty.csv"]

    ended = site.ferry("quarantine", "release", "in/empty.csv", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["reason"] == "released from quarantine: it is empty"
    assert site.watch_once()["quarantined"] == 0
    assert site.transfer().code == 0
    assert server.files() == ["in/empty.csv"]
    assert [row["state"] for row in
            map(lambda row: {"state": "ready", **row}, site.rows("in/empty.csv"))] == [
                "superseded", "ready"]
    assert site.held() == []


def test_a_running_watcher_leaves_a_released_file_alone(site, folder, server):
    site = site(east='empty = "quarantine"')
    with site.watching() as watcher:
        put(folder / "east" / "empty.csv", b"")
        eventually(site.held, what="a file in quarantine")
        assert site.ferry("quarantine", "release", "--all").code == 0
        put(folder / "east" / "later.csv", b"x")
        eventually(lambda: site.rows("later.csv"), what="the later file")
    assert watcher.ended.stderr.count(" quarantined ") == 1
    assert site.held() == []
    assert site.transfer().summary["successful"] == 2


def test_what_is_dropped_is_gone(site, folder):
    site = site(east='extensions = ["csv"]')
    put(folder / "east" / "a.exe", b"x")
    put(folder / "east" / "b.exe", b"x")
    site.watch_once()
    assert site.ferry("quarantine", "drop", "a.exe").code == 0
    assert list(site.reasons()) == ["b.exe"]
    assert site.rows("a.exe")[-1]["state"] == "missing"
    assert not list((folder / "east").rglob("a.exe"))
    assert site.ferry("quarantine", "drop", "a.exe").code == 2
    assert site.ferry("quarantine", "release").code == 2


def test_a_name_that_cannot_be_registered_is_released_under_another(site, folder, server):
    site = site(east="")
    put(folder / "east" / "two\nlines.csv", b"content")
    site.watch_once()
    (held,) = site.held()
    refused = site.ferry("quarantine", "release", held["id"])
    assert refused.code == 1 and "--as" in refused.stderr
    assert site.ferry("quarantine", "release", held["id"], "--as", "one-line.csv").code == 0
    site.transfer()
    assert (server.root / "one-line.csv").read_bytes() == b"content"


def test_what_cannot_be_moved_stays_and_is_not_delivered(site, folder, server):
    site = site(east='empty = "quarantine"')
    put(folder / "east" / "empty.csv", b"")
    (folder / "east").chmod(0o555)
    ended = humble_ferry("watch", "--once", "--json", "--config", site.config)
    assert ended.returncode == 0, ended.stderr
    assert "not moved aside" in ended.stderr
    assert site.transfer().summary["selected"] == 0
    (held,) = site.held()
    assert held["location"] == str(folder / "east" / "empty.csv")

    (folder / "east").chmod(0o755)
    assert site.watch_once()["quarantined"] == 1
    assert not (folder / "east" / "empty.csv").exists()
    assert site.reasons() == {"empty.csv": "it is empty"}


@pytest.mark.parametrize("make", [pathlib.Path.touch, os.mkfifo], ids=["file", "FIFO"])
def test_what_is_no_directory_is_no_quarantine(site, folder, make):
    site = site(east='empty = "quarantine"')
    east = folder / "east"
    put(east / "empty.csv", b"")
    os.mkfifo(east / "pipe")
    make(east / ".quarantine")
    ended = site.ferry("watch", "--once", "--json")
    assert ended.stderr.count("not moved aside") == 2, ended.stderr
    assert ended.stderr.count("it is not a directory") == 2
    listed = site.ferry("quarantine", "list")
    assert listed.code != 0 and "it is not a directory" in listed.stderr
    (east / ".quarantine").unlink()
    assert site.watch_once()["quarantined"] == 2


def test_a_quarantine_cut_short_at_any_moment_loses_nothing(site, folder):
    count = 300
    site = site(east='empty = "quarantine"')
    east = folder / "east"
    for number in range(count):
        put(east / f"{number:03}.csv", b"")
    choose = random.Random(7)
    for _ in range(12):
        watcher = site.start("watch", "--once")
        before = len(relative_files(east))
        enough = choose.randrange(60)
        moved = lambda: len(list((east / ".quarantine").glob("*/*.csv")))  # noqa: E731
        start = moved()
        eventually(lambda: moved() - start >= enough or watcher.popen.poll() is not None,
                   what="some files in quarantine")
        watcher.kill()
        everywhere = [pathlib.Path(name).name for name in relative_files(east)
                      if name.endswith(".csv")]
        assert sorted(everywhere) == [f"{number:03}.csv" for number in range(count)], before
    site.watch_once()
    held = site.held()
    assert sorted(file["path"] for file in held) == [f"{n:03}.csv" for n in range(count)]
    assert all(file["registered"] and file["reason"] == "it is empty" for file in held)
    assert all(pathlib.Path(file["location"]).parent.parent == east / ".quarantine"
               for file in held)
    assert site.status()["quarantined"] == count


def appender(path):
    def work(turn):
        with open(path, "ab") as out:
            out.write(f"line {turn}\n".encode() * 50)
        time.sleep(0.02)
    return work


def in_place_writer(path):
    def work(turn):
        if path.exists():
            with open(path, "r+b") as out:
                for _ in range(20):
                    out.write(turn.to_bytes(4, "big") * 2000)
        time.sleep(0.05)
    return work


def replacer(path):
    def work(turn):
        put(path, turn.to_bytes(4, "big") * 50_000)
        time.sleep(0.03)
    return work


def deleter(path):
    def work(turn):
        put(path, turn.to_bytes(4, "big") * 20_000)
        time.sleep(0.1)
        path.unlink()
    return work


@pytest.mark.parametrize("meddle", [appender, in_place_writer, replacer, deleter])
def test_whatever_a_writer_does_b_gets_whole_registered_versions_or_nothing(site, folder, server,
                                                                             meddle):
    site = site(east="")
    path = folder / "east" / "moving.csv"
    put(path, b"first " * 30_000)
    put(path.with_name("still.csv"), b"an area without files would be taken for one not mounted")
    with site.watching():
        end = time.monotonic() + 5
        with Meddler(meddle(path)) as writer:
            while time.monotonic() < end:
                assert site.transfer().code in (0, 1)
                site.check_target("moving.csv")
        assert writer.rounds > 10
        put(path, b"last words")
        eventually(lambda: checksum_of(b"last words") in site.known_contents("moving.csv"),
                   what="the last version")
    assert site.transfer().code == 0
    assert site.check_target("moving.csv") == b"last words"
    assert server.leftovers() == []
    for errors in site.failures().values():
        assert {error["kind"] for error in errors} <= {"abnormal", "abandoned"}


def test_a_directory_that_takes_the_name_of_a_file_is_left_where_it_is(site, folder):
    site, area = site(east=""), folder / "east"
    (folder / "other").write_bytes(b"other")
    with site.watching():
        for number in range(10):
            with open(area / f"report{number}", "wb"):
                (area / f"report{number}").unlink()
                put(area / f"report{number}" / "today.csv", b"lawful")
        os.link(folder / "other", area / "later.csv")  # is looked at as late, and after them
        eventually(lambda: site.rows("later.csv"), what="later.csv registered")
        for number in range(10):
            eventually(lambda: site.rows(f"report{number}/today.csv"), what="today.csv registered")
    assert site.held() == []


def test_a_file_whose_name_a_directory_took_while_nobody_watched_is_missing(site, folder, server):
    site, area = site(east=""), folder / "east"
    put(area / "report", b"a file")
    site.watch_once()
    (area / "report").unlink()
    put(area / "report" / "today.csv", b"lawful")
    site.watch_once()
    assert site.transfer().code == 0
    assert [row["state"] for row in site.rows("report")] == ["missing"]
    assert (server.root / "report" / "today.csv").read_bytes() == b"lawful"


@pytest.mark.parametrize("change", ["append", "in place", "replace", "delete"])
def test_a_change_in_the_middle_of_a_transfer_is_noticed(site, folder, server, change):
    site = site(east="")
    path = folder / "east" / "big.bin"
    old = random.Random(1).randbytes(24 << 20)
    put(path, old)
    site.watch_once()
    agent = site.start("transfer", "--json", "--bandwidth-limit", "8M")
    eventually(lambda: any(file.stat().st_size > 1 << 20 for file in server.leftovers())
               or agent.popen.poll() is not None, what="a part at B")
    assert agent.popen.poll() is None
    if change == "append":
        with open(path, "ab") as out:
            out.write(b"more")
    elif change == "in place":
        with open(path, "r+b") as out:
            out.write(b"new beginning")
    elif change == "replace":
        put(path, b"another file")
    else:
        path.unlink()
    ended = agent.wait()
    arrived = site.check_target("big.bin")
    if change in ("append", "in place"):
        assert arrived is None and ended.code == 1
        assert site.failures()["big.bin"][0]["kind"] == "abnormal"
    else:
        assert arrived in (None, old)  # the file that was opened is whole, whatever its name is now
    site.watch_once()
    site.transfer()
    if change == "delete":
        assert site.status()["pending"] == 0
    else:
        assert (server.root / "big.bin").read_bytes() == path.read_bytes()
