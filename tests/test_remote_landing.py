"""A landing area on a server A: polled, and what is found there registered."""

import fcntl
import hashlib
import os
import pathlib
import sys
import time

import pytest

from ferry_harness import Server, eventually, make_big_file, make_files, make_key, put, relative_files, same_tree
from line_proxy import Line

LIAR = pathlib.Path(__file__).with_name("lying_sftp_server.py")


def test_files_on_a_are_registered_and_delivered_to_b(remote):
    make_files(remote.area, 60, 3000)
    make_files(remote.area / "sub" / "deeper", 20, 10, prefix="deep")
    put(remote.area / "empty", b"")
    put(remote.area / "sub" / "Grüße aus 東京.csv", b"text")
    assert remote.register() == 82
    assert remote.register() == 0
    ended = remote.transfer()
    assert ended.code == 0, ended.stderr
    assert ended.summary["successful"] == 82
    assert same_tree(remote.area, remote.b.root)
    assert remote.b.files() == relative_files(remote.area)
    assert {row["landing"] for row in remote.rows()} == {"a"}
    assert remote.transfer().summary["selected"] == 0


def test_what_came_from_a_is_verified_at_b(remote):
    put(remote.area / "file", b"content")
    remote.register()
    assert remote.transfer().code == 0
    verify = ("verify", "--destination", "b", "--since", "2020-01-01")
    assert remote.ferry(*verify).code == 0
    (remote.b.root / "file").unlink()
    ended = remote.ferry(*verify)
    assert ended.code == 1 and "file" in ended.stdout, ended.stderr


def test_the_command_line_alone_will_do(remote, ferry):
    put(remote.area / "file", b"content")
    area = ["--landing", remote.a.url(), "--metastore", remote.metastore, "--no-landing-agent",
            "--landing-identity", remote.a.identity, "--landing-known-hosts", remote.a.known_hosts]
    registered = ferry("watch", "--once", *area)
    assert registered.code == 0, registered.stderr
    ended = ferry("transfer", *area, *remote.b.options())
    assert ended.code == 0, ended.stderr
    assert (remote.b.root / "file").read_bytes() == b"content"


def test_what_is_not_to_be_registered_is_not(remote, folder):
    for name in ("x.bak", "x.part", "x.tmp", ".hidden", ".git/config"):
        put(remote.area / name, b"x")
    (folder / "secret").write_text("outside")
    (remote.area / "link").symlink_to(folder / "secret")
    (folder / "elsewhere").mkdir()
    put(folder / "elsewhere" / "file", b"outside")
    (remote.area / "way-out").symlink_to(folder / "elsewhere")
    os.mkfifo(remote.area / "fifo")
    (remote.area / "con\ntrol").write_text("x")
    put(remote.area / "good", b"x")
    ended = remote.ferry("watch", "--once", "--json")
    assert ended.json["registered"] == 1
    assert [row["path"] for row in remote.rows()] == ["good"]
    for name in ("link", "fifo", "con"):
        assert f"path={name}" in ended.stderr or name in ended.stderr


def test_a_tree_deeper_than_anybody_wants_is_not_followed(remote):
    put(remote.area / "good", b"x")
    level = os.open(remote.area, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=level)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=level)
        os.close(level)
        level = below
    os.close(level)
    ended = remote.ferry("watch", "--once", "--json")
    assert ended.json["registered"] == 1
    assert "its path is too long" in ended.stderr


def test_a_growing_file_is_registered_when_it_rests(remote, watcher):
    with open(remote.area / "growing", "wb") as out:
        for _ in range(15):
            out.write(b"line\n")
            out.flush()
            put(remote.area / "other", os.urandom(8))
            time.sleep(0.2)  # the writer's own pace
            assert remote.states("growing") == []
    eventually(lambda: remote.states("growing") == ["ready"], what="the file registered")
    (row,) = [row for row in remote.rows() if row["path"] == "growing"]
    assert row["size"] == 75


def test_a_new_version_supersedes_and_a_deleted_file_is_missing(remote, watcher):
    put(remote.area / "changing", b"first")
    put(remote.area / "going", b"here")
    eventually(lambda: remote.states("going") == remote.states("changing") == ["ready"],
               what="both registered")
    put(remote.area / "changing", b"second version")
    (remote.area / "going").unlink()
    eventually(lambda: remote.states("changing") == ["superseded", "ready"]
               and remote.states("going") == ["missing"], what="both noticed")
    put(remote.area / "going", b"here again")
    eventually(lambda: remote.states("going") == ["missing", "ready"], what="it is back")


