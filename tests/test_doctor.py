"""ferry doctor: finds what is wrong before a delivery does, says what to mend, leaves no trace."""

import os
import pathlib
import shutil
import socket
import sqlite3
import sys

import pytest

from ferry_harness import make_files, make_key, run_ferry

LOSSY = pathlib.Path(__file__).with_name("lossy_sftp_server.py")


@pytest.fixture
def doctor(folder, landing, metastore, server):
    """With a configuration file whose lines a test may replace."""
    lines = {
        "metastore": f'metastore = "{metastore}"', "in": f'[landing.in]\npath = "{landing}"',
        "b": "[destination.b]", "url": f'url = "{server.url()}"',
        "identity": f'identity = "{server.identity}"', "agent": "use_agent = false",
        "known_hosts": f'known_hosts = "{server.known_hosts}"'}

    def run(*options, **replaced):
        config = folder / "ferry.toml"
        config.write_text("\n".join({**lines, **replaced}.values()) + "\n")
        return run_ferry("doctor", "--json", "--config", config, *options)

    return run


def troubles(ended):
    return [(finding["subject"].split()[0], finding["check"]) for finding in ended.json["findings"]
            if finding["health"] == "trouble"]


def the_trouble(ended):
    (found,) = [finding for finding in ended.json["findings"] if finding["health"] == "trouble"]
    return found


def checks(ended, health="well"):
    return {(finding["subject"].split()[0], finding["check"])
            for finding in ended.json["findings"] if finding["health"] == health}


def test_all_is_well_and_nothing_is_left(doctor, server, landing, register):
    make_files(landing, 3, 10)
    register()
    ended = doctor()
    assert ended.code == 0, ended.stdout
    assert ended.json["ok"]
    assert checks(ended) >= {
        ("configuration", "file"), ("metastore", "format"), ("metastore", "damage"),
        ("metastore", "lock"), ("metastore", "space"), ("landing", "permissions"),
        ("destination", "resolve"), ("destination", "connect"), ("destination", "limits"),
        ("destination", "posix-rename"), ("destination", "fsync"), ("destination", "clock"),
        ("destination", "directory"), ("destination", "space")}
    assert list(server.root.iterdir()) == []


def test_text_says_what_to_mend(folder, landing, metastore, server, ferry):
    server.stop()
    ended = ferry("doctor", "--landing", landing, "--metastore", metastore, *server.options())
    assert ended.code == 3
    assert "trouble  connect: " in ended.stdout
    assert "fix: see that the server runs" in ended.stdout
    assert ended.stdout.endswith("not all is well\n")


def test_a_mistake_in_the_configuration(doctor):
    ended = doctor(b="[destination.b]\nconections = 3")
    assert ended.code == 2
    assert "connections" in the_trouble(ended)["message"]


def test_no_landing_area_there(doctor, folder):
    ended = doctor(**{"in": f'[landing.in]\npath = "{folder}/nowhere"'})
    assert ended.code == 2
    assert ("landing", "directory") in troubles(ended)


def test_a_note_of_a_compaction_that_nobody_can_read(doctor, metastore, landing, register):
    """Whoever writes fails because of it."""
    make_files(landing, 1, 10)
    register()
    (metastore / "compaction.json").write_bytes(b"")
    ended = doctor()
    assert ended.code == 4
    assert "compaction.json cannot be understood" in ended.stdout


PLACES = {"a file for": lambda place: place.write_text(""), "a dangling link for": lambda place: place.symlink_to("/nonexistent")}


@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("name", ["agents", "batches", "journals", "uploads"])
def test_something_else_stands_in_a_place_of_ours(doctor, metastore, landing, register, transfer, what, name):
    make_files(landing, 1, 10)
    register()
    place = metastore / name
    shutil.rmtree(place, ignore_errors=True)
    PLACES[what](place)
    ended = doctor()
    assert ended.code == 4
    assert the_trouble(ended)["message"].startswith(f"{place} is not a directory")
    if name in ("agents", "batches"):
        ended = transfer()
        assert ended.code == 4 and str(place) in ended.stderr


def test_a_directory_where_pending_is_noted(doctor, metastore, landing, register):
    make_files(landing, 1, 10)
    register()
    (metastore / "pending").unlink()
    (metastore / "pending").mkdir()
    ended = doctor()
    assert (ended.code, the_trouble(ended)["message"]) == (4, f"{metastore}/pending is not a plain file")


def test_a_damaged_row(doctor, metastore, landing, register):
    make_files(landing, 1, 10)
    register()
    with open(metastore / "file_registry.jsonl", "a") as table:
        table.write("{\n")
    ended = doctor()
    assert ended.code == 4
    assert "file_registry.jsonl, line 2" in the_trouble(ended)["message"]


def test_a_newer_format(doctor, metastore):
    metastore.mkdir()
    (metastore / "metastore.json").write_text('{"format_version":99}')
    ended = doctor()
    assert ended.code == 4
    assert ("metastore", "format") in troubles(ended)


def test_no_such_host(doctor):
    ended = doctor(url='url = "sftp://ferry-test.invalid/x"')
    assert (ended.code, troubles(ended)) == (3, [("destination", "resolve")])


def test_nobody_listens(doctor):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        ended = doctor(url=f'url = "sftp://127.0.0.1:{probe.getsockname()[1]}/x"')
    assert (ended.code, troubles(ended)) == (3, [("destination", "connect")])


def test_a_wrong_host_key(doctor, server, folder):
    make_key(folder / "other_key")
    key = (folder / "other_key.pub").read_text().split()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {key[0]} {key[1]}\n")
    ended = doctor()
    assert (ended.code, troubles(ended)) == (3, [("destination", "connect")])
    assert "HOST KEY" in the_trouble(ended)["message"]


