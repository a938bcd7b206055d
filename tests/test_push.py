"""ferry push: registers and delivers in one step."""

import json
import os
import signal

import pytest

from ferry_harness import Process, Server, eventually, make_files, put, same_tree, tables


@pytest.fixture
def home(folder):
    path = folder / "home"
    path.mkdir()
    return {"HOME": str(path), "XDG_STATE_HOME": ""}


@pytest.fixture
def push(ferry, server, home):
    """With nothing but a destination: no configuration, no metastore, no landing area."""

    def run(*words, **options):
        return ferry("push", *words, *server.options(), env=home, **options)

    return run


def test_a_file_is_delivered_and_nothing_else_of_its_directory(push, server, folder, ferry, home):
    put(folder / "in/report.csv", b"report")
    put(folder / "in/private.txt", b"not this")
    ended = push(folder / "in/report.csv")
    assert ended.code == 0, ended.stderr
    assert server.files() == ["report.csv"]
    assert "1 of 1 files delivered" in ended.stdout
    assert [entry["path"] for control in server.control_files() for entry in control["files"]] == [
        "report.csv"]
    # Others find what push did, without being told where.
    assert ferry("list", "--json", env=home).json_lines[0]["status"] == "successful"
    assert (folder / "home/.local/state/ferry/file_registry.jsonl").exists()


def test_once(push, server, folder):
    put(folder / "in/report.csv", b"report")
    assert push(folder / "in/report.csv", "--json").summary["successful"] == 1
    again = push(folder / "in/report.csv", "--json")
    assert (again.code, again.summary["selected"]) == (0, 0)
    put(folder / "in/report.csv", b"another report")
    assert push(folder / "in/report.csv", "--json").summary["successful"] == 1
    assert (server.root / "report.csv").read_bytes() == b"another report"


def test_what_is_said_of_landing_areas_holds_for_any_directory(push, server, folder):
    for name in ("good.csv", "old.csv.bak", "photo.jpg", "large.csv"):
        put(folder / "in" / name, b"x" * (5000 if name == "large.csv" else 1))
    ended = push(folder / "in", "--ignore", "*.bak", "--extension", "csv", "--max-size", "1K")
    assert ended.code == 1
    assert server.files() == ["good.csv"]
    assert "not delivered: 2 refused" in ended.stdout


@pytest.mark.parametrize("place", ["user@b.example.org:inbox", "b.example.org", "warehouse"])
def test_who_writes_a_destination_as_scp_does_is_told_how_it_is_written(ferry, folder, home, place):
    put(folder / "in/report.csv", b"report")
    ended = ferry("push", folder / "in/report.csv", "--to", place, env=home)
    assert ended.code == 2
    assert f"'{place}' is neither an sftp:// URL nor a configured destination: write sftp://user@host/directory" in ended.stderr


