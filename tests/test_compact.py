"""ferry compact: what is settled leaves the tables, nothing is lost, whatever ends the run."""

import collections
import json
import os
import shutil
import subprocess

import pytest

from ferry_harness import (SANITIZED, command, environment, eventually, make_files, put,
                           read_table, same_tree)

TABLES = ("file_registry", "transfer_logs")


@pytest.fixture
def compact(ferry, metastore):
    def run(*options):
        ended = ferry("compact", "--metastore", metastore, "--keep", "0s", "--json", *options)
        assert ended.code == 0, ended.stderr
        return ended.json

    return run


@pytest.fixture
def worn(server, landing, register, transfer):
    """A store in which half of the files are settled."""
    make_files(landing, 40, 100)
    register()
    transfer()
    for number in range(20):
        put(landing / f"file-{number:05}.dat", b"a newer version")
    register()
    transfer()
    return server


def all_rows(metastore):
    """Every row of both tables and of the archive, as often as it is there."""
    rows = collections.Counter()
    for table in TABLES:
        for path in [metastore / f"{table}.jsonl",
                     *(metastore / "archive").glob(f"*/{table}.*.jsonl")]:
            rows.update(path.read_text().splitlines() if path.exists() else [])
    return rows


def test_nothing_is_lost_and_less_is_read(worn, metastore, compact, status, transfer, register):
    before = all_rows(metastore)
    counts = compact()
    assert counts["rows_before"] == sum(before.values()) == 180
    assert counts["rows_after"] == 80
    assert all_rows(metastore) == before
    assert len(read_table(metastore, "file_registry")) == 40
    assert status()["successful"] == 40
    assert register() == 0
    assert transfer().summary["selected"] == 0
    assert compact()["rows_after"] == 80


def test_history_finds_what_is_archived(worn, ferry, landing, metastore, compact, register):
    (landing / "file-00003.dat").unlink()
    register()
    before = ferry("history", "file-00003.dat", "--json", "--metastore", metastore).json_lines
    compact()
    assert "file-00003.dat" not in (metastore / "file_registry.jsonl").read_text()
    after = ferry("history", "file-00003.dat", "--json", "--metastore", metastore).json_lines
    assert after == before
    assert len(after) == 2


def test_recent_files_stay_where_nobody_says_otherwise(worn, ferry, metastore):
    assert ferry("compact", "--metastore", metastore).code == 0
    assert len(read_table(metastore, "file_registry")) == 60


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_it_leaves_the_store_to_its_owner(worn, landing, metastore, compact, transfer):
    somebody = 65534
    for path in (metastore, *metastore.rglob("*")):
        os.chown(path, somebody, somebody)
    compact()
    put(landing / "another", b"bytes")
    transfer()
    assert {path.stat().st_uid for path in metastore.rglob("*")} == {somebody}


@pytest.mark.parametrize("replaced, rows_left", [(200_000, 1), (90_000, 90_001)])
def test_large_tables_are_compacted_by_whoever_opens_them(
        landing, metastore, register, replaced, rows_left):
    put(landing / "file", b"bytes")
    register()
    table = metastore / "file_registry.jsonl"
    table.write_text(table.read_text() * (replaced + 1))
    register()
    assert len(table.read_text().splitlines()) == rows_left
    assert sum(all_rows(metastore).values()) == replaced + 1


def test_damaged_rows_are_kept(worn, ferry, metastore, compact):
    with open(metastore / "transfer_logs.jsonl", "a") as table:
        table.write("{damaged\n")
    compact()
    assert "{damaged\n" in (metastore / "transfer_logs.jsonl").read_text()


@pytest.mark.skipif(SANITIZED, reason="sanitizers and ptrace do not go together")
def test_killed_at_every_step_it_loses_nothing(worn, folder, ferry, metastore):
    """strace kills it at its 1st, 2nd, … call of each kind that changes something on disk."""
    before = all_rows(metastore)
    pristine = folder / "pristine"
    metastore.rename(pristine)
    kills = 0
    for call in ("write", "fsync", "fdatasync", "rename", "unlink", "mkdir"):
        for number in range(1, 200):
            shutil.rmtree(metastore, ignore_errors=True)
            shutil.copytree(pristine, metastore)
            ended = subprocess.run(
                ["strace", "-f", "-o", folder / "strace", "-e", f"trace={call}",
                 "-e", f"inject={call}:signal=SIGKILL:when={number}",
                 *command("compact", "--metastore", metastore, "--keep", "0s")],
                capture_output=True, env=environment(), check=False, timeout=120)
            rows = all_rows(metastore)
            assert set(rows) == set(before), (call, number)
            assert ferry("status", "--json", "--metastore", metastore).json["pending"] == 0
            recovered = ferry("compact", "--metastore", metastore, "--keep", "0s", "--json")
            assert recovered.code == 0, (call, number, recovered.stderr)
            assert all_rows(metastore) == before, (call, number)
            assert recovered.json["rows_after"] == 80, (call, number)
            leftovers = [path for path in metastore.rglob(".*.tmp")]
            assert leftovers == [], (call, number)
            if ended.returncode == 0:
                break
            kills += 1
        else:
            raise AssertionError(f"{call} does not end")
    assert kills > 10


def test_beside_a_watcher_and_transfers(
        server, landing, folder, metastore, watching, transfer, status, compact):
    with watching():
        for round_ in range(5):
            make_files(landing, 100, 50, prefix=f"round{round_}")
            compact()
            assert transfer().code == 0
            compact()
        eventually(lambda: status()["pending"] == 0 or transfer().code, deadline=60,
                   what="everything delivered")
        eventually(lambda: transfer().summary["selected"] == 0
                   and len(server.files()) == 500, deadline=120, what="500 files")
    assert same_tree(landing, server.root)
    logs = [json.loads(row) for row in all_rows(metastore).elements()]
    done = collections.Counter(row["id"] for row in logs
                               if row.get("transfer_status") == "successful")
    assert set(done.values()) == {1} and len(done) == 500


def test_where_nothing_is_settled_nothing_changes(ferry, metastore, landing, register, compact):
    make_files(landing, 3, 100)
    register()
    size = sum((metastore / f"{table}.jsonl").stat().st_size for table in TABLES
               if (metastore / f"{table}.jsonl").exists())
    done = compact()
    assert (done["rows_before"], done["rows_after"]) == (3, 3)
    assert (done["bytes_before"], done["bytes_after"]) == (size, size)