def test_a_key_that_the_server_does_not_take(doctor, folder):
    make_key(folder / "other_key")
    ended = doctor(identity=f'identity = "{folder}/other_key"')
    assert (ended.code, troubles(ended)) == (3, [("destination", "connect")])


def test_a_missing_directory_is_only_worth_a_note(doctor, server):
    ended = doctor(url=f'url = "{server.url(server.root / "not" / "there")}"')
    assert ended.code == 0, ended.stdout
    assert ("destination", "directory") in checks(ended, "note")
    assert list(server.root.iterdir()) == []


def test_a_file_where_the_control_directory_should_be(doctor, server, folder):
    (folder / "control").write_text("x")
    ended = doctor(control=f'control_dir = "{folder}/control"')
    assert (ended.code, troubles(ended)) == (3, [("destination", "control directory")])


@pytest.mark.parametrize("server", [["ForceCommand internal-sftp -R"]], indirect=True)
def test_a_server_that_only_reads(doctor, server):
    ended = doctor()
    assert (ended.code, ("destination", "directory") in troubles(ended)) == (3, True)
    assert "create a file" in the_trouble(ended)["message"]


def test_a_directory_that_may_not_be_written(doctor, server):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    server.root.chmod(0o500)
    ended = doctor()
    assert (ended.code, troubles(ended)) == (3, [("destination", "directory")])


def test_files_that_wait_for_somebody(doctor, server, landing, folder):
    make_files(landing, 1, 10)
    (server.root / "file-00000.dat" / "x").mkdir(parents=True)
    doctor()
    run_ferry("watch", "--once", "--config", folder / "ferry.toml")
    for _ in range(6):
        run_ferry("transfer", "--config", folder / "ferry.toml")
    shutil.rmtree(server.root / "file-00000.dat")
    ended = doctor()
    assert ended.code == 0
    assert ("metastore", "failed files") in checks(ended, "note")


def test_programs_and_places_that_are_not_there(doctor, folder, landing):
    lines = {"in": f'[landing.in]\npath = "{landing}"\nvalidate = ["no-such-validator"]',
             "route": f'[route.r]\nto = ["b"]\nvalidate = ["./no-such-check"]\nafter = "archive"\n'
                      f'archive = "{folder}/no-such-archive"\ntransforms = ["t"]\n'
                      f'[transform.t]\ncommand = ["{folder}/no-such-transform"]'}
    ended = doctor(**lines)
    assert not ended.json["ok"] and ended.code == 2
    assert troubles(ended) == [("landing", "validate"), ("transform", "command"),
                               ("route", "validate"), ("route", "archive")]
    messages = "".join(finding["message"] for finding in ended.json["findings"])
    for name in ("no-such-validator", f"{folder}/no-such-check", "no-such-archive",
                 "no-such-transform"):
        assert name in messages
    (folder / "no-such-archive").mkdir()
    for name in ("no-such-check", "no-such-transform"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    lines["in"] = f'[landing.in]\npath = "{landing}"\nvalidate = ["true"]'
    ended = doctor(**lines)
    assert ended.code == 0, ended.stdout
    assert {("landing", "validate"), ("transform", "command"), ("route", "validate"),
            ("route", "archive")} <= checks(ended)
    (folder / "no-such-check").chmod(0o644)
    assert troubles(doctor(**lines)) == [("route", "validate")]


@pytest.mark.parametrize("transport", ["libssh2", "openssh"])
def test_what_was_agreed_upon(doctor, transport):
    ended = doctor(transport=f'transport = "{transport}"')
    (agreed,) = [finding["message"] for finding in ended.json["findings"]
                 if finding["check"] == "algorithms"]
    for words in ("key exchange ", "-sha", "host key ssh-ed25519", "cipher aes", "MAC "):
        assert words in agreed


@pytest.mark.parametrize("server", [["MACs hmac-sha1", "Ciphers aes128-ctr"]], indirect=True)
@pytest.mark.parametrize("transport", ["libssh2", "openssh"])
def test_a_server_with_outdated_algorithms(doctor, server, transport):
    ended = doctor(transport=f'transport = "{transport}"')
    assert (ended.code, troubles(ended)) == (3, [("destination", "connect")])
    message = the_trouble(ended)["message"]
    assert "hmac-sha1" in message and "legacy_algorithms = true" in message
    ended = doctor(transport=f'transport = "{transport}"\nlegacy_algorithms = true')
    assert ended.code == 0, ended.stdout
    assert ("destination", "algorithms") in checks(ended, "note")


@pytest.mark.parametrize("server", [[
    f'ForceCommand d=$(mktemp -d); {sys.executable} {LOSSY} refuse fsync@openssh.com $d; rm -r $d'
]], indirect=True)
def test_what_a_server_fails_to_do_is_a_destination_s_trouble(doctor):
    ended = doctor()
    assert (ended.code, troubles(ended)) == (3, [("destination", "directory")])
    assert "fsync" in the_trouble(ended)["message"]


def test_the_index_is_compared_with_the_tables_on_request(doctor, landing, metastore, register):
    make_files(landing, 3, 10)
    register()
    assert ("metastore", "index") in checks(doctor("--index"))
    with sqlite3.connect(metastore / "index.sqlite") as index:
        index.execute("UPDATE file SET updated = updated + 1 WHERE number = 2")
    index.close()
    assert troubles(doctor()) == []
    ended = doctor("--index")
    assert ended.code == 4
    assert troubles(ended) == [("metastore", "index")]
    assert "differs from the tables: file: " in the_trouble(ended)["message"]
    for path in metastore.glob("index.sqlite*"):
        path.unlink()
    assert doctor("--index").code == 0
