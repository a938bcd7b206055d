"""Mistakes that people make on the command line and in configurations, and what they are told."""

import contextlib
import os
import pty
import signal
import subprocess

import pytest

from ferry_harness import (Process, command, environment, eventually, make_big_file, make_files,
                           put, run_ferry)


@pytest.mark.parametrize("word, hint", [("-n", "--dry-run"), ("-v", "--log-level debug"),
                                        ("-q", "--log-level error"), ("-j", "--json"),
                                        ("-x", "behind '--'"), ("-la", "behind '--'")])
def test_short_options(ferry, transfer_arguments, landing, register, word, hint):
    make_files(landing, 1, 10)
    register()
    ended = ferry(*transfer_arguments, word)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"unknown option '{word}'" in ended.stderr and hint in ended.stderr


def test_a_name_with_a_dash_goes_behind_two_dashes(transfer, landing, register, server):
    put(landing / "-n", b"x")
    put(landing / "other", b"x")
    register()
    assert transfer("--", "-n").code == 0
    assert server.files() == ["-n"]


def test_a_value_with_a_dash_is_a_value(ferry, landing, metastore):
    put(landing / "-x.bak", b"x")
    ended = ferry("watch", "--once", "--json", "--landing", landing, "--metastore", metastore,
                  "--ignore", "-*.bak")
    assert (ended.code, ended.json["registered"]) == (0, 0)


def test_a_configuration_that_is_no_file(ferry, folder):
    for name in (folder, folder / "nope"):
        for words in (["status"], ["config", "check"], ["transfer"]):
            ended = ferry(*words, env={"FERRY_CONFIG": str(name)})
            assert ended.code == 2, (name, words)
            assert str(name) in ended.stderr
    assert ferry("doctor", "--config", folder).code == 2


def test_import_reads_a_pipe(metastore, folder):
    rows = folder / "rows"
    os.mkfifo(rows)
    text = ('{"id":"1","path":"a","updated_date":"2026-01-01","checksum":"' + "0" * 32 + '"}\n')
    process = Process(folder, "import", rows, "--json", "--metastore", metastore)
    rows.write_text(text * 1)
    ended = process.wait()
    assert (ended.code, ended.json["imported"]) == (0, 1), ended.stderr


def test_import_into_one_of_several_areas(ferry, folder, site):
    made = site(east="", west="")
    row = '{"id":"1","path":"a","updated_date":"2026-01-01","checksum":"' + "0" * 32 + '"'
    ended = made.ferry("import", "-", stdin=row + "}\n")
    assert ended.code == 2
    assert "names no landing area" in ended.stderr and "east, west" in ended.stderr
    assert made.ferry("import", "-", stdin=row + ',"landing":"west"}\n').code == 0


def test_a_row_in_none_of_several_areas(folder, site):
    made = site(east="", west="")
    put(folder / "east/good.csv", b"good")
    made.watch_once()
    with open(made.metastore / "file_registry.jsonl", "a", encoding="utf-8") as table:
        table.write('{"id":"1","path":"a.csv","updated_date":"2026-01-01","checksum":"'
                    + "0" * 32 + '"}\n')
    ended = made.transfer()
    assert ended.code == 1
    assert "files in no landing area" in ended.stderr
    assert not (made.metastore / "pending").exists()
    (listed,) = made.ferry("list", "--status", "unrouted", "--json").json_lines
    assert listed["path"] == "a.csv" and "landing" in listed["error"]["message"]
    assert "unrouted" in made.ferry("status").stdout
    notes = [finding["check"] for finding in made.ferry("doctor", "--json").json["findings"]
             if finding["health"] == "note"]
    assert "landing areas" in notes
    follower = made.start("transfer", "--follow")
    put(folder / "west/late.csv", b"late")
    eventually(lambda: " ready" in follower.log(), what="the agent")
    made.watch_once()
    eventually(lambda: made.status()["successful"] == 2, what="the late file")
    assert follower.stop().stderr.count("in no landing area") == 1


