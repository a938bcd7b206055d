"""Agents on many hosts, one metastore in PostgreSQL: each file once, whatever becomes of the database."""

import os
import pathlib
import random
import signal

import pytest

from ferry_harness import Configured, eventually, make_files, put, run_ferry
from fleet_harness import take_for_dead, upload_slowly
from line_proxy import Line


# Every command, on a database.


def test_every_command_works_on_a_database(fleet):
    make_files(fleet.landing, 5, 1000)
    absent = fleet.run("status", "--pending")
    assert absent.code == 2
    assert "has no metastore" in absent.stderr
    assert fleet.run("metastore", "upgrade").code == 0
    assert fleet.run("status", "--pending", "--idle-exit-code", "99").code == 99
    assert fleet.register() == 5
    assert fleet.run("status", "--pending").code == 0
    ended = fleet.transfer()
    assert ended.code == 0, ended.stderr
    assert ended.summary["successful"] == 5
    assert fleet.run("status", "--pending").code == 1
    assert fleet.run("status", "--json").json["successful"] == 5
    assert set(fleet.standings().values()) == {"successful"}
    name = fleet.paths()[0]
    history = fleet.run("history", name)
    assert history.code == 0 and "successful" in history.stdout
    assert fleet.run("resend", "--destination", fleet.server.url(), name).code == 0
    assert fleet.transfer().summary["successful"] == 1
    put(fleet.folder / "up.csv", b"1;2;3\n")
    uploaded = fleet.run("upload", "--landing", fleet.landing, fleet.folder / "up.csv")
    assert uploaded.code == 0, uploaded.stderr
    assert fleet.transfer().summary["successful"] == 1
    assert fleet.run("retry", "--failed").code == 0
    assert fleet.run("quarantine", "list", "--landing", fleet.landing).code == 0
    verified = run_ferry("verify", "--delivered-since", "1h", "--landing", fleet.landing, *fleet.server.options(), *fleet.options())
    assert verified.code == 0, verified.stderr
    assert fleet.run("compact", "--keep", "0s").code == 0
    doctor = fleet.run("doctor", "--index")
    assert doctor.code == 0, doctor.stdout
    assert fleet.run("metastore", "upgrade").stdout.startswith("version 1 already")


def test_a_skipped_file_is_recorded_as_such(fleet, ferry, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(fleet.folder / "state-a"))
    hosts = Configured(ferry, fleet.folder, fleet.landing, fleet.location, {"b": fleet.server})
    hosts.write('[route.all]\nto = ["b"]\nexisting = "skip"\n')
    put(fleet.server.root / "a.csv", b"theirs")
    put(fleet.landing / "a.csv", b"ours")
    put(fleet.landing / "b.csv", b"new")
    hosts.register()
    ended = hosts.transfer()
    assert ended.code == 0, ended.stderr
    assert (ended.summary["successful"], ended.summary["skipped"]) == (1, 1)
    assert (fleet.server.root / "a.csv").read_bytes() == b"theirs"
    assert list(fleet.listed()) == ["b.csv"]
    assert hosts.standings("b") == {("a.csv", "b"): "successful", ("b.csv", "b"): "successful"}
    last = ("SELECT {} FROM transfer_logs l JOIN files f USING (id) WHERE f.path = 'a.csv' ORDER BY l.row "
            "DESC LIMIT 1")
    columns = "transfer_status, bytes, checksum IS NULL, batch_id IS NULL, error->>'kind'"
    assert fleet.sql(last.format(columns)) == ["successful|0|t|t|skipped"]
    assert fleet.sql(last.format("remote_path"))[0].endswith("/a.csv")
    assert "skipped: not sent" in hosts.run("history", "a.csv").stdout
    assert hosts.run("status", "--pending").code == 1
    assert hosts.run("verify", "--date", "today", "--destination", "b").code == 0
    assert hosts.run("doctor", "--index").code == 0
    back = fleet.folder / "tables"
    imported = hosts.run("import", "--from", fleet.location, "--metastore", back)
    assert imported.code == 0, imported.stderr
    assert "skipped: not sent" in hosts.run("history", "a.csv", "--metastore", back).stdout


def test_a_password_in_the_location_is_refused_and_not_shown(fleet):
    ended = fleet.run("status", location="postgresql://ann:hush-hush@127.0.0.1/db")
    assert ended.code == 2
    assert "hush-hush" not in ended.stdout + ended.stderr
    assert "PGPASSFILE" in ended.stderr
    shown = run_ferry("config", "show", "--metastore", "postgresql://ann:hush-hush@127.0.0.1/db")
    assert "hush-hush" not in shown.stdout + shown.stderr


