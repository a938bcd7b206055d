"""Batches: their bounds, what a dead run leaves of one, and destinations side by side."""

import collections
import functools
import json
import os
import shutil
import signal

import pytest

import ferry_harness
from ferry_harness import (Process, Server, make_big_file, make_files, put, relative_files,
                           same_tree, tables)
from silent_server import SilentServer

eventually = functools.partial(ferry_harness.eventually, deadline=60)
MIB = 1 << 20


def listed(server):
    """How often control files list each file, as the receiver sees it."""
    return collections.Counter(entry["path"] for control in server.control_files()
                               for entry in control["files"])


def each_once(files):
    return {name: 1 for name in files}


def successes(metastore):
    return collections.Counter(row["id"] for row in tables(metastore)[1]
                               if row["transfer_status"] == "successful")


@pytest.fixture
def killed_midway(folder, server, transfer_arguments):
    """Starts a run of COUNT files of 2,000 bytes, and kills it; returns what it delivered."""
    def run(count):
        agent = Process(folder, *transfer_arguments, "--bandwidth-limit", "1M")
        eventually(lambda: len(server.files()) > count // 2, what="half of the files")
        agent.kill()
        delivered = {name: os.stat(server.root / name).st_ino for name in server.files()}
        assert len(delivered) < count and not server.control_files()
        return delivered

    return run


def test_a_single_run_is_one_batch(landing, server, register, transfer):
    make_files(landing, 30, 100)
    register()
    summary = transfer().summary
    assert len(summary["batches"]) == 1 and summary["batch_id"] and summary["control_file"]
    assert len(server.control_files()) == 1


def test_batch_files_bounds_a_batch(landing, metastore, server, register, transfer):
    make_files(landing, 25, 100)
    register()
    summary = transfer("--batch-files", "10").summary
    assert sorted(batch["successful"] for batch in summary["batches"]) == [5, 10, 10]
    assert summary["successful"] == 25
    assert sorted(len(control["files"]) for control in server.control_files()) == [5, 10, 10]
    assert listed(server) == each_once(server.files())
    batches = {row["batch_id"] for row in tables(metastore)[1]}
    assert batches == {batch["batch_id"] for batch in summary["batches"]}


def test_the_summary_has_a_line_for_each_batch(landing, register, ferry, transfer_arguments):
    make_files(landing, 25, 100)
    register()
    without_json = [word for word in transfer_arguments if word != "--json"]
    ended = ferry(*without_json, "--batch-files", "10")
    assert ended.code == 0, ended.stderr
    whole, *lines = ended.stdout.splitlines()
    assert "25 of 25 files" in whole and "3 batches" in whole
    # As they are completed: the next one does not wait for a control file.
    assert sorted("10 of 10 files" in line for line in lines) == [False, True, True]
    assert all(".control.json" in line for line in lines) and any("5 of 5 files" in line for line in lines)


def test_batch_bytes_bounds_a_batch_and_a_larger_file_goes_alone(
        landing, server, register, transfer):
    for name, size in (("1-small", 300), ("2-large", 5000), ("3-small", 300), ("4-small", 300)):
        put(landing / name, b"x" * size)
        register()
    summary = transfer("--batch-bytes", "1000").summary
    assert summary["successful"] == 4
    contents = sorted(sorted(entry["path"] for entry in control["files"])
                      for control in server.control_files())
    assert contents == [["1-small"], ["2-large"], ["3-small", "4-small"]]


def test_a_file_that_lands_while_a_large_one_is_on_its_way_is_delivered_meanwhile(
        folder, landing, server, register, transfer_arguments):
    make_big_file(landing / "large", 64 * MIB)
    register()
    follower = Process(folder, *transfer_arguments, "--follow", "--bandwidth-limit", "2M",
                       "--batch-time", "2s")
    try:
        eventually(lambda: server.leftovers(), what="the large file's part")
        put(landing / "small", b"x")
        register()
        eventually(lambda: "small" in server.files(), what="the small file")
        eventually(lambda: listed(server)["small"] == 1, what="its control file")
        assert "large" not in server.files()
    finally:
        follower.kill()


def test_what_a_dead_run_delivered_is_listed_and_not_sent_again(
        landing, metastore, server, register, killed_midway, transfer):
    count = 2000
    make_files(landing, count, 2000)
    register()
    before = killed_midway(count)
    summary = transfer().summary
    assert summary["successful"] == count
    assert summary["sent_bytes"] <= (count - len(before) + 1) * 2000
    assert {name: os.stat(server.root / name).st_ino for name in before} == before
    assert listed(server) == each_once(relative_files(landing))
    assert same_tree(landing, server.root) and server.leftovers() == []
    assert set(successes(metastore).values()) == {1} and len(successes(metastore)) == count


@pytest.mark.parametrize("fate", ["deleted", "replaced"])
def test_what_a_dead_run_delivered_is_listed_though_its_source_is_gone(
        landing, server, register, killed_midway, transfer, fate):
    make_files(landing, 2000, 2000)
    register()
    delivered = killed_midway(2000)
    for name in delivered:
        if fate == "deleted":
            (landing / name).unlink()
        else:
            put(landing / name, b"another version")
    register()
    transfer()
    counts = listed(server)
    assert {name: counts[name] for name in delivered} == each_once(delivered) if \
        fate == "deleted" else all(counts[name] == 2 for name in delivered)
    assert server.leftovers() == []


def test_a_run_with_nothing_to_deliver_completes_a_dead_one(
        landing, metastore, server, register, killed_midway, transfer):
    make_files(landing, 2000, 2000)
    register()
    delivered = killed_midway(2000)
    shutil.rmtree(landing)
    landing.mkdir()
    put(landing / "keeps the area from being empty", b"")
    register()
    transfer()
    assert {name: listed(server)[name] for name in delivered} == each_once(delivered)
    assert server.leftovers() == []
    assert list((metastore / "journals").glob("*")) == []
    assert list((metastore / "batches").glob("*.journal")) == []


def test_an_empty_server_under_the_same_name_gets_what_the_dead_run_had_delivered(
        landing, server, register, killed_midway, transfer):
    make_files(landing, 2000, 2000)
    register()
    killed_midway(2000)
    shutil.rmtree(server.root)
    server.root.mkdir()
    assert transfer().summary["successful"] == 2000
    assert same_tree(landing, server.root)
    assert listed(server) == each_once(relative_files(landing))


def test_a_control_file_that_cannot_be_pushed_costs_no_file_and_no_attempt(
        folder, landing, metastore, server, register, ferry, transfer_arguments):
    make_files(landing, 20, 100)
    register()
    blocked = folder / "control"
    blocked.write_bytes(b"not a directory")
    ended = ferry(*transfer_arguments, "--control-dir", blocked, "--retries", "1",
                  "--retry-delay", "10ms")
    assert ended.code != 0
    before = {name: os.stat(server.root / name).st_ino for name in server.files()}
    blocked.unlink()
    ended = ferry(*transfer_arguments, "--control-dir", blocked)
    assert ended.code == 0, ended.stderr
    assert {name: os.stat(server.root / name).st_ino for name in before} == before
    assert len(server.files()) == 20
    assert {row["attempt"] for row in tables(metastore)[1]} == {1}


@pytest.mark.parametrize("is_taken", [False, True], ids=["files there", "one file taken"])
def test_a_list_whose_part_somebody_removed_is_pushed(
        landing, metastore, server, register, killed_midway, transfer, is_taken):
    """The agent died while it pushed. A receiver that took the list may have taken the files, too."""
    make_files(landing, 2000, 2000)
    register()
    delivered = killed_midway(2000)
    (journal,) = (metastore / "batches").glob("*.journal")
    with open(journal, "a", encoding="utf-8") as notes:
        notes.write(json.dumps({"event": "pushing", "part": f"{server.root}/.gone.part"}) + "\n")
    taken = server.root / sorted(delivered)[len(delivered) // 2]
    if is_taken:
        taken.unlink()
    assert transfer().code == 0
    assert set(successes(metastore).values()) == {1} and len(successes(metastore)) == 2000
    lists = collections.Counter(listed(server))
    assert (len(lists) == 2000) != is_taken
    assert taken.exists() != is_taken


def test_agents_that_start_while_a_dead_batch_is_completed_send_nothing_of_it(
        folder, landing, metastore, server, register, killed_midway, transfer_arguments):
    make_files(landing, 2000, 2000)
    register()
    before = killed_midway(2000)
    for ended in [one.wait() for one in [Process(folder, *transfer_arguments) for _ in range(4)]]:
        assert ended.code == 0, ended.stderr
    assert {name: os.stat(server.root / name).st_ino for name in before} == before
    assert listed(server) == each_once(relative_files(landing))
    assert set(successes(metastore).values()) == {1}


def test_a_receiver_of_all_or_nothing_never_sees_half_a_batch_after_a_stop(
        folder, landing, server, register, transfer_arguments, transfer):
    make_files(landing, 1500, 100)
    register()
    agent = Process(folder, *transfer_arguments, "--batch", "all-or-nothing")
    eventually(lambda: server.files(), what="the first name")
    agent.popen.send_signal(signal.SIGTERM)
    agent.wait()
    names = server.files()
    assert len(names) in (0, 1500)
    assert len(server.control_files()) == (1 if names else 0)
    transfer("--batch", "all-or-nothing")
    assert listed(server) == each_once(relative_files(landing))


def test_what_becomes_due_is_delivered_while_a_large_file_is_on_its_way(configured, folder, landing, server):
    configured.write('[route.late]\nmatch = "late"\nto = "b"\ndelay = "3s"\n[route.rest]\nto = "b"\n')
    make_big_file(landing / "large", 64 * MIB)
    configured.register()
    follower = Process(folder, "transfer", "--to", "b", "--follow", "--bandwidth-limit", "2M",
                       env={"FERRY_CONFIG": str(configured.file)})
    try:
        eventually(lambda: server.leftovers(), what="the large file's part")
        put(landing / "late", b"x")
        configured.register()
        eventually(lambda: "late" in server.files(), what="the file that had to wait")
        assert "large" not in server.files()
    finally:
        follower.kill()


# Destinations side by side.


def test_what_is_carried_over_brings_no_name_that_is_there_already(configured, folder, landing, server):
    """What is not done in time goes on in the next batch, which has a file of that name."""
    configured.write('''[route.all]
to = ["b"]
rename = "{name}"
[transfer]
batch_files = 3
batch_time = "4s"
bandwidth_limit = "200K"
''')
    make_files(landing, 2, 10)
    (landing / "one").mkdir()
    put(landing / "one" / "x.dat", os.urandom(1_500_000))
    configured.register()
    agent = Process(folder, "transfer", "--to", "b", "--follow", "--exit-when-idle", "1s",
                    env={"FERRY_CONFIG": str(configured.file)})
    eventually(lambda: len(server.files()) == 2, what="the small files")
    (landing / "two").mkdir()
    put(landing / "two" / "x.dat", os.urandom(1_300_000))
    put(landing / "later.txt", b"later")
    configured.register()
    assert agent.wait(timeout=60).code == 0
    lists = [[file["path"] for file in control["files"]] for control in server.control_files()]
    assert all(len(set(paths)) == len(paths) for paths in lists), lists
    assert sorted(sum(lists, [])) == ["file-00000.dat", "file-00001.dat", "later.txt", "x.dat", "x.dat"]


def test_a_destination_that_does_not_answer_delays_no_other(configured, folder, landing, server):
    with SilentServer() as silent:
        configured.write("", b=f'url = "sftp://127.0.0.1:{silent.port}/"')
        text = configured.file.read_text().replace(f'url = "{server.url()}"\n', "", 1)
        configured.file.write_text(text)
        put(landing / "a", b"x")
        configured.register()
        agent = Process(folder, "transfer", "--json", "--config", configured.file)
        try:
            eventually(lambda: configured.servers["c"].files() == ["a"], deadline=10,
                       what="the file at the other")
            assert agent.popen.poll() is None
        finally:
            agent.kill()


def test_a_slow_destination_delays_no_other(configured, folder, landing):
    configured.write("", b='bandwidth_limit = "1M"')
    make_big_file(landing / "big", 64 * MIB)
    configured.register()
    agent = Process(folder, "transfer", "--json", "--config", configured.file)
    try:
        other = configured.servers["c"]
        eventually(lambda: other.files() == ["big"] and other.control_files(), what="the other")
        assert configured.servers["b"].files() == []
    finally:
        agent.kill()


def test_a_transform_for_two_destinations_is_made_once(configured, folder, landing):
    calls = folder / "calls"
    script = folder / "transform"
    script.write_text(f'#!/bin/sh\necho >> {calls}\ntr a b\n')
    script.chmod(0o755)
    configured.write('routing = "all"\n'
                     f'[transform.t]\ncommand = ["{script}"]\n'
                     '[route.b]\nto = "b"\ntransforms = ["t"]\n'
                     '[route.c]\nto = "c"\ntransforms = ["t"]\n')
    for number in range(5):
        put(landing / f"{number}", b"aaa")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    for server in configured.servers.values():
        assert {(server.root / name).read_bytes() for name in server.files()} == {b"bbb"}
    assert calls.read_text().count("\n") == 5
