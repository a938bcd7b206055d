"""A registry that is gone, or older than the logs beside it: nobody takes it for "nothing to do"."""

import pytest

from ferry_harness import Process, eventually, put


@pytest.fixture
def delivered(configured, landing):
    configured.write('[route.all]\nto = ["b"]\n')
    for name in ("a.csv", "b.csv"):
        put(landing / name, name.encode())
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    return configured


def registry_of(configured):
    return configured.metastore / "file_registry.jsonl"


def finding(configured):
    ended = configured.run("doctor", "--json")
    (found,) = (one for one in ended.json["findings"] if one["check"] == "registry")
    return ended.code, found


@pytest.mark.parametrize("lose", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_registry_that_is_gone(delivered, server, lose):
    code, found = finding(delivered)
    assert (code, found["health"]) == (0, "well")
    rows = registry_of(delivered).read_bytes()
    lose(registry_of(delivered))
    code, found = finding(delivered)
    assert (code, found["health"]) == (4, "trouble")
    assert "file_registry is empty, and 4 rows" in found["message"] and "backup" in found["fix"]
    checked = delivered.run("status", "--check")
    assert checked.code == 2
    assert checked.stdout.startswith("FERRY CRITICAL: 4 rows without their files")
    assert "4 rows of transfer_logs" in delivered.run("status").stdout
    assert "ferry_orphaned_rows 4" in delivered.run("status", "--prometheus").stdout
    logs = (delivered.metastore / "transfer_logs.jsonl").read_bytes()
    # Who registers the files anew delivers them twice.
    for command in (["transfer"], ["transfer", "--dry-run"], ["watch", "--once"]):
        ended = delivered.run(*command)
        assert ended.code == 4, command
        assert "file_registry is empty" in ended.stderr and "restore" in ended.stderr
    assert (delivered.metastore / "transfer_logs.jsonl").read_bytes() == logs
    registry_of(delivered).write_bytes(rows)
    assert delivered.transfer("--to", "b").code == 0
    assert delivered.run("status", "--check").code == 0
    assert server.files() == ["a.csv", "b.csv"]


def test_a_registry_that_is_older_than_the_logs(delivered, landing):
    old = registry_of(delivered).read_bytes()
    put(landing / "c.csv", b"c")
    delivered.register()
    assert delivered.transfer("--to", "b").code == 0
    registry_of(delivered).write_bytes(old)
    code, found = finding(delivered)
    assert (code, found["health"]) == (4, "trouble")
    assert "file_registry lacks rows, and 2 rows" in found["message"]
    assert delivered.run("status", "--check").code == 2
    # The others are not kept waiting.
    put(landing / "d.csv", b"d")
    delivered.register()
    assert delivered.transfer("--to", "b").code == 0


def test_a_compacted_metastore_lacks_nothing(delivered, landing):
    put(landing / "a.csv", b"another")
    delivered.register()
    assert delivered.transfer("--to", "b").code == 0
    assert delivered.run("compact", "--keep", "0s").code == 0
    assert delivered.run("status", "--check").code == 0
    assert finding(delivered)[0] == 0


def test_a_registry_that_is_no_file_is_not_the_trouble_of_what_lands(delivered, landing, folder):
    running = Process(folder, "watch", "--config", delivered.file)
    eventually(lambda: "rescan" in running.log(), what="the watcher is there")
    registry_of(delivered).unlink()
    registry_of(delivered).mkdir()
    put(landing / "late.csv", b"late")
    eventually(lambda: "it is not a regular file" in running.log(), what="the metastore is missed")
    assert "unreadable" not in running.log()
    ended = running.wait()
    assert ended.code == 4, ended.stderr
