"""ferry retry: what failed too often is released, and the next run takes it."""

import json
import os

import pytest

from ferry_harness import make_files, put, relative_files, same_tree, tables


@pytest.fixture
def blocked(server, landing, register, transfer):
    """Three files of which two failed for good: where they should go lie directories."""
    make_files(landing, 3, 100)
    names = relative_files(landing)
    for name in names[:2]:
        (server.root / name / "in the way").mkdir(parents=True)
    register()
    for _ in range(3):
        transfer("--max-attempts", "2")
    server.blocked = names[:2]
    return server


def unblock(server):
    for name in server.blocked:
        (server.root / name / "in the way").rmdir()
        (server.root / name).rmdir()


def listed(ferry, metastore, status):
    ended = ferry("list", "--status", status, "--json", "--metastore", metastore)
    return sorted(line["path"] for line in ended.json_lines)


def test_what_failed_for_good_is_delivered_after_its_release(
        ferry, blocked, landing, metastore, transfer, status):
    assert listed(ferry, metastore, "failed") == blocked.blocked
    assert transfer("--max-attempts", "2").summary["selected"] == 0
    assert not (metastore / "pending").exists() or status()["pending"] == 0
    unblock(blocked)
    ended = ferry("retry", "--failed", "--json", "--metastore", metastore)
    assert ended.code == 0, ended.stderr
    assert ended.json["released"] == 2
    assert sorted(file["path"] for file in ended.json["files"]) == blocked.blocked
    counts = status()
    assert (counts["pending"], counts["failed"], counts["successful"]) == (2, 0, 1)
    assert (metastore / "pending").exists()
    assert transfer("--max-attempts", "2").summary["successful"] == 2
    assert same_tree(landing, blocked.root)
    _, logs = tables(metastore)
    last = {row["id"]: row for row in logs}
    assert {row["attempt"] for row in last.values()} == {1}


def test_one_file_by_name(ferry, blocked, metastore):
    ended = ferry("retry", blocked.blocked[0], "--metastore", metastore)
    assert ended.code == 0
    assert f"released {blocked.blocked[0]} for" in ended.stdout
    assert listed(ferry, metastore, "failed") == blocked.blocked[1:]
    assert listed(ferry, metastore, "pending") == blocked.blocked[:1]
    _, logs = tables(metastore)
    assert (logs[-1]["transfer_status"], logs[-1]["attempt"]) == ("failed", 0)
    assert logs[-1]["error"]["kind"] == "released"
    by_id = ferry("retry", logs[-1]["id"], "--metastore", metastore)
    assert (by_id.code, "is pending, not failed" in by_id.stdout) == (0, True)


def test_a_released_file_may_fail_again_as_often(ferry, blocked, metastore, transfer, status):
    assert ferry("retry", "--failed", "--metastore", metastore).code == 0
    for _ in range(2):
        assert transfer("--max-attempts", "2").summary["failed"] == 2
    assert transfer("--max-attempts", "2").summary["selected"] == 0
    assert status()["failed"] == 2


def test_only_one_destination(ferry, blocked, metastore):
    ended = ferry("retry", "--failed", "--destination", "other", "--metastore", metastore)
    assert (ended.code, ended.stdout) == (2, "")
    ended = ferry("retry", "--failed", "--destination", blocked.url(), "--json",
                  "--metastore", metastore)
    assert ended.json["released"] == 2


def test_what_a_newer_version_replaced_stays_so(ferry, blocked, landing, metastore, register):
    put(landing / blocked.blocked[0], b"a newer version")
    register()
    ended = ferry("retry", "--failed", "--json", "--metastore", metastore)
    assert [file["path"] for file in ended.json["files"]] == blocked.blocked[1:]


def test_wrong_usage(ferry, blocked, metastore):
    before = (metastore / "transfer_logs.jsonl").read_bytes()
    for arguments in ((), ("--failed", blocked.blocked[0]), ("no such file",)):
        ended = ferry("retry", *arguments, "--metastore", metastore)
        assert (ended.code, ended.stdout) == (2, ""), arguments
    assert (metastore / "transfer_logs.jsonl").read_bytes() == before
