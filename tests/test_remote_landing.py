"""A landing area on a server A: polled, uploaded to, and delivered from to B."""

import filecmp
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

from ferry_harness import (SANITIZED, USER, Process, Server, command, environment, eventually,
                           make_big_file, make_files, make_key, put, relative_files, run_ferry, same_tree,
                           tables)
from line_proxy import Line, known_hosts_for
from silent_server import SilentServer

GIB = 1 << 30
LIAR = pathlib.Path(__file__).with_name("lying_sftp_server.py")


def troubles(ended):
    return [line for line in ended.stderr.splitlines() if "info    delivered" not in line]


class Remote:
    """A landing area on A, by default polled fast, and destination b on the other server."""

    def __init__(self, folder, a, b):
        self.folder, self.a, self.b = folder, a, b
        self.area = a.root
        self.metastore = folder / "metastore"
        self.config = folder / "ferry.toml"
        self.reach_a_by(a)

    def reach_a_by(self, line, keys=""):
        known_hosts = known_hosts_for(self.a, line.port, self.folder / "known_hosts_of_a")
        self.config.write_text(f'''metastore = "{self.metastore}"
[landing.a]
url = "sftp://{USER}@127.0.0.1:{line.port}{self.area}"
identity = "{self.a.identity}"
known_hosts = "{known_hosts}"
use_agent = false
ignore = ["*.bak"]
settle = "1s"
{keys}
[watch]
poll_interval = "300ms"
[destination.b]
url = "{self.b.url()}"
identity = "{self.b.identity}"
known_hosts = "{self.b.known_hosts}"
use_agent = false
[transfer]
retry_delay = "100ms"
''')

    def ferry(self, name, *options, **keywords):
        return run_ferry(name, "--config", self.config, *options, **keywords)

    def start(self, name, *options, under=()):
        return Process(self.folder, name, "--config", self.config, *options, under=under)

    def register(self):
        ended = self.ferry("watch", "--once", "--json")
        assert ended.code == 0, ended.stderr
        return ended.json["registered"]

    def transfer(self, *options, **keywords):
        return self.ferry("transfer", "--json", *options, **keywords)

    def rows(self):
        """The last row of each id."""
        registry, _ = tables(self.metastore)
        return {row["id"]: row for row in registry}.values()

    def states(self, path):
        return [row["state"] for row in self.rows() if row["path"] == path]


@pytest.fixture
def remote(folder):
    a, b = Server(folder / "a"), Server(folder / "b")
    yield Remote(folder, a, b)
    a.stop()
    b.stop()


@pytest.fixture
def watcher(remote):
    running = remote.start("watch")
    eventually(lambda: " ready" in running.log(), what="the watcher")
    yield running
    ended = running.stop()
    assert ended.code == 0, ended.stderr


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


def test_a_stop_is_heard_while_a_does_not_answer(remote):
    put(remote.area / "file", b"content")
    remote.register()
    with SilentServer() as silent:
        remote.reach_a_by(silent)
        agent = remote.start("transfer", "--connect-timeout", "10m")
        eventually(lambda: silent.taken, what="a connection")
        assert agent.stop().code == 130


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

    refused = upload(remote, "--as", "x.csv", "-", stdin="no magic")
    assert refused.code == 1 and "takes no such file" in refused.stderr, refused.stderr
    assert relative_files(remote.area) == there
    assert upload(remote, "--as", "x.csv", "-", stdin="hi").code == 0


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


def then(remote, after, line=None):
    remote.reach_a_by(line or remote.a)
    with open(remote.config, "a", encoding="utf-8") as config:
        config.write(f'[route.all]\nto = "b"\nafter = {after}\n')


def test_what_b_has_may_be_deleted_at_a(remote):
    then(remote, '"delete"')
    make_files(remote.area, 150, 100)
    make_files(remote.area / "sub", 3, 100, prefix="deep")
    assert remote.register() == 153
    ended = remote.transfer()
    assert ended.code == 0, ended.stderr
    assert len(remote.b.files()) == 153
    assert relative_files(remote.area) == []
    assert {(row["state"], row["reason"]) for row in remote.rows()} == \
        {("missing", "delivered, and deleted")}


def test_or_archived_there(remote):
    archive = remote.a.folder / "archive"
    then(remote, f'"archive"\narchive = "{archive}"')
    for content in (b"first", b"and second"):
        put(remote.area / "sub" / "a.csv", content)
        assert remote.register() == 1
        assert remote.transfer().code == 0
        assert relative_files(remote.area) == []
    first, second = sorted((archive / "sub").iterdir())
    assert (first.name, first.read_bytes()) == ("a.csv", b"first")
    (row,) = [row for row in remote.rows() if row["size"] == len(b"and second")]
    assert (second.name, second.read_bytes()) == (f"a.csv.{row['id']}", b"and second")


