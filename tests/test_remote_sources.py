"""Files on a server A that are delivered to B: what changes, breaks or is cut meanwhile."""

import filecmp
import os

import pytest

from ferry_harness import SANITIZED, eventually, make_big_file, make_files, put, relative_files, same_tree, tables
from line_proxy import Line
from silent_server import SilentServer

GIB = 1 << 30


def troubles(ended):
    return [line for line in ended.stderr.splitlines() if "info    delivered" not in line]


def test_without_a_nothing_is_claimed(remote):
    make_files(remote.area, 5, 100)
    remote.register()
    remote.a.stop()
    ended = remote.transfer()
    assert ended.code == 3, ended.stderr
    assert tables(remote.metastore)[1] == []
    once = remote.ferry("watch", "--once")
    assert once.code == 3, once.stderr


@pytest.mark.parametrize("what_is_there", ["nothing", "an empty directory"])
def test_while_the_area_on_a_is_not_there_nothing_is_claimed(remote, what_is_there):
    """Its file system is not mounted, say: its files have not vanished."""
    make_files(remote.area, 5, 100)
    remote.register()
    away = remote.area.rename(remote.area.with_name("away"))
    if what_is_there != "nothing":
        remote.area.mkdir()
    ended = remote.transfer()
    assert ended.code == 2 and "landing area" in ended.stderr
    assert tables(remote.metastore)[1] == []
    if what_is_there != "nothing":
        remote.area.rmdir()
    away.rename(remote.area)
    assert remote.transfer().code == 0
    assert same_tree(remote.area, remote.b.root)


def test_an_area_on_a_that_goes_away_in_the_middle_costs_no_file(remote):
    make_files(remote.area, 1500, 1000)
    remote.register()
    agent = remote.start("transfer", "--bandwidth-limit", "128K", "--connections", "1", "--retries", "1")
    eventually(remote.b.files, what="the first file")
    away = remote.area.rename(remote.area.with_name("away"))
    assert agent.wait().code == 1
    kinds = {row["error"]["kind"] for row in tables(remote.metastore)[1] if row["transfer_status"] == "failed"}
    assert kinds == {"not_found"}
    away.rename(remote.area)
    assert remote.transfer().code == 0
    assert same_tree(remote.area, remote.b.root)


def test_a_stop_is_heard_while_a_does_not_answer(remote):
    put(remote.area / "file", b"content")
    remote.register()
    with SilentServer() as silent:
        remote.reach_a_by(silent)
        agent = remote.start("transfer", "--connect-timeout", "10m")
        eventually(lambda: silent.taken, what="a connection")
        ended = agent.stop()
    assert ended.code == 130
    assert "stopped: 0 files were delivered" in ended.stderr
    assert "left out" not in ended.stderr


def test_what_changed_on_a_since_it_was_registered_is_not_delivered(remote):
    put(remote.area / "longer", b"registered")
    put(remote.area / "same size", b"registered")
    remote.register()
    put(remote.area / "longer", b"registered, and more")
    before = (remote.area / "same size").stat()
    (remote.area / "same size").write_bytes(b"REGISTERED")
    os.utime(remote.area / "same size", ns=(before.st_atime_ns, before.st_mtime_ns))
    ended = remote.transfer()
    assert ended.summary["failed"] == 2, ended.stderr
    assert remote.b.files() == []
    (remote.area / "same size").touch()
    assert remote.register() == 2
    assert remote.transfer().summary["successful"] == 2
    assert same_tree(remote.area, remote.b.root)


def start_sending(remote, path):
    """A large file, of which B has the first bytes."""
    put(path, b"1" * (96 << 20))
    remote.register()
    running = remote.start("transfer", "--json", "--bandwidth-limit", "24M", "--connections", "1")
    eventually(lambda: [part for part in remote.b.root.rglob("*.part") if part.stat().st_size],
               what="the first bytes at B")
    return running


def put_in_place_of(path, content):
    """With its time, so that A does not tell them apart."""
    before = path.stat()
    another = path.parent.parent / "another"
    put(another, content)
    os.utime(another, ns=(before.st_atime_ns, before.st_mtime_ns))
    another.rename(path)


def test_a_large_file_that_is_replaced_while_it_is_sent_arrives_as_it_was(remote):
    path = remote.area / "large"
    running = start_sending(remote, path)
    put_in_place_of(path, b"2" * (96 << 20))
    ended = running.wait()
    assert ended.code == 0, ended.stderr
    assert (remote.b.root / "large").read_bytes() == b"1" * (96 << 20)


