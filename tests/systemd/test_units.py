"""The units at work: watching, delivering, and what they make of trouble."""

import json

import pytest
from ferry_harness import eventually
from site_setup import (configure, delivered, drop, install, is_active, registry, set_up)

WATCH, TRANSFER, PATH = "ferry-watch.service", "ferry-transfer.service", "ferry-transfer.path"


@pytest.fixture(scope="module", autouse=True)
def site(machine):
    install(machine)
    set_up(machine)
    # What is shipped makes for long tests.
    override(machine, WATCH, "WatchdogSec=4s", "RestartSec=1s")
    override(machine, TRANSFER, "RestartSec=3s")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", WATCH, PATH)


def override(machine, unit, *lines):
    folder = machine.path(f"/etc/systemd/system/{unit}.d")
    folder.mkdir()
    (folder / "test.conf").write_text("\n".join(["[Service]", *lines, ""]))


def is_delivered(machine, *names, deadline=60, **where):
    eventually(lambda: set(names) <= delivered(machine, **where), deadline=deadline,
               what=f"{names} at the destination")


def starts_of(machine, unit):
    return len(machine.output("journalctl", "-o", "cat", "--no-pager", f"UNIT={unit}",
                              "JOB_TYPE=start", "JOB_RESULT=done").splitlines())


def main_pid(machine, unit):
    return int(machine.show(unit, "MainPID"))


def kill(machine, signal, unit):
    machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", unit)


def test_files_that_are_dropped_are_delivered(machine):
    for number in range(20):
        drop(machine, f"first-{number}")
    is_delivered(machine, *(f"first-{number}" for number in range(20)))
    assert machine.show(WATCH, "NRestarts") == "0"


def test_the_agent_ends_when_nothing_is_pending_and_comes_back(machine):
    eventually(lambda: not is_active(machine, TRANSFER), deadline=60, what="the agent's end")
    assert machine.show(TRANSFER, "Result") == "success"
    assert machine.show(PATH, "SubState") == "waiting"
    before = starts_of(machine, TRANSFER)
    drop(machine, "later")
    is_delivered(machine, "later")
    assert starts_of(machine, TRANSFER) == before + 1


def test_the_journal_finds_events_by_their_fields(machine):
    drop(machine, "in journal.csv")
    is_delivered(machine, "in journal.csv")
    record = next(row for row in registry(machine) if row["path"] == "in journal.csv")

    def events(*matches):
        lines = machine.output("journalctl", "-o", "json", "--no-pager", *matches).splitlines()
        return [json.loads(line) for line in lines]

    def told():
        return [event["FERRY_EVENT"] for event in events(f"FERRY_FILE_ID={record['id']}")]

    eventually(lambda: told() == ["registered", "delivered"], what="both events in the journal")
    (by_path,) = events("FERRY_PATH=in journal.csv", "FERRY_EVENT=registered")
    assert (by_path["_SYSTEMD_UNIT"], by_path["PRIORITY"]) == (WATCH, "6")
    (sent,) = events("FERRY_PATH=in journal.csv", "FERRY_DESTINATION=b")
    assert sent["_SYSTEMD_UNIT"] == TRANSFER


def test_a_partner_s_file_needs_no_more_than_its_group_and_waits_for_its_writer(machine):
    path = machine.path("/srv/in/being written")
    with open(path, "wb") as writer:
        machine.run("chown", "partner:partner", "/srv/in/being written")
        machine.run("chmod", "640", "/srv/in/being written")
        writer.write(b"half")
        writer.flush()
        # Its writer is seen whoever he is; by its age alone it would be taken now.
        for number in range(3):
            drop(machine, f"meanwhile-{number}")
            is_delivered(machine, f"meanwhile-{number}")
        assert "being written" not in {row["path"] for row in registry(machine)}
        writer.write(b" and half")
    is_delivered(machine, "being written")
    sent = machine.path("/home/drop/inbox/being written")
    assert sent.read_bytes() == b"half and half"


def test_a_killed_watcher_comes_back_and_misses_nothing(machine):
    before = main_pid(machine, WATCH)
    kill(machine, "KILL", WATCH)
    drop(machine, "while the watcher was dead")
    is_delivered(machine, "while the watcher was dead")
    assert main_pid(machine, WATCH) not in (0, before)


def begin_to_deliver(machine, name):
    """Drops a file that takes its time. Returns its part file at the destination."""
    eventually(lambda: not is_active(machine, TRANSFER), deadline=60, what="the agent's end")
    configure(machine, top='[transfer]\nbandwidth_limit = "10M"\n')
    drop(machine, name, b"0123456789abcdef" * (4 << 20))
    (part,) = eventually(lambda: list(machine.path("/home/drop/inbox").glob(f".{name}.*.part")),
                         deadline=60, what="the part file")
    configure(machine)
    return part