def test_what_replaced_a_delivered_file_at_a_stays(remote):
    put(remote.area / "a", b"delivered")
    remote.register()
    assert remote.transfer().code == 0
    put(remote.area / "a", b"not delivered")
    then(remote, '"delete"')
    assert remote.transfer().code == 0
    assert (remote.area / "a").read_bytes() == b"not delivered"
    assert remote.states("a") == ["ready"]


def test_what_a_crash_left_half_taken_away_at_a_is_taken_away(remote):
    put(remote.area / "a", b"delivered")
    remote.register()
    assert remote.transfer().code == 0
    (row,) = remote.rows()
    hidden = remote.area / ".private.delivered"
    (remote.area / "a").rename(hidden)
    (remote.metastore / "taking").mkdir()
    (remote.metastore / "taking" / "of-a-dead-run.jsonl").write_text(json.dumps(
        {"file": row, "archive": "", "private_name": hidden.name}) + "\n")
    remote.register()  # the watcher looks, and finds it gone
    put(remote.area / "a", b"another")
    then(remote, '"delete"')
    assert remote.transfer().code == 0
    assert not hidden.exists()
    assert (remote.area / "a").read_bytes() == b"another"
    assert list((remote.metastore / "taking").iterdir()) == []


@pytest.mark.parametrize("half_done", ["taken", "archived", "archived_beside", "put_back"])
def test_a_rename_that_a_died_in_leaves_one_copy(remote, half_done):
    """OpenSSH's server renames by a link and its removal."""
    archive = remote.a.folder / "archive"
    if half_done == "archived_beside":
        put(archive / "a", b"of somebody else")
    put(remote.area / "a", b"delivered")
    remote.register()
    assert remote.transfer().code == 0
    (row,) = remote.rows()
    hidden = remote.area / ".private.delivered"
    os.link(remote.area / "a", hidden)
    if half_done.startswith("archived"):
        target = archive / ("a" if half_done == "archived" else f"a.{row['id']}")
        target.parent.mkdir(exist_ok=True)
        (remote.area / "a").rename(target)
    if half_done == "put_back":  # another one, which was taken by mistake
        put(remote.area / "a", b"something newer")
        hidden.unlink()
        os.link(remote.area / "a", hidden)
    (remote.metastore / "taking").mkdir()
    (remote.metastore / "taking" / "of-a-dead-run.jsonl").write_text(json.dumps(
        {"file": row, "archive": str(archive), "private_name": hidden.name}) + "\n")
    then(remote, f'"archive"\narchive = "{archive}"')
    assert remote.transfer().code == 0
    assert not hidden.exists()
    assert list((remote.metastore / "taking").iterdir()) == []
    remote.register()
    assert remote.transfer().code == 0
    copies = [path for path in archive.rglob("*") if path.read_bytes() == b"delivered"]
    assert len(copies) == (half_done != "put_back")
    assert relative_files(remote.area) == []


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


def test_other_bytes_of_the_same_size_and_time_are_another_file(remote):
    """SFTP tells no more of a file than these two."""
    then(remote, '"delete"')
    for content in (b"first", b"other", b"third"):
        put(remote.area / "a", content)
        os.utime(remote.area / "a", (1_700_000_000, 1_700_000_000))
        assert remote.register() == 1
        assert remote.transfer().code == 0
        assert (remote.b.root / "a").read_bytes() == content
        assert relative_files(remote.area) == []
    assert len(list(remote.rows())) == 3


def test_what_cannot_be_archived_at_a_keeps_its_name(remote):
    obstacle = remote.a.folder / "file"
    obstacle.write_bytes(b"")
    then(remote, f'"archive"\narchive = "{obstacle}/archive"')
    put(remote.area / "a", b"content")
    remote.register()
    ended = remote.transfer()
    assert (ended.code, ended.summary["successful"]) == (1, 1), ended.stderr
    assert "delivered file not archived" in ended.stderr
    assert relative_files(remote.area) == ["a"]
    port = remote.a.port
    remote.a.stop()
    assert "delivered files not archived or deleted" in remote.transfer().stderr
    remote.a.start(port)
    obstacle.unlink()
    assert remote.transfer().code == 0
    assert relative_files(obstacle / "archive") == ["a"]


