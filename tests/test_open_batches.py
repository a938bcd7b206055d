"""A batch that cannot be brought to its end: what is in the way of one of its sidecars stays there."""

import collections
import datetime
import json

import pytest

from ferry_harness import Process, eventually, put, tables

ALL = '[route.all]\nto = ["b"]\n'


@pytest.fixture
def obstacle(configured, landing, server):
    """Two files whose batch stays open; remove it, and the batch comes to its end."""
    configured.write(ALL, b='sidecar = "sha256"')
    put(landing / "a.csv", b"aaa")
    put(landing / "b.csv", b"bbb")
    configured.register()
    path = server.root / "b.csv.sha256" / "in the way"
    put(path, b"x")
    return path


def clear(obstacle):
    obstacle.unlink()
    obstacle.parent.rmdir()


def test_its_files_are_counted_once(obstacle, configured):
    assert obstacle.exists()
    for _ in range(2):
        ended = configured.transfer("--to", "b")
        assert ended.code == 1, ended.stderr
        assert (ended.summary["selected"], ended.summary["unlisted"]) == (2, 2)


def test_what_vanishes_meanwhile_is_listed_all_the_same(obstacle, configured, landing, server, metastore):
    assert configured.transfer("--to", "b").code == 1
    (landing / "a.csv").unlink()
    put(landing / "g.csv", b"ggg")
    configured.register()
    assert configured.transfer("--to", "b").code == 1
    clear(obstacle)
    ended = configured.transfer("--to", "b")
    assert ended.code == 0, ended.stderr
    listed = collections.Counter(entry["path"] for control in server.control_files()
                                 for entry in control["files"])
    assert listed == {"a.csv": 1, "b.csv": 1, "g.csv": 1}
    assert all(row["transfer_status"] != "failed" for row in tables(metastore)[1])


def test_one_that_follows_does_not_try_without_a_pause(obstacle, configured, folder):
    assert obstacle.exists()
    running = Process(folder, "transfer", "--follow", "--to", "b",
                      env={"FERRY_CONFIG": str(configured.file)})

    def times():
        return [datetime.datetime.fromisoformat(line.split()[0])
                for line in running.log().splitlines() if "batch not completed" in line]

    eventually(lambda: len(times()) >= 4, what="the fourth try")
    running.stop()
    first, second, third, fourth, *_ = times()
    assert second - first >= datetime.timedelta(seconds=0.5)
    assert fourth - third >= datetime.timedelta(seconds=2)


def test_a_journal_that_cannot_be_read_is_not_nothing_to_do(obstacle, configured, metastore):
    assert configured.transfer("--to", "b").code == 1
    clear(obstacle)
    (journal,) = metastore.glob("batches/*.journal")
    content = journal.read_bytes()
    journal.write_bytes(b"X" + content[1:])
    ended = configured.transfer("--to", "b")
    assert ended.code == 4, ended.stderr
    assert ended.stderr.count("batch journal left alone") == 1
    assert str(journal) in ended.stderr
    journal.write_bytes(content)
    assert configured.transfer("--to", "b").code == 0


def test_a_newer_version_waits_until_the_older_one_is_listed(obstacle, configured, landing, server, metastore):
    assert configured.transfer("--to", "b").code == 1
    put(landing / "a.csv", b"a newer version")
    configured.register()
    assert configured.transfer("--to", "b").code == 1
    assert (server.root / "a.csv").read_bytes() == b"aaa"
    clear(obstacle)
    for _ in range(2):
        ended = configured.transfer("--to", "b")
        assert ended.code == 0, ended.stderr
    listed = collections.Counter(entry["checksum"] for control in server.control_files()
                                 for entry in control["files"])
    assert len(listed) == 3 and set(listed.values()) == {1}
    last = {row["id"]: row["transfer_status"] for row in tables(metastore)[1]}
    assert set(last.values()) == {"successful"}


def listed(place):
    """How often each path is listed in the control files there."""
    return collections.Counter(entry["path"] for path in place.glob("*.control.json")
                               for entry in json.loads(path.read_text())["files"])


def test_a_mistake_in_where_control_files_go_can_be_mended(configured, landing, server, metastore):
    configured.write(ALL, b='control_dir = "/sys"')  # is there, and nobody can make a file in it
    put(landing / "a.csv", b"aaa")
    configured.register()
    assert configured.transfer("--to", "b").code == 1
    assert (server.root / "a.csv").exists()
    place = server.root / "control"
    configured.write(ALL, b=f'control_dir = "{place}"')
    ended = configured.transfer("--to", "b")
    assert ended.code == 0, ended.stderr
    assert ended.summary["control_file"].startswith(f"{place}/")
    assert listed(place) == {"a.csv": 1} and server.leftovers() == []
    assert tables(metastore)[1][-1]["transfer_status"] == "successful"
    assert configured.transfer("--to", "b").summary["selected"] == 0


def test_a_control_file_that_may_be_there_is_pushed_nowhere_else(obstacle, configured, server, metastore):
    assert configured.transfer("--to", "b").code == 1
    (journal,) = (metastore / "batches").glob("*.journal")
    (server.root / f"{journal.stem}.control.json").write_text("an agent pushed it, and died")
    configured.write(ALL, b=f'sidecar = "sha256"\ncontrol_dir = "{server.root}/control"')
    clear(obstacle)
    assert configured.transfer("--to", "b").code == 0
    assert listed(server.root) == {"a.csv": 1, "b.csv": 1}
    assert listed(server.root / "control") == {}