def test_a_service_and_a_password_file_are_used(fleet):
    service = fleet.folder / "service.conf"
    service.write_text(f"[ferry]\nhost={fleet.postgres.folder}\nport={fleet.postgres.port}\n"
                       f"dbname={fleet.database}\nuser=postgres\n")
    assert fleet.run("metastore", "upgrade").code == 0
    ended = fleet.run("status", "--json", location="postgresql:///?service=ferry",
                      env={"PGSERVICEFILE": str(service)})
    assert ended.code == 0, ended.stderr


# Agents that lose the database.


def test_an_agent_whose_session_ends_goes_on(fleet):
    put(fleet.landing / "slow.bin", os.urandom(2 << 20))
    fleet.register()
    agent = upload_slowly(fleet, 4)
    fleet.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                       "application_name LIKE 'ferry %'")
    ended = agent.wait()
    assert ended.code == 0, ended.stderr
    fleet.check_each_once(["slow.bin"])
    assert fleet.count("SELECT count(*) FROM transfer_logs") == 2  # it was claimed once


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_a_database_that_restarts_costs_nothing(fleet, how):
    put(fleet.landing / "slow.bin", os.urandom(2 << 20))
    make_files(fleet.landing, 20, 100)
    fleet.register()
    agent = upload_slowly(fleet, 4)
    fleet.postgres.restart(how)
    ended = agent.wait()
    assert ended.code == 0, ended.stderr
    fleet.check_each_once(fleet.paths())


def test_an_agent_that_was_taken_for_dead_renames_nothing(fleet):
    """Its line to the database is cut, that to B is not; meanwhile another agent delivers a newer
    version. The older one must not come over it."""
    target = fleet.server.root / "report.bin"
    put(fleet.landing / "report.bin", b"1" * (2 << 20))
    fleet.register()
    with Line(fleet.folder, fleet.postgres.port) as line:
        cut_off = upload_slowly(fleet, 14, location=fleet.postgres.location(fleet.database, line.port))
        line.freeze()
        fleet.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL "
                  "AND application_name LIKE 'ferry %'")
        take_for_dead(fleet)
        # Until the first one has uploaded all that it has, and would like to give it its name.
        eventually(lambda: part_size(fleet) == 2 << 20 and not has_open(cut_off, "report.bin"),
                   deadline=60, what="the upload")
        put(fleet.landing / "report.bin", b"2" * (2 << 20))
        fleet.register()
        other = fleet.transfer(host="b")
        assert other.code == 0, other.stderr
        assert target.read_bytes() == b"2" * (2 << 20)
        assert part_size(fleet) == 2 << 20
        assert cut_off.popen.poll() is None
        line.thaw()
        ended = cut_off.wait()
    assert "agent was away for too long" in ended.stderr, ended.stderr
    assert target.read_bytes() == b"2" * (2 << 20)
    assert fleet.successes() == {"report.bin": 1}
    assert fleet.listed() == {"report.bin": 1}
    assert not fleet.server.leftovers()


def has_open(agent, name):
    return any(one.resolve().name == name for one in pathlib.Path(f"/proc/{agent.popen.pid}/fd").iterdir())


def part_size(fleet):
    return max((path.stat().st_size for path in fleet.server.leftovers()), default=0)


def test_what_a_lost_agent_had_delivered_is_recorded_by_it(fleet):
    """It begins anew in its own place: what nobody else has taken is still its own."""
    make_files(fleet.landing, 30, 100)
    put(fleet.landing / "slow.bin", os.urandom(2 << 20))
    fleet.register()
    agent = upload_slowly(fleet, 8)
    eventually(lambda: len(fleet.server.files()) == 30, deadline=60, what="the small files")
    fleet.sql("DELETE FROM agents")
    fleet.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                       "application_name LIKE 'ferry %'")
    ended = agent.wait()
    assert ended.code == 0, ended.stderr
    assert "agent begins anew" in ended.stderr
    fleet.check_each_once(fleet.paths())


def test_what_another_agent_has_taken_over_is_listed_and_recorded_once(fleet):
    """The first is halted when it has delivered, and not yet listed, what another then delivers."""
    make_files(fleet.landing, 30, 100)
    put(fleet.landing / "slow.bin", os.urandom(2 << 20))
    fleet.register()
    agent = upload_slowly(fleet, 8)
    eventually(lambda: len(fleet.server.files()) == 30, deadline=60, what="the small files")
    agent.popen.send_signal(signal.SIGSTOP)
    fleet.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                       "application_name LIKE 'ferry %'")
    take_for_dead(fleet)
    other = fleet.transfer(host="b")
    assert other.code == 0, other.stderr
    assert other.summary["successful"] == 31
    agent.popen.send_signal(signal.SIGCONT)
    ended = agent.wait()
    assert ended.code == 0, ended.stderr
    fleet.check_each_once(fleet.paths())