def test_a_large_file_that_is_written_to_while_it_is_sent_is_not_delivered(remote):
    path = remote.area / "large"
    running = start_sending(remote, path)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    ended = running.wait()
    assert ended.code == 1, ended.stderr
    assert "its checksum is" in ended.stderr
    assert (remote.b.files(), remote.b.leftovers()) == ([], [])


def test_pieces_of_two_versions_never_become_a_file(remote):
    path = remote.area / "large"
    running = start_sending(remote, path)
    eventually(lambda: any(remote.metastore.glob("journals/*")), what="a note of what B has")
    running.stop()
    assert remote.b.leftovers(), "what the next run goes on from"
    put_in_place_of(path, b"2" * (96 << 20))
    ended = remote.transfer()
    assert ended.code == 1, ended.stderr
    assert "its checksum is" in ended.stderr or "gives back" in ended.stderr, ended.stderr
    assert (remote.b.files(), remote.b.leftovers()) == ([], [])


def test_one_area_under_several_names_is_one_connection(remote, folder):
    put(remote.area / "file", b"x")
    with Line(folder, remote.a.port) as line:
        remote.reach_a_by(line)
        remote.register()
        before = line.counts()["connections"]
        assert remote.transfer().code == 0
        assert line.counts()["connections"] - before == 1


def test_a_file_that_vanished_from_a_fails_alone(remote):
    make_files(remote.area, 10, 100)
    remote.register()
    (remote.area / "file-00003.dat").unlink()
    ended = remote.transfer()
    assert (ended.summary["successful"], ended.summary["failed"]) == (9, 1)


@pytest.mark.parametrize("big", [False, True])
def test_a_dies_in_the_middle_and_comes_back(remote, folder, big):
    if big:
        make_big_file(remote.area / "big", 96 << 20)
    else:
        make_files(remote.area, 400, 40_000)
    with Line(folder, remote.a.port) as line:
        remote.reach_a_by(line)
        remote.register()
        running = remote.start("transfer", "--json", "--bandwidth-limit", "12M")
        eventually(lambda: remote.b.leftovers() or remote.b.files(), what="the first bytes at B")
        remote.a.stop()
        line.cut()
        running.kill()
    remote.a.start()
    remote.reach_a_by(remote.a)
    ended = remote.transfer("--max-attempts", "9")
    assert ended.code == 0, ended.stderr
    assert same_tree(remote.area, remote.b.root)
    assert remote.b.files() == relative_files(remote.area)


def test_an_agent_killed_between_a_and_b_goes_on(remote):
    make_big_file(remote.area / "big", 96 << 20)
    make_files(remote.area, 100, 40_000)
    remote.register()
    running = remote.start("transfer", "--json", "--bandwidth-limit", "12M")
    eventually(remote.b.leftovers, what="the first bytes at B")
    running.kill()
    ended = remote.transfer()
    assert ended.code == 0, ended.stderr
    assert same_tree(remote.area, remote.b.root)
    assert remote.b.leftovers() == []


def test_cuts_of_the_line_to_a_are_retried_within_the_run(remote, folder):
    make_big_file(remote.area / "big", 64 << 20)
    make_files(remote.area, 300, 40_000)
    with Line(folder, remote.a.port) as line:
        remote.reach_a_by(line)
        remote.register()
        running = remote.start("transfer", "--json", "--bandwidth-limit", "16M", "--retries", "20")
        eventually(lambda: remote.b.leftovers() or remote.b.files(), what="the first bytes at B")
        for _ in range(3):
            connections = line.counts()["connections"]
            line.cut()
            eventually(lambda: line.counts()["connections"] > connections, what="a new connection")
        ended = running.wait()
    assert ended.code == 0, troubles(ended)
    assert same_tree(remote.area, remote.b.root)


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
def test_memory_stays_bounded_from_a_to_b(remote, folder):
    make_big_file(remote.area / "big", GIB)
    make_files(remote.area, 2000, 5000)
    figures = {}
    for name, options in (("watch", ["--once"]), ("transfer", [])):
        report = folder / "rss"
        ended = remote.start(name, *options,
                             under=["/usr/bin/time", "-f", "%M", "-o", report]).wait(timeout=300)
        assert ended.code == 0, ended.stderr
        figures[name] = int(report.read_text().split()[-1]) // 1024
    assert filecmp.cmp(remote.area / "big", remote.b.root / "big", shallow=False)
    assert same_tree(remote.area, remote.b.root)
    assert max(figures.values()) <= 64, figures
