"""From the landing area to the other side."""

import collections
import hashlib
import json
import threading

import pytest

from ferry_harness import (SANITIZED, Process, eventually, make_big_file, make_files, part_name, put,
                           relative_files, same_tree, tables)

GIB = 1 << 30


def latest(rows, *key):
    return {tuple(row[column] for column in key): row for row in rows}


def test_files_that_land_are_registered_delivered_and_recorded(
        server, landing, metastore, watching, transfer, status):
    with watching():
        make_files(landing, 50, 2000)
        make_files(landing / "sub" / "deeper", 20, 10, prefix="deep")
        eventually(lambda: status()["pending"] == 70, what="70 files registered")
    ended = transfer()
    assert ended.code == 0, ended.stderr
    assert ended.summary["successful"] == 70
    assert same_tree(landing, server.root)
    assert server.files() == relative_files(landing)
    assert server.leftovers() == []

    registry, logs = tables(metastore)
    by_id = {row["id"]: row for row in registry}
    last = latest(logs, "id", "destination")
    assert len(last) == 70
    assert {row["transfer_status"] for row in last.values()} == {"successful"}
    (control,) = server.control_files()
    assert control["count"] == 70 == len(control["files"])
    assert control["total_bytes"] == sum(file["size"] for file in control["files"])
    for file in control["files"]:
        content = (server.root / file["path"]).read_bytes()
        assert file["checksum"] == "sha256:" + hashlib.sha256(content).hexdigest()
        assert file["checksum"] == by_id[file["id"]]["checksum"]
        assert file["size"] == len(content)
    counts = status()
    assert (counts["successful"], counts["pending"], counts["failed"]) == (70, 0, 0)


def test_any_name_and_an_empty_file(server, landing, register, transfer):
    for name in ("with space.csv", "Grüße aus 東京.csv", "-rf", "a'b\"c$HOME;.txt", "#x%20y"):
        put(landing / name, name.encode())
    put(landing / "empty", b"")
    assert register() == 6
    assert transfer().code == 0
    assert same_tree(landing, server.root)
    assert (server.root / "empty").stat().st_size == 0


@pytest.mark.parametrize("landed, at_b, said", [
    ("report", "report/old.csv", "there is a directory of that name"),
    ("report/new.csv", "report", "there is a file of that name")])
def test_a_name_that_is_another_thing_at_b_is_told(
        server, landing, register, transfer, landed, at_b, said):
    put(landing / landed, b"new")
    put(server.root / at_b, b"old")
    register()
    ended = transfer()
    assert ended.code == 1 and f"report: {said}" in ended.stderr
    assert (server.root / at_b).read_bytes() == b"old"
    assert server.leftovers() == []


def test_nothing_is_sent_twice_and_an_idle_run_says_so(server, landing, register, transfer):
    make_files(landing, 3, 10)
    register()
    assert transfer().summary["successful"] == 3
    before = {path: path.stat().st_mtime_ns for path in server.root.iterdir()}
    again = transfer("--idle-exit-code", "99")
    assert again.code == 99
    assert again.summary["selected"] == 0
    assert transfer().code == 0
    assert {path: path.stat().st_mtime_ns for path in server.root.iterdir()} == before


def test_a_new_version_replaces_the_old_one(server, landing, register, transfer):
    put(landing / "a", b"one")
    register()
    transfer()
    put(landing / "a", b"two")
    assert register() == 1
    assert transfer().summary["successful"] == 1
    assert (server.root / "a").read_bytes() == b"two"


def test_directories_of_the_destination_are_made(server, landing, metastore, ferry, register):
    put(landing / "a.csv", b"a")
    register()
    inbox, control = server.root / "made" / "for" / "us", server.root / "lists" / "of" / "them"
    ended = ferry("transfer", "--landing", landing, "--metastore", metastore,
                  *server.options(inbox), "--control-dir", control)
    assert ended.code == 0, ended.stderr
    assert relative_files(inbox) == ["a.csv"]
    assert len(list(control.iterdir())) == 1


def test_a_day_selects_its_files(server, landing, metastore, ferry, register, transfer):
    rows = []
    for day in ("2026-03-01", "2026-03-02"):
        put(landing / f"{day}.csv", day.encode())
        digest = hashlib.sha256(day.encode()).hexdigest()
        rows.append(f'{{"id": "{day}", "path": "{day}.csv", "updated_date": "{day}", '
                    f'"checksum": "{digest}"}}\n')
    assert ferry("import", "-", "--metastore", metastore, stdin="".join(rows)).code == 0
    assert transfer("--date", "2026-03-02").summary["successful"] == 1
    assert server.files() == ["2026-03-02.csv"]
    assert transfer("--until", "2026-03-02T00:00:00Z").summary["successful"] == 1