def test_the_first_try_of_a_newcomer(ferry, landing, metastore, server):
    make_files(landing, 1, 10)
    options = ["--landing", landing, "--metastore", metastore, *server.options()]
    command = f"ferry watch --once --landing {landing} --metastore {metastore}"
    for words in ([], ["--dry-run"], ["--follow"]):
        ended = ferry("transfer", *options, *words)
        assert ended.code == 2, ended.stderr
        assert command in ended.stderr
        assert not metastore.exists()
    metastore.mkdir()
    ended = ferry("transfer", *options)
    assert ended.code == 0
    assert command in ended.stdout
    (landing / "file-00000.dat").rename(landing / ".hidden")
    assert run_ferry(*command.split()[1:]).code == 0
    assert "nothing is registered yet" in ferry("transfer", *options).stdout
    (landing / ".hidden").rename(landing / "file-00000.dat")
    assert run_ferry(*command.split()[1:]).code == 0
    assert "1 of 1 files delivered" in ferry("transfer", *options).stdout


@pytest.mark.parametrize("words", [
    ["status"], ["list"], ["history", "x"], ["retry", "--failed"], ["resend", "x"], ["compact"],
    ["quarantine", "list"], ["quarantine", "drop", "x"], ["transfer"]])
def test_a_mistyped_metastore(ferry, folder, landing, metastore, register, server, words):
    make_files(landing, 1, 10)
    register()
    mistyped = folder / "metastroe"
    options = ["--metastore", mistyped]
    if words[0] in ("transfer", "quarantine"):
        options += ["--landing", landing]
    if words[0] == "transfer":
        options += server.options()
    ended = ferry(*words, *options)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"did you mean '{metastore}'?" in ended.stderr
    assert not mistyped.exists()
    # A folder of something else is no metastore either.
    mistyped.mkdir()
    (mistyped / "letters").write_text("mine")
    assert ferry(*words, *options).code == 2
    assert os.listdir(mistyped) == ["letters"]


def test_no_control_file(ferry, folder):
    ended = ferry("verify", "/etc/hosts", "--root", folder)
    assert ended.code == 2
    assert "not a control file" in ended.stderr


def test_a_destination_without_the_general_limit(ferry, folder):
    config = folder / "ferry.toml"
    config.write_text('[transfer]\nbandwidth_limit = "1M"\n[destination.b]\nurl = "sftp://b/x"\n'
                      'bandwidth_limit = "off"\n[destination.c]\nurl = "sftp://c/x"\n')
    shown = ferry("config", "show", "--config", config).stdout
    assert shown.count('bandwidth_limit = "off"') == 1
    assert shown.count("bandwidth_limit") == 2


def test_the_general_limit_is_lifted(configured, landing):
    make_big_file(landing / "big.bin", 8 << 20)
    configured.write('[route.all]\nto = ["b"]\n', b='bandwidth_limit = "off"')
    with open(configured.file, "a", encoding="utf-8") as text:
        text.write('[transfer]\nbandwidth_limit = "100K"\ndeadline = "30s"\n')
    configured.register()
    assert configured.transfer("--to", "b").code == 0  # at 100 KiB/s it would take 80 s


def test_a_command_lies_where_its_configuration_does(configured, folder, landing, server):
    (folder / "tools").mkdir()
    for name in ("accept.sh", "shout.sh"):
        (folder / "tools" / name).write_text("#!/bin/sh\nexec tr a-z A-Z\n")
        (folder / "tools" / name).chmod(0o755)
    configured.write('[route.all]\nto = ["b"]\ntransforms = ["shout"]\n'
                     '[transform.shout]\ncommand = ["./tools/shout.sh"]\n')
    configured.file.write_text(configured.file.read_text().replace(
        "[landing.in]\n", '[landing.in]\nvalidate = ["tools/accept.sh"]\n'))
    put(landing / "a.csv", b"hello")
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    assert (server.root / "a.csv").read_bytes() == b"HELLO"


