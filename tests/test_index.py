"""The index beside the tables, attacked: whatever becomes of it, the answers are those of the tables."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from ferry_harness import SANITIZED, Process, command, environment, eventually, put, run_ferry
from landing_site import HUMBLE

FILES = 300
INDEX = ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners and mounts")


class Store:
    """A metastore with files in every state, whose index is there."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "metastore"
        self.landing = folder / "landing"
        self.path.mkdir()
        self.landing.mkdir(exist_ok=True)
        (self.path / "file_registry.jsonl").write_text("".join(map(file_row, range(FILES))))
        (self.path / "transfer_logs.jsonl").write_text(
            "".join(map(transfer_row, range(0, FILES, 3))))
        self.ask("watch", "--once", "--landing", self.landing)

    def ask(self, name, *arguments, path=None, under=(), codes=(0,)):
        ended = subprocess.run([*under, *command(name, *arguments, "--metastore", path or self.path)],
                               capture_output=True, text=True, timeout=120, env=environment(),
                               check=False)
        assert ended.returncode in codes, ended.stderr
        return ended

    def answers(self, path=None, under=()):
        """Of every question, without the age of anything; and what was said beside them."""
        said, asked = "", []
        for question in (["status"], ["list"], ["list", "--status", "pending"],
                         ["history", "d/7.csv"], ["history", "d/more.csv"]):
            ended = self.ask(*question, "--json", path=path, under=under, codes=(0, 2))  # 2: not there
            said += ended.stderr
            answer = re.sub(r'"\w*age_ms":\d+', "", ended.stdout)
            asked.append((ended.returncode, answer))
        return asked, said

    def answers_of_tables(self):
        """As a store gives them that never saw anything but these tables."""
        fresh = self.folder / "fresh"
        fresh.mkdir()
        for table in self.path.glob("*.jsonl"):
            shutil.copy(table, fresh)
        answers, _ = self.answers(fresh)
        shutil.rmtree(fresh)
        return answers

    def check(self, under=()):
        """Returns what commands said."""
        expected = self.answers_of_tables()
        answers, said = self.answers(under=under)
        assert answers == expected
        put(self.landing / "d" / "more.csv", b"more")
        written = self.ask("watch", "--once", "--json", "--landing", self.landing, under=under)
        assert json.loads(written.stdout)["registered"] == 1
        assert self.answers(under=under)[0] == self.answers_of_tables()
        return said + written.stderr

    def check_index(self):
        checked = run_ferry("doctor", "--index", "--json", "--metastore", self.path)
        (found,) = [one for one in checked.json["findings"] if one["check"] == "index"]
        assert found["health"] == "well", found

    def file(self, name):
        return self.path / name


def identifier(number):
    return f"0195f5a0-0000-7000-8000-{number:012x}"


def file_row(number):
    state = {5: "superseded", 6: "missing", 8: "quarantined"}.get(number % 10, "ready")
    row = {"id": identifier(number), "path": f"d/{number}.csv",
           "updated_date": "2026-11-24T12:00:00.000Z", "checksum": f"sha256:{number:064x}",
           "landing": "elsewhere", "state": state}
    return json.dumps(row) + "\n"


def transfer_row(number):
    row = {"id": identifier(number), "transfer_status": "failed" if number % 2 else "successful",
           "transfer_date": "2026-11-24T12:05:00.000Z", "destination": "b", "attempt": 1}
    return json.dumps(row) + "\n"


@pytest.fixture
def store(folder):
    return Store(folder)


def remove(store, names=INDEX):
    for name in names:
        store.file(name).unlink(missing_ok=True)