def test_policies_hold_on_a(remote):
    remote.reach_a_by(remote.a, """empty = "quarantine"
max_size = 1000
extensions = ["csv"]
magic = ["6869"]
min_age = "1h"
""")
    put(remote.area / "young.csv", b"hi")
    for name, content in (("good.csv", b"hi there"), ("empty.csv", b""), ("big.csv", b"hi" * 501),
                          ("other.txt", b"hi"), ("no magic.csv", b"ho")):
        put(remote.area / name, content)
        os.utime(remote.area / name, (time.time() - 7200, time.time() - 7200))
    there = relative_files(remote.area)
    ended = remote.ferry("watch", "--once", "--json")
    assert (ended.json["registered"], ended.json["quarantined"]) == (1, 4), ended.stderr
    assert {row["path"]: row["reason"] for row in remote.rows() if row["state"] == "quarantined"} == {
        "empty.csv": "it is empty", "big.csv": "it has 1002 bytes, more than max_size (1000)",
        "other.txt": "its name ends with none of: csv",
        "no magic.csv": "it starts with 686f, not with 6869"}
    assert remote.states("young.csv") == []
    assert "too young" in ended.stderr
    assert remote.transfer().summary["successful"] == 1
    assert remote.b.files() == ["good.csv"]
    assert relative_files(remote.area) == there
    again = remote.ferry("watch", "--once", "--json")
    assert (again.json["registered"], again.json["quarantined"]) == (0, 0), again.stderr

    refused = remote.upload("--as", "x.csv", "-", stdin="no magic")
    assert refused.code == 1 and "takes no such file" in refused.stderr, refused.stderr
    assert relative_files(remote.area) == there
    assert remote.upload("--as", "x.csv", "-", stdin="hi").code == 0


def test_what_is_held_on_a_is_released_or_dropped(remote):
    remote.reach_a_by(remote.a, 'empty = "quarantine"')
    for name in ("released", "dropped", "dropped too late"):
        put(remote.area / name, b"")
    remote.register()
    held = remote.ferry("quarantine", "list")
    assert held.stdout.count("it is empty") == 3, held.stdout
    assert remote.ferry("quarantine", "release", "released", "--as", "renamed").code == 1
    put(remote.area / "dropped too late", b"newer")
    for words in (("release", "released"), ("drop", "dropped"), ("drop", "dropped too late")):
        ended = remote.ferry("quarantine", *words)
        assert ended.code == 0, ended.stderr
    assert relative_files(remote.area) == ["dropped too late", "released"]
    assert remote.ferry("quarantine", "list").stdout == ""
    assert remote.register() == 1
    assert remote.transfer().summary["successful"] == 2
    assert same_tree(remote.area, remote.b.root)


def test_the_checks_of_a_route_hold_for_files_on_a(remote):
    put(remote.area / "good", b"\x1f\x8bx")
    put(remote.area / "bad", b"plain")
    put(remote.area / "large", b"\x1f\x8b" * 600)
    with open(remote.config, "a", encoding="utf-8") as config:
        config.write('[route.all]\nto = "b"\nmagic = ["1f8b"]\nmax_size = 1000\n')
    remote.register()
    ended = remote.transfer()
    assert ended.code == 1
    assert remote.b.files() == ["good"], ended.stderr
    assert "it starts with 706c, not with 1f8b" in ended.stderr
    assert "more than max_size (1000)" in ended.stderr
    assert relative_files(remote.area) == ["bad", "good", "large"]


def test_settings_that_a_server_has_no_use_for_are_refused(remote):
    remote.reach_a_by(remote.a, """validate = ["true"]
quarantine = "/held"
""")
    with open(remote.config, "a", encoding="utf-8") as config:
        config.write("""[route.all]
to = "b"
validate = ["false"]
""")
    lines = remote.config.read_text().splitlines()
    for name in ("config", "watch"):
        ended = remote.ferry(name, *(["check"] if name == "config" else ["--once"]))
        assert ended.code == 2
        numbers = [i for i, line in enumerate(lines, 1)
                   if line.startswith(("validate", "quarantine"))]
        assert len(numbers) == 3
        for number in numbers:
            assert f"{remote.config}:{number}:" in ended.stderr + ended.stdout, (name, number)


def make_giant(path):
    with open(path, "wb") as giant:
        os.truncate(giant.fileno(), 2**43)


def test_a_giant_on_a_keeps_no_other_file_waiting(remote):
    for number in range(20):
        make_giant(remote.area / f"giant-{number}")
    running = remote.start("watch")
    try:
        eventually(lambda: " ready" in running.log(), what="the watcher")
        put(remote.area / "lawful.csv", b"lawful")
        eventually(lambda: remote.states("lawful.csv"), deadline=180, what="the lawful file")
    finally:
        assert running.stop().code == 0