MISPLACED = {
    'metastore = "in/store"\n[landing.in]\npath = "in"\n': "lies in the landing area",
    '[landing.in]\npath = "in"\n[landing.below]\npath = "in/below"\n': "overlap",
    '[landing.in]\npath = "in"\n[landing.same]\npath = "in/"\n': "overlap",
    '[landing.all]\nurl = "sftp://u@h/"\n[landing.sub]\nurl = "sftp://u@h/sub"\n': "overlap",
    '[landing.in]\nurl = "sftp://u@h//in"\n[landing.same]\nurl = "sftp://u@H/x/../in"\n': "overlap",
    '[landing.home]\nurl = "sftp://u@h/~/"\n[landing.sub]\nurl = "sftp://u@h/~/sub"\n': "overlap",
    '[landing.in]\npath = "in"\nquarantine = "in/held"\n': "lies in the landing area",
    '[landing.in]\npath = "in"\n[transfer]\nspool = "in/spool"\n': "lies in the landing area",
    '[landing.a]\npath = "a"\nquarantine = "q"\n[landing.b]\npath = "b"\nquarantine = "q"\n':
        "have one quarantine",
    '[landing.a]\npath = "a"\nquarantine = "q"\n[landing.b]\npath = "b"\nquarantine = "q/b"\n':
        "have one quarantine",
    '[landing.a]\npath = "a"\n[landing.b]\npath = "a/.quarantine/x"\n': "what is held there would be delivered",
    '[landing.in]\nurl = "sftp://u@h/in"\n[destination.b]\nurl = "sftp://u@h/in/out"\n':
        "would land there again",
    '[landing.in]\nurl = "sftp://u@h/in"\n[destination.b]\nurl = "sftp://u@h/in/x/"\n'
    '[route.r]\nmatch = ["x", "*"]\nto = ["b"]\n': "would land there again",
    '[landing.in]\nurl = "sftp://u@h/in"\n[destination.b]\nurl = "sftp://u@h/in/x"\n'
    '[route.r]\nmatch = "**"\nto = ["b"]\n': "would land there again",
    '[landing.in]\nurl = "sftp://u@h/in"\n[destination.b]\nurl = "sftp://u@h/out"\ncontrol_dir = "/in/lists"\n':
        "would land there again",
    '[landing.in]\nurl = "sftp://u@h/in"\n[destination.b]\nurl = "sftp://u@h//in/"\n'
    '[route.r]\nmatch = "*.csv"\nto = ["b"]\nafter = "delete"\n': "would land there again",
    '[landing.in]\nurl = "sftp://u@h/done/in"\n[destination.b]\nurl = "sftp://b/x"\n'
    '[route.r]\nto = ["b"]\nafter = "archive"\narchive = "/done"\n': "lies in the archive",
    '[landing.in]\npath = "in"\n[destination.b]\nurl = "sftp://b/x"\n[route.r]\nto = ["b"]\n'
    'rename = "{date:%Q}-{name}"\n': "%Q is not a conversion",
    '[destination.b]\nurl = "sftp://b/x"\ncontrol_name = "{batch_id}-{date:%}"\n':
        "is not a conversion",
    '[landing.in]\npath = "in"\nvalidate = [""]\n': "the name of the program is empty",
    '[landing.in]\npath = "in"\nignore = ["*.bak", "[ab"]\n': "'[' without ']'",
    '[landing.in]\npath = "in"\nignore = [""]\n': "'' is not a pattern: it is empty",
    '[destination.b]\nurl = "sftp://b/x"\n[route.r]\nto = ["b"]\nmatch = "/in/*.csv"\n':
        "it begins with '/'",
    '[expect.e]\nby = "06:00"\nmatch = ["["]\n': "'[' without ']'",
    '[metastore]\nlocation = "store"\n': "metastore: expected a value, 'metastore = …', not a table"}


@pytest.mark.parametrize("text, words", MISPLACED.items())
def test_what_cannot_work_is_found_by_config_check(ferry, folder, text, words):
    config = folder / "ferry.toml"
    config.write_text(text)
    ended = ferry("config", "check", "--config", config)
    assert ended.code == 2
    assert words in ended.stdout
    assert f"{config}:" in ended.stdout


ARCHIVES = {"store": "overlap", "store/archive": "overlap", "a/.quarantine/x": "overlap", "held": "overlap",
            "spool": "overlap", ".": "lies in the archive"}


@pytest.mark.parametrize("archive, words", ARCHIVES.items())
def test_uploaders_name_no_files_where_ferry_keeps_its_own(ferry, folder, archive, words):
    config = folder / "ferry.toml"
    config.write_text('metastore = "store"\n[landing.a]\npath = "a"\n[landing.b]\npath = "b"\nquarantine = "held"\n'
                      '[transfer]\nspool = "spool"\n[destination.d]\nurl = "sftp://d/x"\n'
                      f'[route.r]\nto = ["d"]\nafter = "archive"\narchive = "{archive}"\n')
    ended = ferry("config", "check", "--config", config)
    assert ended.code == 2 and words in ended.stdout, ended.stdout