def test_a_registry_written_by_hand_is_enough(server, landing, metastore, transfer, ferry):
    metastore.mkdir()
    put(landing / "good.csv", b"good")
    put(landing / "bad.csv", b"bad")
    md5 = hashlib.md5(b"good").hexdigest()
    (metastore / "file_registry.jsonl").write_text(
        f'{{"id":"1","path":"good.csv","updated_date":"2026-01-02","checksum":"{md5}","own":7}}\n'
        f'{{"id":"2","path":"bad.csv","updated_date":"2026-01-02","checksum":"{md5}"}}\n')
    ended = transfer()
    assert ended.code == 1, ended.stderr
    assert (ended.summary["successful"], ended.summary["failed"]) == (1, 1)
    assert server.files() == ["good.csv"]
    (control,) = server.control_files()
    assert [file["id"] for file in control["files"]] == ["1"]
    (held,) = ferry("list", "--status", "quarantined", "--json",
                    "--metastore", metastore).json_lines
    assert held["path"] == "bad.csv"


def test_a_dry_run_changes_nothing(server, landing, metastore, register, transfer):
    make_files(landing, 2, 10)
    register()
    before = tables(metastore)
    ended = transfer("--dry-run")
    assert ended.code == 0
    assert sorted(line["path"] for line in ended.json_lines) == relative_files(landing)
    assert tables(metastore) == before
    assert server.files() == []


def test_two_transfers_at_once_deliver_each_file_once(
        server, landing, metastore, folder, register, transfer_arguments):
    make_files(landing, 5000, 100)
    assert register() == 5000
    both = [Process(folder, *transfer_arguments) for _ in range(2)]
    runs = [process.wait() for process in both]
    assert [run.code for run in runs] == [0, 0], [run.stderr[-500:] for run in runs]
    assert sum(run.summary["successful"] for run in runs) == 5000
    _, logs = tables(metastore)
    done = collections.Counter(row["id"] for row in logs if row["transfer_status"] == "successful")
    assert len(done) == 5000
    assert set(done.values()) == {1}
    assert same_tree(landing, server.root)


def test_a_burst_is_registered_completely(landing, watching, status, register):
    count = 2000 if SANITIZED else 20000
    with watching():
        make_files(landing, count, 20)
        eventually(lambda: status()["pending"] == count, deadline=120, what="the whole burst")
    assert register() == 0


def test_what_a_killed_transfer_left_the_next_one_delivers(
        server, landing, folder, register, transfer, transfer_arguments):
    make_files(landing, 3000, 4000)
    register()
    victim = Process(folder, *transfer_arguments)
    eventually(lambda: len(server.files()) > 100 or victim.popen.poll() is not None,
               what="some files delivered")
    victim.kill()
    ended = transfer()
    assert ended.code == 0, ended.stderr
    assert same_tree(landing, server.root)
    assert server.files() == relative_files(landing)
    assert server.leftovers() == []


@pytest.mark.parametrize("server", [["RekeyLimit 16M", "MaxStartups 1"]], indirect=True)
def test_a_gibibyte_through_rekeying_in_little_memory(
        server, landing, folder, register, transfer_arguments):
    size = GIB // 8 if SANITIZED else GIB
    make_big_file(landing / "big.bin", size)
    register()
    partial = []
    stop = threading.Event()

    def look():
        while not stop.wait(0.005):
            path = server.root / "big.bin"
            if path.exists() and path.stat().st_size != size:
                partial.append(path.stat().st_size)

    observer = threading.Thread(target=look)
    observer.start()
    run, rss_kib = run_measured(folder, transfer_arguments)
    stop.set()
    observer.join()
    assert run.code == 0, run.stderr
    assert partial == []
    assert same_tree(landing, server.root)
    if not SANITIZED:
        assert rss_kib <= 32 * 1024


def run_measured(folder, arguments):
    """The run, and its maximum resident set. time(1) starts it: the figure of a direct child would
    include Python's own memory at the fork."""
    report = folder / "rss"
    run = Process(folder, *arguments, under=["/usr/bin/time", "-f", "%M", "-o", report]).wait()
    return run, int(report.read_text().split()[-1])