def test_a_killed_agent_comes_back_and_goes_on(machine):
    part = begin_to_deliver(machine, "big")
    kill(machine, "KILL", TRANSFER)
    is_delivered(machine, "big", deadline=120)
    assert not part.exists()
    assert int(machine.show(TRANSFER, "NRestarts")) >= 1


def test_the_watchdog_restarts_a_watcher_that_hangs(machine):
    before = main_pid(machine, WATCH)
    kill(machine, "STOP", WATCH)
    drop(machine, "while the watcher hung")
    is_delivered(machine, "while the watcher hung")
    assert main_pid(machine, WATCH) not in (0, before)
    assert "watchdog" in machine.output("journalctl", "--no-pager", "-o", "cat", f"UNIT={WATCH}")


def test_a_reload_brings_a_new_landing_area_and_misses_nothing(machine):
    before = main_pid(machine, WATCH)
    machine.run("mkdir", "/srv/new")
    drop(machine, "early in new", area="new")
    for number in range(50):
        drop(machine, f"reload-{number}")
    configure(machine, landings=["new"])
    machine.run("systemctl", "reload", WATCH)
    for number in range(50, 100):
        drop(machine, f"reload-{number}")
    drop(machine, "late in new", area="new")
    is_delivered(machine, "early in new", "late in new",
                 *(f"reload-{number}" for number in range(100)))
    assert main_pid(machine, WATCH) == before
    paths = [row["path"] for row in registry(machine)]
    assert len(paths) == len(set(paths))


def test_a_reload_with_mistakes_fails_and_changes_nothing(machine):
    before = main_pid(machine, WATCH)
    configure(machine, landings=["new"], top="mestatore = 1")
    refused = machine.run("systemctl", "reload", WATCH, check=False)
    assert refused.returncode != 0
    configure(machine, landings=["new"])
    drop(machine, "after the refused reload")
    is_delivered(machine, "after the refused reload")
    assert main_pid(machine, WATCH) == before


def test_a_destination_that_is_away_is_waited_for_without_a_storm_of_starts(machine):
    # A server that stops leaves the sessions that it has, and an agent delivers through its own.
    eventually(lambda: not is_active(machine, TRANSFER), deadline=60, what="the agent's end")
    machine.run("systemctl", "stop", "ssh.service")
    try:
        before = starts_of(machine, TRANSFER)
        drop(machine, "for later")
        eventually(lambda: "next try in" in machine.show(TRANSFER, "StatusText"),
                   deadline=60, what="the agent's word on what it waits for")
        assert machine.show(PATH, "ActiveState") == "active"
        assert starts_of(machine, TRANSFER) - before <= 1
    finally:
        machine.run("systemctl", "start", "ssh.service")
    is_delivered(machine, "for later", deadline=120)


def test_an_agent_that_cannot_start_is_restarted_at_intervals_and_heals(machine):
    eventually(lambda: not is_active(machine, TRANSFER), deadline=60, what="the agent's end")
    configure(machine, landings=["new"], top="[transfer]\nretries = -1")
    drop(machine, "after the mistake")

    def failed_starts():
        return int(machine.show(TRANSFER, "NRestarts"))

    before = failed_starts()
    eventually(lambda: failed_starts() >= before + 1, deadline=60, what="a restart")
    assert failed_starts() <= before + 2
    assert machine.show(PATH, "ActiveState") == "active"
    configure(machine, landings=["new"])
    is_delivered(machine, "after the mistake")


def test_an_instance_has_its_own_configuration_and_metastore(machine):
    configure(machine, name="second", state="ferry/second", directory="second",
              service="ferry-transfer@second.service")
    machine.run("systemctl", "enable", "--now", "ferry-watch@second.service",
                "ferry-transfer@second.path")
    is_delivered(machine, "later", directory="second")
    machine.run("systemctl", "disable", "--now", "ferry-watch@second.service",
                "ferry-transfer@second.path", "ferry-transfer@second.service")


def test_a_stop_in_the_middle_of_a_delivery_is_clean_and_fast(machine):
    begin_to_deliver(machine, "interrupted")
    machine.run("systemctl", "stop", PATH, TRANSFER, WATCH, timeout=15)
    assert "interrupted" not in delivered(machine)
    for unit in (WATCH, TRANSFER):
        assert machine.show(unit, "Result") == "success"
        assert machine.show(unit, "ExecMainStatus") == "0"
    machine.run("systemctl", "start", WATCH, PATH)
    is_delivered(machine, "interrupted")


@pytest.mark.parametrize("unit", [WATCH, TRANSFER, "ferry-watch@x.service",
                                  "ferry-transfer@x.service", "ferry-serve.service",
                                  "ferry-serve@x.service"])
def test_the_units_are_confined(machine, unit):
    machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)


def test_the_units_have_no_mistakes(machine):
    checked = machine.run("systemd-analyze", "verify", "--man=no", WATCH, TRANSFER, PATH,
                          "ferry-transfer.timer", "ferry-watch@x.service", "ferry-serve.service")
    assert checked.stderr == ""