@pytest.mark.parametrize("text", ['[route.r]\nmatch = ["in/*"]\nto = ["out"]\n', 'ignore = ["out/**"]\n'])
def test_a_destination_among_what_lands_if_names_tell_them_apart(ferry, folder, text):
    config = folder / "ferry.toml"
    config.write_text('[destination.out]\nurl = "sftp://u@h/out"\n[landing.all]\nurl = "sftp://u@h/"\n' + text)
    assert ferry("config", "check", "--config", config).code == 0


def test_one_quarantine_for_two_areas_is_refused(ferry, folder, metastore):
    for area in ("a", "b"):
        (folder / area).mkdir()
    ended = ferry("watch", "--once", "--landing", folder / "a", "--landing", folder / "b",
                  "--quarantine", folder / "q", "--metastore", metastore)
    assert ended.code == 2
    assert "give each a directory of its own" in ended.stderr


def test_two_accounts_on_one_server_have_directories_of_their_own(ferry, folder):
    config = folder / "ferry.toml"
    config.write_text('[landing.a]\nurl = "sftp://alice@h/in"\n[landing.b]\nurl = "sftp://bob@h/in"\n'
                      '[landing.c]\nurl = "sftp://bob@h/done"\n[destination.d]\nurl = "sftp://d/x"\n'
                      '[route.r]\nlanding = ["a"]\nto = ["d"]\nafter = "archive"\narchive = "/done/x"\n')
    ended = ferry("config", "check", "--config", config)
    assert ended.code == 0, ended.stdout


def test_namesakes_in_quarantine(site, folder):
    made = site(east='empty = "quarantine"', west='empty = "quarantine"')
    for area in ("east", "west"):
        put(folder / area / "same.csv", b"")
        put(folder / area / f"only-{area}.csv", b"")
        (folder / area / "link.csv").symlink_to("/etc/hosts")
    made.watch_once()
    for action in ("drop", "release"):
        ended = made.ferry("quarantine", action, "same.csv")
        assert (ended.code, ended.stdout) == (2, "")
        assert "name one by its id" in ended.stderr
        assert "east" in ended.stderr and "west" in ended.stderr
    assert len(made.held()) == 6
    assert {line.rsplit(" in ")[1].split()[0] for line in
            made.ferry("quarantine", "list").stdout.splitlines()} == {"east", "west"}
    assert "2 more in quarantine" in made.ferry("status").stdout
    assert made.status()["held_unregistered"] == 2
    unknown = made.ferry("quarantine", "drop", "no-such.csv", "only-east.csv")
    assert unknown.code == 2 and len(made.held()) == 6
    of_west = made.ferry("quarantine", "drop", "same.csv", "--landing", "west")
    assert of_west.code == 0, of_west.stderr
    twice = made.ferry("quarantine", "drop", "only-east.csv", "only-east.csv")
    assert (twice.code, twice.stdout) == (0, "dropped only-east.csv\n")
    assert sorted(file["path"] for file in made.held()) == [
        "link.csv", "link.csv", "only-west.csv", "same.csv"]
    by_id = next(file["id"] for file in made.held() if file["path"] == "same.csv")
    assert made.ferry("quarantine", "drop", by_id).code == 0


def test_one_place_given_as_two_destinations(configured, server, landing):
    """It would get each file twice."""
    put(landing / "a", b"a")
    configured.write("")
    ended = configured.run("transfer", "--to", "b", "--to", server.url())
    assert ended.code == 2
    assert "are one place" in ended.stderr


def test_two_destinations_in_one_place_may_have_routes_of_their_own(ferry, folder, landing, metastore):
    config = folder / "ferry.toml"
    config.write_text(f'metastore = "{metastore}"\n[landing.in]\npath = "{landing}"\n'
                      + "".join(f'[destination.{name}]\nurl = "sftp://u@h/x"\n[route.{name}]\nmatch = "*.{name}"\n'
                                f'to = ["{name}"]\n' for name in ("csv", "xml")))
    ferry("watch", "--once", "--config", config)
    assert ferry("transfer", "--dry-run", "--to", "csv", "--to", "xml", "--config", config).code == 0


