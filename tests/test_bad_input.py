"""What goes wrong is said clearly, with the right exit code, and changes nothing."""

import json
import os
import signal
import subprocess

import pytest

from ferry_harness import (SANITIZED, Process, bytes_of_tables, command, environment, eventually, free_port,
                           make_files, make_key, opened_by)


@pytest.fixture
def pending(landing, register):
    make_files(landing, 3, 10)
    assert register() == 3


@pytest.fixture
def refuses(ferry, landing, metastore, server, pending):
    """Runs a transfer that must end with CODE, say WORDS, and leave the tables alone."""

    def run(code, words, *options):
        before = bytes_of_tables(metastore)
        ended = ferry("transfer", "--landing", landing, "--metastore", metastore, *options)
        assert ended.code == code, ended.stderr
        for word in words:
            assert word.lower() in ended.stderr.lower(), ended.stderr
        assert bytes_of_tables(metastore) == before
        assert server.files() == []

    return run


def test_a_changed_host_key(server, refuses, folder):
    make_key(folder / "other")
    key = (folder / "other.pub").read_text().split()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {key[0]} {key[1]}\n")
    refuses(3, ["host key", "SHA256:"], *server.options())
    refuses(3, ["host key"], "--accept-new-host-key", *server.options())


def test_an_unknown_host(server, refuses):
    server.known_hosts.write_text("")
    refuses(3, ["host key", "SHA256:"], *server.options())
    assert server.known_hosts.read_text() == ""


def test_an_unknown_host_is_remembered_where_asked(server, pending, transfer):
    server.known_hosts.write_text("")
    assert transfer("--accept-new-host-key").code == 0
    assert str(server.port) in server.known_hosts.read_text()
    assert transfer().code == 0


def test_a_wrong_user_key(server, refuses, folder):
    make_key(folder / "stranger")
    server.identity = folder / "stranger"
    refuses(3, ["stranger"], *server.options())


def test_a_closed_port(server, refuses):
    server.port = free_port()
    refuses(3, ["127.0.0.1"], *server.options())


def test_a_remote_directory_that_cannot_be_made(server, refuses):
    obstacle = server.folder / "obstacle"
    obstacle.write_text("a file")
    refuses(3, ["obstacle"], *server.options(obstacle / "dir"))
    assert obstacle.read_text() == "a file"


@pytest.mark.parametrize("directory", ["/proc/ferry", "a file"])
def test_a_metastore_that_cannot_be_written(ferry, landing, folder, directory):
    if directory == "a file":
        directory = folder / "file"
        directory.write_text("x")
    ended = ferry("watch", "--once", "--landing", landing, "--metastore", directory)
    assert ended.code == 4, ended.stderr
    assert str(directory) in ended.stderr


def test_a_missing_metastore(ferry, folder):
    ended = ferry("status", "--metastore", folder / "absent")
    assert ended.code == 2
    assert "absent" in ended.stderr
    assert not (folder / "absent").exists()


def test_no_metastore_given(ferry):
    ended = ferry("status")
    assert ended.code == 2
    assert "--metastore" in ended.stderr


def test_malformed_configuration(ferry, folder):
    config = folder / "ferry.toml"
    config.write_text('metastore = "m"\n[transfer\n')
    for words in (["watch"], ["transfer"], ["config", "show"]):
        ended = ferry(*words, "--config", config)
        assert ended.code == 2
        assert f"{config}:2:" in ended.stderr
    checked = ferry("config", "check", "--config", config)
    assert checked.code == 2
    assert f"{config}:2:" in checked.stdout


def test_a_misspelt_key(ferry, folder):
    config = folder / "ferry.toml"
    config.write_text("[transfer]\nmax_atempts = 3\n")
    ended = ferry("config", "check", "--config", config)
    assert ended.code == 2
    assert "did you mean 'max_attempts'?" in ended.stdout


def test_unknown_words(ferry):
    for words, expected in ((["transfre"], "'transfer'"), (["status", "--jsn"], "'--json'"),
                            (["--metastoer", "x", "status"], "'--metastore'")):
        ended = ferry(*words)
        assert ended.code == 2
        assert f"did you mean {expected}?" in ended.stderr
        assert ended.stdout == ""


def test_bad_values(ferry, landing, metastore, server):
    base = ["--landing", landing, "--metastore", metastore, *server.options()]
    for options, words in ((["--date", "tomorrow-ish"], "--date"),
                           (["--since", "noon"], "--since"),
                           (["--window", "4 bananas"], "--window"),
                           (["--connections", "0"], "--connections"),
                           (["--transport", "telnet"], "--transport"),
                           (["--idle-exit-code", "300"], "--idle-exit-code"),
                           (["--to", "ftp://x/"], "--to")):
        ended = ferry("transfer", *base, *options)
        assert ended.code == 2, ended.stderr
        assert words in ended.stderr
    assert not metastore.exists()


def test_a_missing_landing_area(ferry, folder, metastore, server):
    for words in (["watch", "--once"], ["transfer", *server.options()]):
        ended = ferry(*words, "--landing", folder / "absent", "--metastore", metastore)
        assert ended.code == 2
        assert str(folder / "absent") in ended.stderr