def test_a_line_that_is_lost_while_files_are_deleted_at_a_is_told_of_once(remote, folder):
    make_files(remote.area, 150, 100)
    remote.register()
    assert remote.transfer().code == 0
    # Some of them go, and then the line.
    with Line(folder, remote.a.port, "--cut-after-bytes", 30_000) as line:
        then(remote, '"delete"', line)
        ended = remote.transfer()
    assert ended.code == 1, ended.stderr
    assert ended.stderr.count("delivered file") == 1
    assert "delivered files not archived or deleted" in ended.stderr
    assert 0 < len(relative_files(remote.area)) <= 150
    then(remote, '"delete"')
    assert remote.transfer().code == 0
    assert relative_files(remote.area) == []
    assert {row["state"] for row in remote.rows()} == {"missing"}


def test_an_archive_where_it_would_land_again_at_a_is_refused(remote):
    then(remote, f'"archive"\narchive = "{remote.area}/done"')
    ended = remote.ferry("config", "check")
    assert ended.code == 2
    assert "would land again" in ended.stderr + ended.stdout
    then(remote, f'"archive"\narchive = "{remote.area}/.done"')
    assert remote.ferry("config", "check").code == 0


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
                          ("upload", [source(remote, "x", b"x")]), ("doctor", [])):
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


def test_without_a_nothing_is_claimed(remote):
    make_files(remote.area, 5, 100)
    remote.register()
    remote.a.stop()
    ended = remote.transfer()
    assert ended.code == 3, ended.stderr
    assert tables(remote.metastore)[1] == []
    once = remote.ferry("watch", "--once")
    assert once.code == 3, once.stderr


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


# Uploads.


def upload(remote, *words, **keywords):
    return remote.ferry("upload", "--json", *words, **keywords)


def source(remote, name, content):
    put(remote.folder / "outside" / name, content)
    return remote.folder / "outside" / name


def dot_files(area):
    return [path for path in area.rglob(".*") if path.is_file()]


def test_an_upload_to_a_is_registered_here_once(remote, watcher):
    content = os.urandom(5 << 20)
    ended = upload(remote, "--as", "new/deep/", source(remote, "big", content),
                   source(remote, "empty", b""))
    assert ended.code == 0, ended.stderr
    assert (remote.area / "new/deep/big").read_bytes() == content
    typed = upload(remote, "--as", "typed", "-", stdin="typed")
    assert typed.json["source"] == "upload", typed.stderr
    put(remote.area / "the last", b"x")
    eventually(lambda: remote.states("the last") == ["ready"], what="the last file")
    assert len(remote.rows()) == 4
    assert dot_files(remote.area) == []
    assert remote.transfer().summary["successful"] == 4
    assert same_tree(remote.area, remote.b.root)


def test_no_clobber_and_all_or_none_on_a(remote):
    put(remote.area / "taken", b"old")
    ended = upload(remote, "--no-clobber", source(remote, "free", b"new"),
                   source(remote, "taken", b"new"))
    assert ended.code == 1 and "taken" in ended.stderr, ended.stderr
    assert relative_files(remote.area) == ["taken"]
    assert (remote.area / "taken").read_bytes() == b"old"
    assert upload(remote, source(remote, "taken", b"new")).code == 0
    assert (remote.area / "taken").read_bytes() == b"new"
    assert upload(remote, "--as", "../out", "-", stdin="x").code == 2
    wrong = upload(remote, "--expect-checksum", "0" * 64, source(remote, "x", b"x"))
    assert wrong.code == 1, wrong.stderr
    assert relative_files(remote.area) == ["taken"]


def test_an_upload_to_a_that_is_down_fails_clearly(remote):
    file = source(remote, "x", b"x")
    remote.a.stop()
    ended = upload(remote, file)
    assert ended.code == 3, ended.stderr


def test_an_upload_to_a_killed_at_random_moments(remote):
    content = os.urandom(4 << 20)
    file = source(remote, "big", content)
    for _ in range(10):
        running = subprocess.Popen(command("upload", "--config", remote.config, file),
                                   env=environment(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.05, 0.5))
        running.kill()
        running.wait()
        for path in remote.area.iterdir():
            if path.name == "big":
                assert path.read_bytes() == content
            else:
                assert path.name.startswith(".upload-") and path.name.endswith(".part")
    remote.register()
    assert dot_files(remote.area) == []
    there = relative_files(remote.area)
    assert there in ([], ["big"])
    assert sorted(row["path"] for row in remote.rows()) == there
