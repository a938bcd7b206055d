"""The package: installed, upgraded, removed, purged."""

import shutil
import subprocess

import pytest
from base_system import package
from ferry_harness import eventually
from machine import Machine
from site_setup import SERVICES, delivered, drop, install, is_active, registry, set_up

UNITS = (*SERVICES, "ferry-transfer.path", "ferry-transfer.timer")


@pytest.fixture
def machine():
    running = Machine()
    yield running
    running.shut_down()


@pytest.fixture
def newer_package(tmp_path):
    """The same with a higher version and another default configuration."""
    tree = tmp_path / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package(), tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 99."))
    with open(tree / "etc" / "ferry" / "ferry.toml", "a", encoding="utf-8") as configuration:
        configuration.write("# a new default\n")
    newer = tmp_path / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, newer], check=True,
                   stdout=subprocess.DEVNULL)
    yield newer
    shutil.rmtree(tree)


def start(machine):
    machine.run("systemctl", "enable", "--now", "ferry-watch.service", "ferry-transfer.path")
    drop(machine, "one")
    eventually(lambda: delivered(machine) == {"one"}, deadline=60, what="the file's delivery")


def test_an_installation_starts_nothing_and_leaves_all_in_place(machine):
    install(machine)
    for unit in UNITS:
        assert not is_active(machine, unit)
        assert machine.show(unit, "UnitFileState") in ("disabled", "static")
    assert machine.output("ferry", "--version").startswith("ferry ")
    assert "no mistakes" in machine.output("ferry", "config", "check", "--config",
                                           "/etc/ferry/ferry.toml")
    assert machine.output("stat", "-c", "%U:%G %a", "/var/lib/ferry") == "ferry:ferry 750"
    assert machine.output("stat", "-c", "%U:%G %a", "/etc/ferry/keys") == "root:root 700"


def test_an_upgrade_keeps_metastore_and_configuration_and_goes_on(machine, newer_package):
    install(machine)
    set_up(machine)
    start(machine)
    old = machine.show("ferry-watch.service", "MainPID")
    rows = registry(machine)
    configuration = machine.path("/etc/ferry/ferry.toml").read_text()
    machine.copy(newer_package, "/tmp/newer.deb")
    machine.run("dpkg", "--install", "--force-confdef", "--force-confold", "/tmp/newer.deb")
    assert registry(machine)[:len(rows)] == rows
    assert machine.path("/etc/ferry/ferry.toml").read_text() == configuration
    assert is_active(machine, "ferry-watch.service")
    assert machine.show("ferry-watch.service", "MainPID") != old
    drop(machine, "two")
    eventually(lambda: delivered(machine) == {"one", "two"}, deadline=60, what="the next delivery")


def test_a_removal_keeps_what_is_the_user_s_and_a_purge_does_not(machine):
    install(machine)
    set_up(machine)
    start(machine)
    rows = registry(machine)
    machine.run("dpkg", "--remove", "ferry")
    assert not machine.path("/usr/bin/ferry").exists()
    assert not any(is_active(machine, unit) for unit in UNITS)
    assert machine.output("find", "/etc/systemd/system", "-name", "ferry*") == ""
    assert registry(machine) == rows
    assert machine.path("/etc/ferry/ferry.toml").exists()
    assert machine.path("/etc/ferry/keys/id_ed25519").exists()

    install(machine)
    start(machine)
    assert registry(machine) == rows

    machine.run("dpkg", "--purge", "ferry")
    assert not machine.path("/var/lib/ferry").exists()
    assert not machine.path("/etc/ferry/keys").exists()
    assert not machine.path("/etc/ferry/ferry.toml").exists()
    assert machine.path("/srv/in/one").exists()