def test_a_metastore_in_the_landing_area(ferry, landing):
    ended = ferry("watch", "--once", "--landing", landing, "--metastore", landing / "store")
    assert ended.code == 2
    assert "lies in the landing area" in ended.stderr
    assert os.listdir(landing) == []
    assert ferry("watch", "--once", "--landing", landing, "--metastore",
                 landing / ".ferry").code == 0


def test_landing_areas_that_overlap(ferry, landing, metastore):
    (landing / "below").mkdir()
    ended = ferry("watch", "--once", "--landing", landing, "--landing", landing / "below",
                  "--metastore", metastore)
    assert ended.code == 2
    assert "overlap" in ended.stderr
    assert not metastore.exists()


def test_a_name_that_no_file_has(server, refuses):
    refuses(2, ["no-such.csv"], *server.options(), "no-such.csv")


def test_a_password_in_the_url(server, refuses):
    refuses(2, ["password"], "--to", "sftp://user:secret@127.0.0.1/x")


needs_little_memory = pytest.mark.skipif(SANITIZED, reason="sanitizers reserve the address space")


def with_limited_memory(*words, stdin=None, mebibytes=600):
    """Ends with 137 or an abort if it takes more."""
    limit = f"ulimit -v {mebibytes * 1024}; exec \"$@\""
    with open(stdin or "/dev/null", "rb") as source:
        return subprocess.run(["sh", "-c", limit, "sh", *map(str, command(*words))], stdin=source, text=True,
                              capture_output=True, timeout=60, env=environment(), check=False)


@needs_little_memory
@pytest.mark.parametrize("source", ["/dev/zero", "-"])
def test_import_of_a_line_without_end(metastore, source):
    ended = with_limited_memory("import", source, "--metastore", metastore, stdin="/dev/zero")
    assert ended.returncode == 2, ended.stderr
    assert f"{source}:1: the line is longer than 1 MiB" in ended.stderr
    assert not metastore.exists()


@needs_little_memory
def test_a_configuration_without_end(metastore):
    for words in (["config", "check"], ["status"]):
        ended = with_limited_memory(*words, "--config", "/dev/zero")
        assert ended.returncode == 2, ended.stderr
        assert "/dev/zero: it is larger than 4 MiB" in ended.stderr


@pytest.mark.parametrize("text", ["[" + "a." * 50_000 + "a]\n", "a." * 50_000 + "a = 1\n",
                                  "x = {" + "a." * 50_000 + "a = 1}\n", "x = " + "[" * 100_000,
                                  "x = " + "{a=" * 100_000],
                         ids=["table", "key", "inline key", "lists", "tables"])
def test_a_configuration_that_is_too_deep(ferry, folder, text):
    (folder / "deep.toml").write_text("# a comment.with.dots\n" + text)
    ended = ferry("config", "check", "--config", folder / "deep.toml")
    assert ended.code == 2
    assert f"{folder / 'deep.toml'}:2:" in ended.stdout


def test_a_configuration_with_many_dots_in_its_values(ferry, folder, landing):
    many = "a.b.c." * 1000
    (folder / "many.toml").write_text(
        f'# {many}\n[landing.in]\npath = "{landing}"\nignore = ["{many}", \'{many}\', """{many}\n{many}""", '
        f'"\\"{many}"]\n')
    ended = ferry("config", "check", "--config", folder / "many.toml")
    assert ended.code == 0, ended.stdout


def test_hash_threads_have_a_limit(ferry, folder, landing, metastore):
    (folder / "ferry.toml").write_text("[watch]\nhash_threads = 257\n")
    ended = ferry("config", "check", "--config", folder / "ferry.toml")
    assert ended.code == 2
    assert "ferry.toml:2:16: watch.hash_threads: 257 is more than 256" in ended.stdout
    ended = ferry("watch", "--once", "--landing", landing, "--metastore", metastore,
                  "--hash-threads", "1000000")
    assert ended.code == 2 and "--hash-threads: 1000000 is more than 256" in ended.stderr


