"""What docs/operations.md tells operators to type beside the services, typed as it is printed."""

import re

import pytest
from base_system import REPOSITORY
from ferry_harness import eventually
from site_setup import delivered, drop, install, is_active, registry, set_up

PAGE = (REPOSITORY / "docs/operations.md").read_text()
WATCH, TRANSFER, PATH = "ferry-watch.service", "ferry-transfer.service", "ferry-transfer.path"


@pytest.fixture(scope="module", autouse=True)
def site(machine):
    install(machine)
    set_up(machine)
    machine.run("systemctl", "enable", "--now", WATCH, PATH)


def blocks(heading):
    section = re.search(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## )", PAGE)[1]
    return re.findall(r"(?s)```sh\n(.*?)```", section)


def type_in(machine, block):
    return machine.output("env", "FERRY_CONFIG=/etc/ferry/ferry.toml", "bash", "-euo", "pipefail",
                          "-c", block)


def is_delivered(machine, *names):
    eventually(lambda: set(names) <= delivered(machine), deadline=60,
               what=f"{names} at the destination")


def owners(machine, folder="/var/lib/ferry"):
    return set(machine.output("find", folder, "-printf", "%u\n").splitlines())


def test_commands_by_hand_work_and_leave_the_services_their_files(machine):
    drop(machine, "first")
    is_delivered(machine, "first")
    by_hand, doctor = blocks("By hand beside the services")
    assert "successful          1" in type_in(machine, by_hand)
    said = type_in(machine, doctor)
    assert "host key known, login accepted" in said
    type_in(machine, "runuser -u ferry -- ferry compact --keep 7d")
    assert owners(machine) == {"ferry"}


def test_a_metastore_that_moved_is_watched_and_delivered_from(machine):
    (move,) = blocks("Move the metastore")
    eventually(lambda: not is_active(machine, TRANSFER), deadline=60, what="the agent's end")
    before = registry(machine)
    assert "successful          1" in type_in(machine, move)
    drop(machine, "after the move")
    is_delivered(machine, "after the move")
    assert registry(machine) == before
    assert owners(machine, "/srv/ferry-metastore") == {"ferry"}


def test_a_backup_is_restored_and_what_landed_since_is_delivered(machine):
    back_up, restore = (block.replace("/var/lib/ferry", "/srv/ferry-metastore")
                        for block in blocks("Restore from a backup"))
    machine.run("mkdir", "/backup")
    type_in(machine, back_up)
    drop(machine, "after the backup")
    is_delivered(machine, "after the backup")
    eventually(lambda: not is_active(machine, TRANSFER), deadline=60, what="the agent's end")
    machine.run("rm", "/home/drop/inbox/after the backup")
    (made,) = machine.output("ls", "/backup").split()
    type_in(machine, restore.replace("ferry-2026-11-24", made))
    is_delivered(machine, "after the backup")
    assert machine.path("/srv/ferry-metastore.old").is_dir()
