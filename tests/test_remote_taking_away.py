"""What becomes of files on a server A once B has them."""

import json
import os

import pytest

from ferry_harness import eventually, make_files, put, relative_files
from line_proxy import Line


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


def test_a_deadline_that_passes_while_files_are_deleted_at_a_is_told(remote, folder):
    put(remote.area / "a.csv", b"x")
    with Line(folder, remote.a.port) as line:
        then(remote, '"delete"', line)
        remote.register()
        agent = remote.start("transfer", "--json", "--deadline", "5s")
        eventually(lambda: "delivered " in agent.log(), what="the delivery")
        line.freeze()
        ended = agent.wait(timeout=60)
        line.thaw()
    assert ended.code == 1 and "the deadline has passed" in ended.stderr
    assert (remote.area / "a.csv").exists()


def test_an_archive_where_it_would_land_again_at_a_is_refused(remote):
    then(remote, f'"archive"\narchive = "{remote.area}/done"')
    ended = remote.ferry("config", "check")
    assert ended.code == 2
    assert "would land again" in ended.stderr + ended.stdout
    then(remote, f'"archive"\narchive = "{remote.area}/.done"')
    assert remote.ferry("config", "check").code == 0


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