@pytest.mark.parametrize("text, line, words", [
    ('metastore = "postgresql://u:secret@h/d"\n', 1, "password"),
    ('metastore = "mysql://h/d"\n', 1, "a metastore is a directory"),
    ('[serve]\nlisten = ["127.0.0.1:99999"]\n', 2, "neither an IP address with a port"),
    ('[serve]\nlisten = []\n', 2, "names no address"),
    ('[serve]\ntls_certificate = "/c.pem"\n', 2, "tls_certificate and tls_key"),
    ('[serve]\n\ntls_key = "/k.pem"\n', 3, "tls_certificate and tls_key"),
    ('[landing.in]\npath = "/srv/\\u0000in"\n', 2, "NUL"),
    ('[landing.in]\npath = "/srv/in"\nignore = ["a", "b\\u0000"]\n', 3, "NUL"),
    ('[landing."a/b"]\npath = "/srv/in"\n', 1, "neither '/' nor '*'"),
    ('[landing."*"]\npath = "/srv/in"\n', 1, "neither '/' nor '*'"),
    ('[landing."a\\tb"]\npath = "/srv/in"\n', 1, "control characters"),
    ('[landing."a\\u0000"]\npath = "/srv/in"\n', 1, "control characters"),
    ('[landing."\\u202Egnp"]\npath = "/srv/in"\n', 1, "control characters"),
    (f'[destination.b]\nurl = "sftp://u@h/in"\ncontrol_name = "{{batch_id}}{"x" * 220}"\n', 3,
     "makes file names of more than 251 bytes"),
    ('[destination."a/b"]\nurl = "sftp://u@h/in"\n', 1, "neither '/' nor '*'"),
    ('[notify."a\\n"]\ncommand = ["true"]\n', 1, "control characters"),
])
def test_what_config_check_finds(ferry, folder, text, line, words):
    (folder / "ferry.toml").write_text(text)
    ended = ferry("config", "check", "--config", folder / "ferry.toml")
    assert ended.code == 2, ended.stdout
    assert ended.stdout.startswith(f"{folder / 'ferry.toml'}:{line}:"), ended.stdout
    assert words in ended.stdout and "secret" not in ended.stdout


@pytest.mark.parametrize("table, key", [
    ("watch", "rescan_interval"), ("watch", "poll_interval"), ("landing.in", "validate_timeout"),
    ("route.r", "validate_timeout"), ("transform.t", "time_limit"), ("notify.n", "time_limit"),
    ("transfer", "stall_timeout"), ("transfer", "connect_timeout")])
def test_no_time_at_all_is_no_time_limit(ferry, folder, table, key):
    """A watcher would rescan without end, and nothing would ever be in time."""
    (folder / "ferry.toml").write_text(f'[{table}]\n{key} = "0s"\n')
    ended = ferry("config", "check", "--config", folder / "ferry.toml")
    assert ended.code == 2, ended.stdout
    assert f"ferry.toml:2:{len(key) + 4}: {table}.{key}: must be more than 0" in ended.stdout


def test_a_configuration_from_a_pipe(folder, landing):
    """As <(command) names one; it is waited for, and a signal ends that."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    process = Process(folder, "config", "check", "--config", pipe)
    pipe.write_text(f'[landing.in]\npath = "{landing}"\n')
    assert process.wait().code == 0
    process = Process(folder, "config", "check", "--config", pipe)
    with open(pipe, "w"):  # it waits
        process.popen.terminate()
        assert process.wait(timeout=30).code == 130
    for number in (signal.SIGTERM, signal.SIGINT):
        process = Process(folder, "config", "check", "--config", pipe)
        eventually(lambda: str(pipe) in opened_by(process), what="waiting for the pipe")
        process.popen.send_signal(number)
        assert process.wait(timeout=30).code == 130


@pytest.mark.parametrize("path, reason", [
    ("a\nb", "control characters"), ("a\x1b[2Jb", "control characters"), ("a//b", "has a part that is empty"),
    ("a/./b", "has a part that is empty"), ("./a", "has a part that is empty"), ("a/", "has a part that is empty"),
    ("/a", "not relative"), ("a/../b", "leads out"), ("", "an empty path"), (".hidden", "'.hidden' that no landing area registers"),
    (".quarantine/a", "that no landing area registers"), ("a/.b/c", "that no landing area registers"),
    ("a.part", "that no landing area registers")])
def test_import_of_a_path_that_no_landing_area_registers(ferry, metastore, path, reason):
    row = {"id": "1", "path": path, "updated_date": "2026-01-01", "checksum": "0" * 32}
    ended = ferry("import", "-", "--metastore", metastore, stdin=json.dumps(row) + "\n")
    assert ended.code == 2
    assert reason in ended.stderr and "-:1:" in ended.stderr and "nothing was imported" in ended.stderr
    assert "\x1b" not in ended.stderr
    assert bytes_of_tables(metastore) in ([], [b"", b""])


def test_a_row_with_such_a_path_hides_no_other(ferry, metastore, register):
    register()
    rows = [{"id": name, "path": path, "updated_date": "2026-01-01", "checksum": "0" * 32}
            for name, path in (("1", "a//b"), ("2", "good"))]
    with open(metastore / "file_registry.jsonl", "a", encoding="utf-8") as table:
        table.writelines(json.dumps(row) + "\n" for row in rows)
    ended = ferry("list", "--json", "--metastore", metastore)
    assert [line["path"] for line in ended.json_lines] == ["good"]
    assert "table=file_registry line=1" in ended.stderr and "has a part that is empty" in ended.stderr


def test_import_with_a_bad_line(ferry, metastore, folder):
    rows = folder / "rows.jsonl"
    rows.write_text('{"id":"1","path":"a","updated_date":"2026-01-01","checksum":"'
                    + "0" * 32 + '"}\n{"id":\n')
    ended = ferry("import", rows, "--metastore", metastore)
    assert ended.code == 2
    assert f"{rows}:2:" in ended.stderr
    assert bytes_of_tables(metastore) in ([], [b"", b""])
