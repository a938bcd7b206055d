"""Sources that are archived or deleted after delivery, and what cuts that short."""

import os
import pathlib
import re
import shutil
import tempfile

import pytest

from ferry_harness import SANITIZED, put, relative_files, tables

needs_strace = pytest.mark.skipif(SANITIZED or shutil.which("strace") is None,
                                  reason="strace interrupts the system calls")


@pytest.fixture
def elsewhere(folder):
    """A folder on another file system than the landing area."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ferry-test-", dir="/var/tmp"))
    if path.stat().st_dev == folder.stat().st_dev:
        pytest.skip("there is one file system only")
    yield path
    shutil.rmtree(path)


class Then:
    """A site whose only route does AFTER with what was delivered."""

    def __init__(self, site, folder, archive=None):
        self.site, self.area, self.archive = site(east=""), folder / "east", archive
        after = f'"archive"\narchive = "{archive}"' if archive else '"delete"'
        with open(self.site.config, "a", encoding="utf-8") as config:
            config.write(f'[route.all]\nto = "b"\nafter = {after}\n')

    def transfer_under(self, *words):
        """Under strace, which meddles with the system calls of all threads."""
        ended = self.site.start(
            "transfer", under=("strace", "-f", "-o", "/dev/null", *words)).wait(timeout=60)
        return ended

    def what_is_left(self):
        return sorted(str(path.relative_to(self.area)) for path in self.area.rglob("*")
                      if path.is_file())

    def archived(self):
        return {name: (self.archive / name).read_bytes() for name in relative_files(self.archive)}

    def states(self):
        last = {row["id"]: row for row in tables(self.site.metastore)[0]}
        return [row.get("state", "ready") for row in last.values()]


def test_what_cannot_be_archived_is_said_wherever_somebody_looks(site, folder):
    archive = folder / "archive"
    then = Then(site, folder, archive)
    archive.write_bytes(b"not a directory")
    for name in ("a.csv", "b.csv"):
        put(then.area / name, name.encode())
    then.site.watch_once()
    for _ in range(2):  # the second has nothing to deliver
        ended = then.site.transfer()
        assert (ended.code, ended.json["untaken"]) == (1, 2), ended.stderr
    ended = then.site.ferry("transfer")
    assert ended.code == 1
    assert re.search(r"2 delivered files could not be archived or deleted: [ab].csv: ", ended.stdout)
    assert "2 delivered files could not be archived or deleted: " in then.site.ferry("status").stdout
    status = then.site.ferry("status", "--json").json["untaken"]
    assert status["files"] == 2 and status["path"] in ("a.csv", "b.csv") and str(archive) in status["message"]
    checked = then.site.ferry("status", "--check")
    assert checked.code == 1 and "2 not archived or deleted" in checked.stdout
    assert "ferry_untaken_files 2" in then.site.ferry("status", "--prometheus").stdout
    pushed = then.site.ferry("push", then.area, "--json")
    assert (pushed.code, pushed.json["untaken"]) == (1, 2)
    archive.unlink()
    archive.mkdir()
    ended = then.site.transfer()
    assert (ended.code, ended.json["untaken"]) == (0, 0), ended.stderr
    assert then.what_is_left() == []
    assert then.site.ferry("status", "--json").json["untaken"] is None
    assert then.site.ferry("status", "--check").code == 0


@needs_strace
@pytest.mark.parametrize("kill", ["renameat2:when=1", "renameat2:when=2"])
def test_a_kill_while_a_file_is_archived_leaves_it_in_one_place(site, folder, kill):
    then = Then(site, folder, folder / "archive")
    put(then.area / "in" / "a.csv", b"content")
    then.site.watch_once()
    call, when = kill.split(":")
    assert then.transfer_under("-e", f"inject={call}:signal=SIGKILL:{when}").code != 0
    then.site.watch_once()  # a watcher looks, and finds it gone
    assert then.site.transfer().code == 0
    assert then.archived() == {"in/a.csv": b"content"}
    assert then.what_is_left() == [] and then.states() == ["missing"]
    assert list((then.site.metastore / "taking").iterdir()) == []
    assert len(then.site.server.files()) == 1 and len(then.site.server.control_files()) == 1


@needs_strace
@pytest.mark.parametrize("call", ["renameat2", "unlinkat"])
@pytest.mark.parametrize("how", ["signal=SIGKILL", "error=EIO"])
def test_a_deletion_that_is_cut_short_is_finished(site, folder, call, how):
    then = Then(site, folder)
    put(then.area / "a.csv", b"content")
    then.site.watch_once()
    then.transfer_under("-e", f"inject={call}:{how}:when=1")
    then.site.watch_once()
    ended = then.site.transfer()
    assert ended.code == 0, ended.stderr
    assert then.what_is_left() == [] and then.states() == ["missing"]
    assert list((then.site.metastore / "taking").iterdir()) == []


@needs_strace
@pytest.mark.parametrize("kill", ["renameat2:when=1", "renameat2:when=2", "renameat2:when=3",
                                  "renameat2:when=4", "unlinkat:when=2"])
def test_a_kill_while_a_file_is_copied_leaves_one_copy(site, folder, elsewhere, kill):
    then = Then(site, folder, elsewhere / "archive")
    put(then.area / "in" / "a.csv", b"content")
    then.site.watch_once()
    call, when = kill.split(":")
    assert then.transfer_under("-e", f"inject={call}:signal=SIGKILL:{when}").code != 0
    then.site.watch_once()
    assert then.site.transfer().code == 0
    assert then.archived() == {"in/a.csv": b"content"}
    assert then.what_is_left() == [] and then.states() == ["missing"]


def test_a_full_archive_costs_no_file(site, folder):
    """The archive cannot take it at first: its place there is taken by a file."""
    then = Then(site, folder, folder / "archive")
    then.archive.mkdir()
    (then.archive / "in").write_bytes(b"no directory")
    put(then.area / "in" / "a.csv", b"content")
    then.site.watch_once()
    ended = then.site.transfer()
    assert "delivered file not archived" in ended.stderr
    then.site.watch_once()
    assert then.what_is_left() == ["in/a.csv"] and then.states() == ["ready"]
    (then.archive / "in").unlink()
    assert then.site.transfer().code == 0
    assert then.archived() == {"in/a.csv": b"content"}


@needs_strace
def test_a_disk_that_is_full_for_the_last_rename_is_tried_again(site, folder):
    then = Then(site, folder, folder / "archive")
    put(then.area / "a.csv", b"content")
    then.site.watch_once()
    ended = then.transfer_under("-e", "inject=renameat2:error=ENOSPC:when=2")
    assert "delivered file not archived" in ended.stderr
    then.site.watch_once()
    assert then.site.transfer().code == 0
    assert then.archived() == {"a.csv": b"content"}
    assert then.what_is_left() == [] and then.states() == ["missing"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account")
def test_an_archive_of_another_account_is_refused(site, folder):
    then = Then(site, folder, folder / "archive")
    then.archive.mkdir()
    os.chown(then.archive, 65534, 65534)
    put(then.area / "a.csv", b"content")
    then.site.watch_once()
    ended = then.site.transfer()
    assert "belongs to another account" in ended.stderr and str(then.archive) in ended.stderr
    assert then.what_is_left() == ["a.csv"] and then.states() == ["ready"]
