"""Looking at the metastore, and the help."""

import json
import subprocess

import pytest

from ferry_harness import command, environment, make_files, put, tables

COMMANDS = ("watch", "transfer", "status", "list", "history", "import", "config")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["help", "watch"], ["watch", "--help"]])
def test_what_cannot_be_shown_is_not_done(words):
    with open("/dev/full", "w", encoding="ascii") as full:
        ended = subprocess.run(command(*words), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                               env=environment(), check=False)
    assert ended.returncode == 1 and "standard output cannot be written" in ended.stderr


def test_version_and_help(ferry):
    assert ferry("--version").stdout.startswith("ferry ")
    everything = ferry("help")
    assert everything.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in everything.stdout
        page = ferry(name, "--help")
        assert page.code == 0
        assert page.stdout == ferry("help", name).stdout
        assert "\nexit codes\n  0 " in page.stdout
    assert ferry().code == 2


def test_status_list_and_history(ferry, server, landing, metastore, register, transfer, status):
    make_files(landing, 2, 10)
    register()
    assert status()["pending"] == 2
    assert status()["oldest_pending_age_ms"] >= 0
    transfer()
    put(landing / "late.csv", b"late")
    register()
    counts = status()
    assert (counts["pending"], counts["successful"]) == (1, 2)
    (late,) = ferry("list", "--status", "pending", "--json", "--metastore", metastore).json_lines
    assert late["path"] == "late.csv"
    assert late["size"] == 4
    assert "successful" in ferry("list", "--metastore", metastore).stdout

    text = ferry("history", "file-00000.dat", "--metastore", metastore)
    assert text.code == 0
    assert "in_progress" in text.stdout and "successful" in text.stdout
    (record,) = ferry("history", "file-00000.dat", "--json", "--metastore", metastore).json_lines
    assert [row["transfer_status"] for row in record["transfers"]] == ["in_progress", "successful"]
    by_id = ferry("history", record["id"], "--json", "--metastore", metastore).json_lines
    assert by_id == [record]
    assert ferry("history", "nothing", "--metastore", metastore).code == 2


def test_import_tells_how_many_were_new(ferry, metastore, folder):
    rows = [{"id": str(n), "path": f"{n}.csv", "updated_date": "2026-01-01",
             "checksum": f"{n:032x}", "department": "sales"} for n in range(3)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    first = ferry("import", "-", "--json", "--metastore", metastore, stdin=text)
    assert first.code == 0, first.stderr
    assert first.json == {"rows": 3, "imported": 3}
    assert ferry("import", "-", "--json", "--metastore", metastore, stdin=text).json == {
        "rows": 3, "imported": 0}
    registry, _ = tables(metastore)
    assert [row["id"] for row in registry] == ["0", "1", "2"]
    assert registry[0]["department"] == "sales"


def test_names_cannot_forge_output(ferry, metastore):
    row = {"id": "1", "path": "evil\u001b[2J\nsuccessful.csv", "updated_date": "2026-01-01",
           "checksum": "0" * 32}
    ended = ferry("import", "-", "--metastore", metastore, stdin=json.dumps(row) + "\n")
    if ended.code != 0:
        pytest.skip("the registry refuses such names")
    listed = ferry("list", "--metastore", metastore).stdout
    assert "\x1b" not in listed
    assert len(listed.splitlines()) == 1


def test_the_effective_configuration_is_shown(ferry, folder):
    config = folder / "ferry.toml"
    config.write_text('metastore = "store"\n[landing.in]\npath = "in"\n'
                      '[destination.b]\nurl = "sftp://u@b/x"\npassword_file = "pw"\n')
    shown = ferry("config", "show", "--config", config, env={"FERRY_PASSPHRASE": "very secret"})
    assert shown.code == 0
    assert f'metastore = "{folder}/store"' in shown.stdout
    assert f'password_file = "{folder}/pw"' in shown.stdout
    assert "very secret" not in shown.stdout
    again = folder / "again.toml"
    again.write_text(shown.stdout)
    assert ferry("config", "show", "--config", again).stdout == shown.stdout
    assert ferry("config", "check", "--config", config).code == 0


def test_logs_are_json_where_asked(ferry, landing, metastore):
    make_files(landing, 1, 1)
    ended = ferry("watch", "--once", "--log-format", "json", "--landing", landing, "--metastore",
                  metastore)
    assert ended.code == 0
    assert [json.loads(line)["level"] for line in ended.stderr.splitlines()]


def test_errors_are_json_where_asked(ferry, folder):
    ended = ferry("status", "--log-format", "json", "--metastore", folder / "absent")
    assert ended.code == 2
    assert json.loads(ended.stderr)["exit_code"] == 2


def test_an_area_that_gets_a_name_sends_nothing_twice(ferry, server, landing, metastore, folder,
                                                      register, transfer):
    make_files(landing, 3, 10)
    register()
    transfer()
    config = folder / "ferry.toml"
    config.write_text(f'metastore = "{metastore}"\n[landing.partners]\npath = "{landing}"\n')
    again = ferry("watch", "--once", "--json", "--config", config)
    assert again.code == 0, again.stderr
    assert len(tables(metastore)[0]) == 3