def test_a_host_that_comes_back_does_not_undo_what_others_did(fleet):
    """All or nothing: killed between names, and its files delivered by another host meanwhile."""
    make_files(fleet.landing, 40, 100)
    fleet.register()
    agent = fleet.start("--batch", "all-or-nothing")
    eventually(lambda: fleet.server.files(), deadline=60, what="the first name")
    agent.kill()
    take_for_dead(fleet)
    fleet.sql("DELETE FROM agents")
    other = fleet.transfer(host="b")
    assert other.code == 0, other.stderr
    again = fleet.transfer("--batch", "all-or-nothing")
    assert again.code == 0, again.stderr
    assert set(fleet.server.files()) >= set(fleet.paths())
    assert all(count == 1 for count in fleet.successes().values())
    assert len(fleet.successes()) == 40


# From one kind of metastore to the other.


def test_a_metastore_is_carried_over_and_back(fleet, metastore, transfer, register):
    make_files(fleet.landing, 30, 100)
    register()
    assert transfer().code == 0
    make_files(fleet.landing, 10, 100, prefix="later")
    register()
    put(fleet.landing / "later-00000.dat", b"another version")
    register()
    there = run_ferry("import", "--from", metastore, "--json", *fleet.options())
    assert there.code == 0, there.stderr
    counted = run_ferry("status", "--json", "--metastore", metastore).json
    assert fleet.run("status", "--json").json["pending"] == counted["pending"] == 10
    assert fleet.run("status", "--json").json["successful"] == counted["successful"] == 30
    again = run_ferry("import", "--from", metastore, "--json", *fleet.options())
    assert again.json["copied"] == 0
    assert again.json["digest"] == there.json["digest"]
    assert fleet.transfer().summary["successful"] == 10
    back = fleet.folder / "back"
    ended = run_ferry("import", "--from", fleet.location, "--json", "--metastore", back)
    assert ended.code == 0, ended.stderr
    assert run_ferry("status", "--json", "--metastore", back).json["successful"] == 40
    rows = (back / "file_registry.jsonl").read_text()
    assert rows.startswith((metastore / "file_registry.jsonl").read_text())


def test_an_import_that_was_cut_short_goes_on(fleet, metastore, register):
    make_files(fleet.landing, 30, 10)
    register()
    whole = metastore / "file_registry.jsonl"
    rows = whole.read_text().splitlines(keepends=True)
    whole.write_text("".join(rows[:12]))
    assert run_ferry("import", "--from", metastore, "--json", *fleet.options()).json["copied"] == 12
    whole.write_text("".join(rows))
    ended = run_ferry("import", "--from", metastore, "--json", *fleet.options())
    assert ended.json["copied"] == 18
    whole.write_text("".join(rows[1:]))
    other = run_ferry("import", "--from", metastore, *fleet.options())
    assert other.code == 4
    assert "import into one that is new" in other.stderr


# All of it together.


def test_a_fleet_delivers_each_file_once(fleet):
    """Agents that are killed and started anew at random, a database that crashes and restarts.
    FERRY_FLEET="AGENTS FILES KILLS" makes it larger."""
    agents, files, kills = map(int, os.environ.get("FERRY_FLEET", "4 800 3").split())
    for number in range(0, files, 1000):
        make_files(fleet.landing / f"{number:06}", min(1000, files - number), 64, prefix=f"{number}")
    assert fleet.register() == files

    def start(host):
        return fleet.start("--follow", "--exit-when-idle", "20s", "--retry-after", "1s",
                           "--batch-files", "500", "--connections", "1", host=str(host))

    running = [start(host) for host in range(agents)]
    chance = random.Random(files)
    restarts = {kills // 3: signal.SIGINT, 2 * kills // 3: signal.SIGQUIT}
    for kill in range(kills):
        share = files * (kill + 1) // (kills + 2)
        eventually(lambda: fleet.count("SELECT count(*) FROM deliveries WHERE transfer_status = "
                                       "'successful'") >= share, deadline=1800, what="progress")
        host = chance.randrange(agents)
        running[host].kill()
        if kill in restarts:
            fleet.postgres.restart(restarts[kill])
        running[host] = start(host)
    for agent in running:
        ended = agent.wait(timeout=3600)
        assert ended.code == 0, ended.stderr
    fleet.check_each_once(fleet.paths())
    checked = fleet.run("doctor", "--index")
    assert checked.code == 0, checked.stdout