def test_help_of_help(ferry):
    ended = ferry("help", "help")
    assert ended.code == 0 and "usage: ferry" in ended.stdout


def test_history_is_told_in_order(configured, landing, metastore):
    configured.write("")
    make_files(landing, 1, 10)
    configured.register()
    configured.transfer()
    (row,) = [line for line in (metastore / "transfer_logs.jsonl").read_text().splitlines()
              if '"successful"' in line and '"b"' in line]
    with open(metastore / "transfer_logs.jsonl", "a", encoding="utf-8") as table:
        earlier = row.replace('"destination":"b"', '"destination":"a"')
        table.write(earlier.replace('"transfer_date":"20', '"transfer_date":"19') + "\n")
    text = configured.run("history", "file-00000.dat").stdout
    dates = [line.split()[0] for line in text.splitlines()[1:]]
    assert dates == sorted(dates) and len(dates) == 6
    (record,) = configured.run("history", "file-00000.dat", "--json").json_lines
    dates = [row["transfer_date"] for row in record["transfers"]]
    assert dates == sorted(dates)


@pytest.mark.parametrize("destinations", [1, 2])
def test_an_interrupt_is_told_once_and_is_no_error(configured, folder, landing, destinations):
    make_big_file(landing / "big.bin", 32 << 20)
    configured.write('[transfer]\nbandwidth_limit = "1M"\n')
    configured.register()
    to = ["--to", "b"] + (["--to", "c"] if destinations == 2 else [])
    process = Process(folder, "transfer", "--config", configured.file, *to)
    eventually(lambda: "transfer started" in process.log(), what="the run")
    process.popen.send_signal(signal.SIGINT)
    ended = process.wait()
    assert ended.code == 130
    assert " error " not in ended.stderr
    assert ended.stderr.count("stopped: ") == 1


@pytest.mark.parametrize("level, delivered", [("debug", 3), ("info", 0)])
def test_on_a_terminal_files_are_logged_where_asked(landing, server, register, metastore, level,
                                                    delivered):
    make_files(landing, 3, 10)
    (server.root / "file-00003.dat" / "in the way").mkdir(parents=True)
    put(landing / "file-00003.dat", b"x")
    register()
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        command("transfer", "--landing", landing, "--metastore", metastore, *server.options(),
                "--log-level", level), stderr=theirs, stdout=subprocess.PIPE,
        env=environment(), timeout=60, check=False)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert ended.returncode == 1
    assert b" files " in shown  # the bar
    lines = [line.rpartition(b"\x1b[K")[2] for line in shown.split(b"\r\n")]
    assert len([line for line in lines if b" delivered path=" in line]) == delivered
    assert len([line for line in lines if b" failed path=" in line]) == 1
    assert all(line.startswith(b"20") for line in lines if b" path=" in line)


def test_all_or_nothing_calls_nothing_delivered_that_is_rolled_back(server, landing, register,
                                                                    transfer):
    make_files(landing, 20, 10)
    (server.root / "file-00019.dat" / "in the way").mkdir(parents=True)
    register()
    ended = transfer("--batch", "all-or-nothing", "--retries", "1", "--retry-delay", "10ms")
    assert ended.code == 1
    assert server.files() == []
    assert " delivered path=" not in ended.stderr
    assert "rolled back" in ended.stderr
    (server.root / "file-00019.dat" / "in the way").rmdir()
    (server.root / "file-00019.dat").rmdir()
    ended = transfer("--batch", "all-or-nothing")
    assert ended.code == 0
    assert ended.stderr.count(" delivered path=") == 20


def test_a_key_of_earlier_versions_is_read_with_a_warning(configured, landing):
    configured.write('[route.all]\nto = ["b"]\nsettle = "1h"\n')
    checked = configured.run("config", "check")
    assert checked.code == 0
    assert "route.all.settle is called 'delay' now" in checked.stdout
    assert 'delay = "1h"' in configured.run("config", "show").stdout
    put(landing / "a", b"1")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0 and "is called 'delay' now" in ended.stderr
    assert configured.is_pending()