def test_directories_and_files_together(push, server, folder):
    make_files(folder / "tree/below", 3, 10)
    put(folder / "one/x.csv", b"x")
    put(folder / "one/y.csv", b"y")
    ended = push(folder / "tree", folder / "one/x.csv", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.summary["successful"] == 4
    assert same_tree(folder / "tree", server.root)
    assert not (server.root / "y.csv").exists()


def test_what_was_not_delivered_is_delivered_by_the_next(push, server, folder):
    put(folder / "in/a.csv", b"a")
    server.stop()
    failed = push(folder / "in", "--retries", "1", "--retry-delay", "1ms")
    assert failed.code == 3
    server.start(server.port)
    assert push(folder / "in").code == 0
    assert server.files() == ["a.csv"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_cannot_be_delivered_stays_and_is_told(push, server, folder, kind):
    put(folder / "in/a.csv", b"a")
    (folder / "in/link.csv").symlink_to("a.csv")
    if kind == "file":
        ended = push(folder / "in/a.csv", folder / "in/link.csv")
        assert ended.code == 2
        assert "link.csv is a symbolic link: name the file that it leads to" in ended.stderr
        return
    ended = push(folder / "in")
    assert ended.code == 1
    assert "not delivered: 1 refused" in ended.stdout
    assert "link.csv" in ended.stderr
    assert server.files() == ["a.csv"]
    assert sorted(os.listdir(folder / "in")) == ["a.csv", "link.csv"]


@pytest.mark.parametrize("name, reason", [("absent.csv", "No such file or directory"),
                                          (".hidden", "never registered"),
                                          ("fifo", "is not a regular file")])
def test_paths_that_nobody_can_push(push, server, folder, name, reason):
    (folder / "in").mkdir()
    put(folder / "in/good.csv", b"good")
    if name == ".hidden":
        (folder / "in" / name).write_text("x")
    if name == "fifo":
        os.mkfifo(folder / "in" / name)
    ended = push(folder / "in/good.csv", folder / "in" / name)
    assert ended.code == 2
    assert reason in ended.stderr
    assert server.files() == []


def test_files_that_would_get_one_name_are_refused_before_anything_is_sent(push, server, folder):
    for name in ("x", "y"):
        put(folder / name / "report.csv", name.encode())
    both = (folder / "x/report.csv", folder / "y/report.csv")
    ended = push(*both)
    assert ended.code == 2 and str(folder / "x") in ended.stderr and server.files() == []
    assert [push(one).code for one in both] == [0, 0]
    assert (server.root / "report.csv").read_bytes() == b"y"


def test_a_file_that_is_being_written_is_left(push, server, folder):
    (folder / "in").mkdir()
    with open(folder / "in/open.csv", "w", encoding="utf-8") as writer:
        writer.write("half")
        writer.flush()
        ended = push(folder / "in/open.csv")
    assert ended.code == 1
    assert "not delivered: 1 still being written" in ended.stdout
    assert server.files() == []


def test_in_a_configured_area(configured, landing, folder, server, other_server):
    configured.write('[route.csv]\nmatch = ["*.csv"]\nto = ["b"]\nrename = "renamed/{name}"\n'
                     '[route.rest]\nto = ["c"]\n')
    put(landing / "orders/a.csv", b"a")
    put(landing / "orders/b.csv", b"b")
    ended = configured.run("push", landing / "orders/a.csv", "--json")
    assert ended.code == 0, ended.stderr
    assert server.files() == ["renamed/a.csv"]
    assert other_server.files() == []
    (row,) = tables(configured.metastore)[0]
    assert (row["path"], row["landing"]) == ("orders/a.csv", "in")

    put(folder / "elsewhere.csv", b"x")
    refused = configured.run("push", folder / "elsewhere.csv")
    assert refused.code == 2
    assert "does not lie in the landing area" in refused.stderr
    allowed = configured.run("push", folder / "elsewhere.csv", "--landing", folder, "--to", "b")
    assert allowed.code == 0, allowed.stderr


def test_a_directory_of_a_configured_area(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\n')
    put(landing / "orders/a.csv", b"a")
    put(landing / "orders/deep/b.csv", b"b")
    put(landing / "ordersx/c.csv", b"c")
    ended = configured.run("push", landing / "orders")
    assert ended.code == 0, ended.stderr
    assert server.files() == ["orders/a.csv", "orders/deep/b.csv"]


def test_watch_goes_on(folder, server, home):
    put(folder / "in/first.csv", b"first")
    process = Process(folder, "push", folder / "in", "--watch", *server.options(), env=home)
    try:
        eventually(lambda: server.files() == ["first.csv"], what="the first file")
        put(folder / "in/second.csv", b"second")
        eventually(lambda: len(server.files()) == 2, what="the second file")
    finally:
        ended = process.stop()
    assert ended.code == 0, ended.stderr


def test_watch_wants_directories(push, folder):
    put(folder / "in/a.csv", b"a")
    ended = push(folder / "in/a.csv", "--watch")
    assert ended.code == 2
    assert "--watch goes on with whole directories" in ended.stderr


def test_a_stop_ends_both(folder, server, home):
    (folder / "in").mkdir()
    process = Process(folder, "push", folder / "in", "--watch", *server.options(), env=home)
    eventually(lambda: " ready" in process.log(), what="ready")
    process.popen.send_signal(signal.SIGINT)
    assert process.wait(timeout=30).code == 0


def test_the_metastore_may_not_lie_in_what_is_pushed(push, folder):
    (folder / "in").mkdir()
    ended = push(folder / "in", "--metastore", folder / "in/store")
    assert ended.code == 2
    assert "its tables would be taken for files that landed" in ended.stderr


def test_what_no_route_takes_is_told(configured, landing, server):
    configured.write('[route.csv]\nmatch = ["*.csv"]\nto = ["b"]\n'
                     '[route.old]\nmatch = ["*.txt"]\nto = ["b"]\nmin_age = "1h"\n')
    put(landing / "a.csv", b"a")
    put(landing / "b.dat", b"b")
    put(landing / "c.txt", b"c")
    ended = configured.run("push", landing)
    assert ended.code == 1
    assert server.files() == ["a.csv"]
    assert ("not delivered: 1 taken by no route, 1 waiting for the min_age or delay of their route"
            in ended.stdout)
    assert configured.run("push", landing / "a.csv").code == 0


def test_what_another_run_is_at_is_not_done(push, server, folder):
    put(folder / "in/report.csv", b"report" * 300_000)
    first = Process(folder, "push", folder / "in/report.csv", *server.options(), "--bandwidth-limit", "64K",
                    env={"HOME": str(folder / "home"), "XDG_STATE_HOME": ""})
    try:
        eventually(lambda: ".report" in str(server.leftovers()), what="a part at B")
        second = push(folder / "in/report.csv")
        assert second.code == 1
        assert "1 left to another run" in second.stdout
    finally:
        first.kill()
    assert push(folder / "in/report.csv").code == 0


def test_an_empty_word_is_not_this_directory(push, server, folder):
    put(folder / "in/report.csv", b"report")
    ended = push(folder / "in/report.csv", "")
    assert ended.code == 2
    assert "an empty path" in ended.stderr
    assert server.files() == []


def test_a_path_means_what_it_means_to_others(push, server, folder):
    put(folder / "real/sub/x", b"")
    put(folder / "real/report.csv", b"right")
    put(folder / "report.csv", b"wrong")
    (folder / "link").symlink_to(folder / "real/sub")
    assert push(f"{folder}/link/../report.csv").code == 0
    assert (server.root / "report.csv").read_bytes() == b"right"
    assert push(f"{folder}/nowhere/../report.csv").code == 2


def test_hidden_directories_are_refused_like_hidden_files(push, server, folder):
    put(folder / "in/.git/config", b"secret")
    for words in ([folder / "in/.git", "--landing", folder / "in"],
                  [folder / "in/.git/config", "--landing", folder / "in"]):
        ended = push(*words)
        assert ended.code == 2, ended.stdout
    assert server.files() == []


def test_who_forgets_the_home_directory_is_told(folder, ferry, home):
    strict = Server(folder / "strict", sftp="internal-sftp -P mkdir")  # as to an account that is not root's
    try:
        put(folder / "in/a.csv", b"a")
        ended = ferry("push", folder / "in/a.csv", *strict.options("/ferry-inbox"), env=home)
        assert ended.code == 3
        assert ("create remote directory /ferry-inbox: permission denied (sftp://HOST/~/ferry-inbox would be in the "
                "account's home directory)") in ended.stderr
    finally:
        strict.stop()