def test_a_giant_that_is_refused_is_not_read(remote):
    remote.reach_a_by(remote.a, 'max_size = "1M"\nmagic = ["00"]')
    for number in range(20):
        make_giant(remote.area / f"giant-{number}")
    put(remote.area / "small.csv", b"\0")
    ended = remote.ferry("watch", "--once", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json["registered"] == 1
    assert ended.stderr.count("skipped") == 20 and "more than max_size" in ended.stderr


def test_a_large_file_on_a_is_hashed_in_pieces_as_one(remote):
    make_big_file(remote.area / "big", 200 << 20)
    remote.register()
    (row,) = remote.rows()
    assert row["checksum"] == "sha256:" + hashlib.sha256(
        (remote.area / "big").read_bytes()).hexdigest()


def test_another_host_key_of_a_is_refused(remote):
    put(remote.area / "file", b"content")
    remote.register()
    os.remove(remote.a.folder / "host_key")
    make_key(remote.a.folder / "host_key")
    port = remote.a.port
    remote.a.stop()
    remote.a.start(port)
    put(remote.area / "other", b"content")
    for name, options in (("watch", ["--once"]), ("transfer", []),
                          ("upload", [__file__]), ("doctor", [])):
        ended = remote.ferry(name, *options)
        assert ended.code == 3, (name, ended.stderr)
        assert "HOST KEY" in ended.stderr + ended.stdout, name
    assert [row["path"] for row in remote.rows()] == ["file"]
    assert remote.b.files() == []


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "..", "sub/../../outside"])
def test_names_that_lead_outside_are_not_followed(remote, folder, name):
    """A server that answers each request for a name in a directory with one that lies elsewhere."""
    put(folder / "outside", b"not to be had")
    liar = Server(folder / "liar", sftp=f"{sys.executable} {LIAR} 'honest' '{name}'")
    try:
        put(liar.root / "honest", b"content")
        remote.a, remote.area = liar, liar.root
        remote.reach_a_by(liar)
        ended = remote.ferry("watch", "--once", "--json")
    finally:
        liar.stop()
    assert [row["path"] for row in remote.rows()] == [], ended.stderr
    assert (folder / "outside").read_bytes() == b"not to be had"
    if name != "..":
        assert ended.code == 3, ended.stderr


def test_a_directory_without_end_is_not_the_metastore_s_damage(remote, folder):
    liar = Server(folder / "liar", sftp=f"{sys.executable} {LIAR} --endless")
    try:
        remote.a, remote.area = liar, liar.root
        remote.reach_a_by(liar)
        ended = remote.ferry("watch", "--once", "--json")
    finally:
        liar.stop()
    assert ended.code == 1, ended.stderr
    assert "the server lists a directory without end" in ended.stderr


def test_doctor_looks_at_a(remote):
    ended = remote.ferry("doctor", "--json")
    assert ended.code == 0, ended.stdout
    (found,) = [one for one in ended.json["findings"] if one["subject"].startswith("landing area s")]
    assert (found["check"], found["health"]) == ("listing", "well")
    remote.area.rmdir()
    ended = remote.ferry("doctor", "--json")
    assert ended.code == 2, ended.stdout
    (found,) = [one for one in ended.json["findings"] if one["subject"].startswith("landing area s")]
    assert found["health"] == "trouble" and "the directory in the URL" in found["fix"], found


def test_the_watcher_waits_for_a_that_is_down(remote, folder):
    with Line(folder, remote.a.port) as line:
        remote.reach_a_by(line)
        put(remote.area / "one", b"1")
        with_watcher = remote.start("watch")
        eventually(lambda: remote.states("one") == ["ready"], what="the first file")
        line.cut()
        remote.a.stop()
        eventually(lambda: "landing area lost" in with_watcher.log(), what="A is missed")
        put(remote.area / "two", b"2")
        assert remote.states("one") == ["ready"]
        with_watcher.stop()
    remote.a.start()
    remote.reach_a_by(remote.a)
    assert remote.register() == 1
    assert remote.states("two") == ["ready"]


def test_a_lost_connection_is_made_anew(remote, folder):
    with Line(folder, remote.a.port) as line:
        remote.reach_a_by(line)
        running = remote.start("watch")
        put(remote.area / "one", b"1")
        eventually(lambda: remote.states("one") == ["ready"], what="the first file")
        line.cut()
        put(remote.area / "two", b"2")
        eventually(lambda: remote.states("two") == ["ready"], what="the second file")
        assert running.stop().code == 0


def damage(metastore):
    """Returns what mends it."""
    registry = metastore / "file_registry.jsonl"
    kept = registry.rename(metastore / "kept")
    registry.mkdir()

    def mend():
        registry.rmdir()
        kept.rename(registry)
    return mend


def test_the_metastore_s_trouble_is_not_a_s(remote):
    put(remote.area / "one", b"1")
    running = remote.start("watch")
    eventually(lambda: remote.states("one") == ["ready"], what="the first file")
    mend = damage(remote.metastore)
    eventually(lambda: "it is not a regular file" in running.log(), what="the metastore is missed")
    assert "landing area lost" not in running.log()
    ended = running.wait()
    assert ended.code == 4, ended.stderr
    mend()
    assert remote.register() == 0


def test_a_metastore_that_is_locked_for_a_while_costs_no_connection(remote, folder):
    put(remote.area / "one", b"1")
    with Line(folder, remote.a.port) as line:
        remote.reach_a_by(line, 'empty = "quarantine"')
        remote.config.write_text('lock_timeout = "100ms"\n' + remote.config.read_text())
        running = remote.start("watch")
        eventually(lambda: remote.states("one") == ["ready"], what="the first file")
        with open(remote.metastore / "lock", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            put(remote.area / "two", b"2")
            eventually(lambda: "metastore not" in running.log(), what="the metastore is missed")
        eventually(lambda: remote.states("two") == ["ready"], what="the second file")
        ended = running.stop()
        assert ended.code == 0
        assert "landing area lost" not in ended.stderr