def settle(store):
    """Everything of the index is in one file."""
    with sqlite3.connect(store.file("index.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def overwrite(path, offset, data):
    with open(path, "r+b") as out:
        out.seek(offset)
        out.write(data)


def cut(store, divisor):
    settle(store)
    size = store.file("index.sqlite").stat().st_size
    os.truncate(store.file("index.sqlite"), size // divisor // 4096 * 4096 if divisor else 0)


def make_noise(store):
    settle(store)
    path = store.file("index.sqlite")
    path.write_bytes(os.urandom(path.stat().st_size))


def spoil_pages(store):
    settle(store)
    path = store.file("index.sqlite")
    for offset in range(4096, path.stat().st_size, 4096):
        overwrite(path, offset, os.urandom(4096))


def make_newer(store):
    with sqlite3.connect(store.file("index.sqlite")) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()


def put_another_metastores(store):
    other = store.folder / "other"
    other.mkdir()
    (other / "file_registry.jsonl").write_text(file_row(1_000))
    store.ask("watch", "--once", "--landing", store.landing, path=other)
    remove(store)
    for name in INDEX:
        if (other / name).exists():
            shutil.copy(other / name, store.path)


def put_a_directory(store):
    remove(store)
    store.file("index.sqlite").mkdir()


def put_a_link(store):
    remove(store)
    (store.folder / "victim").write_bytes(b"somebody else's")
    store.file("index.sqlite").symlink_to(store.folder / "victim")


@pytest.mark.parametrize("attack, is_told", [
    (remove, False),
    (lambda store: remove(store, INDEX[:1]), False),
    (lambda store: remove(store, INDEX[1:]), False),
    (lambda store: cut(store, 0), True),
    (lambda store: cut(store, 2), True),
    (make_noise, True),
    (spoil_pages, True),
    (make_newer, True),
    (put_another_metastores, True),
    (put_a_link, True),
], ids=["gone", "gone but for its log", "log gone", "empty", "half", "noise", "pages of noise",
        "newer", "of another metastore", "a link"])
def test_an_attack_on_the_index_changes_no_answer(store, attack, is_told):
    attack(store)
    said = store.check()
    assert not is_told or "index built anew" in said
    store.check_index()
    if attack is put_a_link:
        assert (store.folder / "victim").read_bytes() == b"somebody else's"


def test_a_directory_in_the_indexs_place_is_told_of_and_worked_around(store):
    put_a_directory(store)
    assert "index not used" in store.check()


@needs_root
@pytest.mark.parametrize("protect", [
    lambda path: path.chmod(0o400),
    lambda path: path.chmod(0),
    lambda path: (os.chown(path, 65534, 65534), path.chmod(0o600)),
], ids=["read-only", "unreadable", "somebody else's"])
def test_an_index_that_may_not_be_written_changes_no_answer(store, protect):
    for name in INDEX:
        if store.file(name).exists():
            protect(store.file(name))
    assert "index built anew" in store.check(under=HUMBLE)
    store.check_index()


@needs_root
@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
def test_a_disk_without_room_for_the_index_changes_no_answer(folder):
    """On a file system of its own, that has room for the tables and little else."""
    ended = subprocess.run(
        ["unshare", "--mount", sys.executable, __file__, folder], capture_output=True, text=True,
        timeout=300, check=False,
        env=environment({"TMPDIR": "/tmp", "FERRY": command()[0], "PYTHONPATH": os.pathsep.join(sys.path)}))
    assert ended.returncode == 0, ended.stderr


def on_a_full_disk(folder):
    """Runs in a mount namespace of its own."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    store = Store(disk)
    remove(store)
    fill = store.folder / "fill"
    with open(fill, "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass
    os.truncate(fill, fill.stat().st_size - 8 * 4096)  # for a few rows
    expected = answers_elsewhere(store, folder)
    answers, said = store.answers()
    assert answers == expected
    assert "index not used" in said, said
    put(store.landing / "d" / "more.csv", b"more")
    written = store.ask("watch", "--once", "--json", "--landing", store.landing)
    assert json.loads(written.stdout)["registered"] == 1
    assert store.answers()[0] == answers_elsewhere(store, folder)
    fill.unlink()
    store.check_index()


def answers_elsewhere(store, folder):
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for table in store.path.glob("*.jsonl"):
        shutil.copy(table, copy)
    return store.answers(copy)[0]


# The tables, edited beside ferry.


def sed(store, table, expression):
    subprocess.run(["sed", "-i", expression, store.file(table)], check=True)


def move_a_copy_over_it(store):
    path = store.file("file_registry.jsonl")
    path.with_name("new").write_text("".join(path.read_text().splitlines(True)[:-50]))
    subprocess.run(["mv", path.with_name("new"), path], check=True)


def append(store):
    subprocess.run(["sh", "-c", 'printf %s "$1" >> "$2"', "sh", transfer_row(7),
                    store.file("transfer_logs.jsonl")], check=True)


def edit_in_place(store):
    path = store.file("file_registry.jsonl")
    at = path.read_bytes().index(b"d/7.csv")
    overwrite(path, at, b"d/x.csv")


def cut_short(store):
    path = store.file("file_registry.jsonl")
    os.truncate(path, path.read_bytes().rindex(b"\n", 0, path.stat().st_size // 2) + 1)


@pytest.mark.parametrize("edit", [
    lambda store: sed(store, "file_registry.jsonl", "s,d/7.csv,d/seven.csv,"),
    lambda store: sed(store, "transfer_logs.jsonl", "s/successful/failed/"),
    lambda store: sed(store, "file_registry.jsonl", "7d"),
    move_a_copy_over_it,
    append,
    edit_in_place,
    cut_short,
    lambda store: os.truncate(store.file("transfer_logs.jsonl"), 0),
    lambda store: store.file("transfer_logs.jsonl").unlink(),
], ids=["sed -i", "sed -i of the logs", "a line less", "mv", "echo >>", "in place", "cut short",
        "logs emptied", "logs gone"])
def test_tables_that_are_edited_are_answered_from(store, edit):
    before, _ = store.answers()
    edit(store)
    assert store.answers_of_tables() != before
    store.check()
    store.check_index()


if __name__ == "__main__":
    on_a_full_disk(pathlib.Path(sys.argv[1]))


def test_who_works_on_a_private_index_goes_on_if_the_tables_are_replaced(folder, landing, metastore):
    """What a transaction worked on must outlive it."""
    watcher = Process(folder, "watch", "--landing", landing, "--metastore", metastore)

    def land(number, what):
        put(landing / "a", b"%d" % number)
        eventually(lambda: what in watcher.log(), what=what)

    def times(number):
        return lambda: watcher.log().count(" registered ") == number

    eventually(lambda: " ready" in watcher.log(), what="the watcher")
    land(1, " registered ")
    for path in metastore.glob("index.sqlite*"):
        path.unlink()
    (metastore / "index.sqlite/x").mkdir(parents=True)
    land(2, "index not used")
    eventually(times(2), what="the second version")
    shutil.rmtree(metastore / "index.sqlite")
    for number in range(3, 7):
        assert run_ferry("compact", "--keep", "0s", "--metastore", metastore).code == 0
        put(landing / "a", b"%d" % number)
        eventually(times(number), what="the next version")
    assert watcher.stop().code == 0