def test_nothing_partial_shows_under_a_final_name(
        server, landing, folder, register, transfer_arguments):
    make_files(landing, 300, 200_000)
    register()
    process = Process(folder, *transfer_arguments)
    while process.popen.poll() is None:
        for path in server.root.iterdir():
            if path.name.startswith(".") or path.name.endswith(".json"):
                continue
            assert path.stat().st_size == 200_000
    assert process.wait().code == 0
    assert len(server.files()) == 300


def test_all_configured_destinations_are_served(server, landing, folder, metastore, ferry):
    other = folder / "other"
    config = folder / "ferry.toml"
    known = f'identity = "{server.identity}"\nknown_hosts = "{server.known_hosts}"\n'
    config.write_text(
        f'metastore = "{metastore}"\n[landing.in]\npath = "{landing}"\n'
        f'[destination.dead]\nurl = "sftp://127.0.0.1:1/x"\n'
        f'[destination.one]\nurl = "{server.url()}"\n{known}'
        f'[destination.two]\nurl = "{server.url(other)}"\n{known}')
    make_files(landing, 5, 10)
    assert ferry("watch", "--once", "--config", config).code == 0
    ended = ferry("transfer", "--json", "--config", config)
    assert ended.code == 3
    by_name = {entry["destination"]: entry for entry in ended.json["destinations"]}
    assert by_name["dead"]["error"]["kind"] == "unreachable"
    assert by_name["one"]["successful"] == by_name["two"]["successful"] == 5
    assert same_tree(landing, server.root) and same_tree(landing, other)
    counts = ferry("status", "--json", "--config", config, "--destination", "two").json
    assert counts["successful"] == 5


def test_a_deadline_that_passes_before_anything_is_taken(landing, register, transfer):
    make_files(landing, 1, 10)
    register()
    for _ in range(5):
        ended = transfer("--deadline", "1ms")
        assert ended.code == 1
        assert "the deadline has passed" in ended.stderr


def test_a_deadline_ends_the_run_and_the_next_one_goes_on(server, landing, register, transfer):
    make_big_file(landing / "big", 64 << 20)
    register()
    ended = transfer("--deadline", "1s", "--bandwidth-limit", "8M")
    assert ended.code == 1
    assert "the deadline has passed" in ended.stderr
    assert not (server.root / "big").exists()
    assert transfer("--deadline", "1h").code == 0
    assert (server.root / "big").stat().st_size == 64 << 20


def test_a_stopped_run_tells_what_it_delivered(folder, landing, register, transfer_arguments, server):
    make_files(landing, 1, 10)
    register()
    make_big_file(landing / "big", 64 << 20)
    register()
    agent = Process(folder, *transfer_arguments, "--bandwidth-limit", "1M", "--batch-files", "1", "--json")
    small, = (path.name for path in landing.iterdir() if path.name != "big")
    eventually(lambda: small in server.files() and server.leftovers(), what="the first bytes of the large file")
    ended = agent.stop()
    assert ended.code == 130
    assert "stopped: 1 files were delivered, the others stay pending" in ended.stderr
    assert (ended.summary["stopped"], ended.summary["successful"]) == (True, 1)
    assert [batch["successful"] for batch in ended.summary["batches"]] == [1]


def test_a_run_that_is_stopped_before_it_takes_anything_says_so(folder, landing, register, transfer_arguments, server):
    make_big_file(landing / "big", 64 << 20)
    register()
    agent = Process(folder, *transfer_arguments, "--bandwidth-limit", "1M")
    eventually(server.leftovers, what="the trial of what the server can do")
    ended = agent.stop()
    assert ended.code == 130
    assert "stopped: 0 files were delivered, the others stay pending" in ended.stderr


def test_what_another_run_has_in_hand_is_not_nothing_to_do(
        folder, landing, register, transfer, transfer_arguments, server):
    make_big_file(landing / "big", 32 << 20)
    register()
    other = Process(folder, *transfer_arguments, "--bandwidth-limit", "2M")
    eventually(server.leftovers, what="the first bytes")
    idle = transfer("--idle-exit-code", "99")
    assert (idle.code, idle.summary["elsewhere"]) == (0, 1), idle.stderr
    asked = transfer("big")
    assert (asked.code, asked.summary["not_yet"]) == (1, 1), asked.stderr
    other.kill()
    assert transfer("big").code == 0
