"""What becomes of a file if the destination has another one of its name: existing = …"""

import os

import pytest

from ferry_harness import (Process, Server, eventually, make_big_file, make_files, put, server_with,
                           tables)

SMALL, LARGE = 1 << 20, 12 << 20
WAYS = ["skip", "fail", "version"]

# A server without posix-rename, too: there a plain rename is all there is.
with_and_without_posix_rename = pytest.mark.parametrize(
    "server", ["internal-sftp", "internal-sftp -P posix-rename"], indirect=True,
    ids=["posix-rename", "plain"])


@pytest.fixture
def server(request, folder):
    running = server_with(folder, getattr(request, "param", "internal-sftp"))
    yield running
    running.stop()


def route(existing, more=""):
    return f'[route.all]\nto = ["b"]\nexisting = "{existing}"\n{more}'


def last_log(metastore, path):
    registry, logs = tables(metastore)
    ids = [row["id"] for row in registry if row["path"] == path]
    return [row for row in logs if row["id"] == ids[-1]][-1]


def listed(server):
    return sorted(entry["path"] for control in server.control_files() for entry in control["files"])


def settle(configured, *arguments):
    """What is not configured in b alone is nobody's."""
    return configured.transfer("--to", "b", *arguments)


@with_and_without_posix_rename
def test_skip_leaves_what_is_there_and_says_so(configured, landing, metastore, server, folder):
    configured.write(route("skip"))
    put(server.root / "a.csv", b"theirs")
    put(landing / "a.csv", b"ours")
    put(landing / "b.csv", b"new")
    configured.register()
    ended = settle(configured)
    assert ended.code == 0, ended.stderr
    assert (ended.summary["successful"], ended.summary["skipped"]) == (1, 1)
    assert (server.root / "a.csv").read_bytes() == b"theirs"
    assert listed(server) == ["b.csv"]
    assert configured.standings("b") == {("a.csv", "b"): "successful", ("b.csv", "b"): "successful"}
    row = last_log(metastore, "a.csv")
    assert (row["transfer_status"], row["error"]["kind"]) == ("successful", "skipped")
    assert row["remote_path"].endswith("/a.csv") and "checksum" not in row and "batch_id" not in row
    assert "skipped: not sent" in configured.run("history", "a.csv").stdout
    assert not configured.is_pending()
    assert configured.run("verify", "--date", "today", "--destination", "b").code == 0
    assert server.leftovers() == []


@pytest.mark.parametrize("server", ["refuse nothing"], indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["whole", "in chunks"])
@pytest.mark.parametrize("existing", ["skip", "fail"])
def test_nothing_is_sent_that_is_skipped_or_refused(configured, folder, landing, server, size,
                                                   existing):
    configured.write(route(existing))
    put(server.root / "data.bin", b"theirs")
    make_big_file(landing / "data.bin", size)
    configured.register()
    settle(configured)
    written = sum(map(int, (folder / "written").read_text().split()))
    assert written < 200_000  # the try of a server's handles
    assert (server.root / "data.bin").read_bytes() == b"theirs"


@pytest.mark.parametrize("theirs", [b"theirs", None], ids=["another", "the same"])
def test_what_an_earlier_run_left_of_a_file_that_is_there_goes(configured, landing, server, theirs):
    configured.write(route("skip"))
    make_big_file(landing / "data.bin", LARGE)
    configured.register()
    assert settle(configured, "--bandwidth-limit", "4M", "--deadline", "1s").code == 1
    assert len(server.leftovers()) == 1
    put(server.root / "data.bin", theirs or (landing / "data.bin").read_bytes())
    ended = settle(configured)
    assert ended.code == 0, ended.stderr
    assert server.leftovers() == []


@with_and_without_posix_rename
def test_fail_gives_up_at_once_until_somebody_makes_room(configured, landing, metastore, server):
    configured.write(route("fail"))
    put(server.root / "a.csv", b"theirs")
    put(landing / "a.csv", b"ours")
    put(landing / "b.csv", b"new")
    configured.register()
    ended = settle(configured)
    assert (ended.code, ended.summary["successful"], ended.summary["failed"]) == (1, 1, 1)
    assert "a.csv" in ended.stderr and "ferry retry" in ended.stderr
    again = settle(configured)
    assert (again.code, again.summary["selected"], again.summary["given_up"]) == (1, 0, 1)
    assert not list((landing / ".quarantine").glob("*"))
    assert (server.root / "a.csv").read_bytes() == b"theirs"
    (server.root / "a.csv").unlink()
    assert configured.run("retry", "a.csv").code == 0
    assert settle(configured).code == 0
    assert (server.root / "a.csv").read_bytes() == b"ours"


@with_and_without_posix_rename
@pytest.mark.parametrize("size", [100, LARGE], ids=["whole", "in chunks"])
def test_version_finds_the_next_free_name(configured, landing, metastore, server, size):
    configured.write(route("version"))
    put(server.root / "a.csv", b"theirs")
    for number in range(1, 6):
        make_big_file(landing / "a.csv", size) if size == LARGE else put(
            landing / "a.csv", f"version {number}".encode())
        sent = (landing / "a.csv").read_bytes()
        configured.register()
        ended = settle(configured)
        assert ended.code == 0, ended.stderr
        assert (server.root / f"a.{number}.csv").read_bytes() == sent
        assert last_log(metastore, "a.csv")["remote_path"].endswith(f"/a.{number}.csv")
    assert (server.root / "a.csv").read_bytes() == b"theirs"
    assert listed(server) == [f"a.{number}.csv" for number in range(1, 6)]
    assert configured.run("verify", "--date", "today", "--destination", "b", "--readback").code == 0
    assert server.leftovers() == []


def test_a_versions_number_stands_before_the_extension_and_what_transforms_add(
        configured, landing, server):
    configured.write(route("version", 'transforms = ["gzip"]\n'))
    for name in ("a.csv.gz", "noext.gz", "deep/.hidden.gz"):
        put(server.root / name, b"theirs")
    for name in ("a.csv", "noext"):
        put(landing / name, b"ours")
    configured.register()
    assert settle(configured).code == 0
    assert server.files() == ["a.1.csv.gz", "a.csv.gz", "noext.1.gz", "noext.gz"]


@pytest.mark.parametrize("existing", WAYS)
def test_the_very_content_counts_as_delivered(configured, landing, metastore, server, existing):
    configured.write(route(existing))
    put(server.root / "a.csv", b"ours")
    put(landing / "a.csv", b"ours")
    configured.register()
    ended = settle(configured)
    assert (ended.code, ended.summary["successful"]) == (0, 1), ended.stderr
    assert server.files() == ["a.csv"]
    assert listed(server) == ["a.csv"]
    assert "error" not in last_log(metastore, "a.csv")


def test_two_files_of_one_content_are_not_one_version(configured, landing, server):
    configured.write(route("version", 'rename = "{name}"'))
    put(server.root / "x.csv", b"theirs")
    put(server.root / "x.1.csv", b"ours")
    for folder in ("one", "two"):
        put(landing / folder / "x.csv", b"ours")
    configured.register()
    assert settle(configured).code == 0
    assert listed(server) == ["x.1.csv", "x.2.csv"]
    assert (server.root / "x.2.csv").read_bytes() == b"ours"


def test_two_areas_files_of_one_name_are_both_there(configured, folder, landing, server):
    configured.write(f'[landing.more]\npath = "{folder}/more"\n' + route("version"))
    make_files(landing, 20, 1000)
    for path in sorted(landing.iterdir()):
        put(folder / "more" / path.name, b"another " + path.name.encode())
    configured.register()
    ended = settle(configured)
    assert ended.code == 0, ended.stderr
    assert len(server.files()) == 40
    for path in landing.iterdir():
        found = {(server.root / name).read_bytes() for name in
                 (path.name, f"{path.stem}.1{path.suffix}")}
        assert found == {path.read_bytes(), (folder / "more" / path.name).read_bytes()}


@pytest.mark.parametrize("existing", ["skip", "fail"])
def test_or_one_of_them_gives_way(configured, folder, landing, server, existing):
    configured.write(f'[landing.more]\npath = "{folder}/more"\n' + route(existing))
    put(landing / "a.csv", b"first")
    (folder / "more").mkdir()
    configured.register()
    assert settle(configured).code == 0
    put(folder / "more" / "a.csv", b"second")
    configured.register()
    ended = settle(configured)
    assert (ended.summary["skipped"], ended.summary["failed"]) == ((1, 0) if existing == "skip"
                                                                 else (0, 1))
    assert (server.root / "a.csv").read_bytes() == b"first"


@pytest.mark.parametrize("server", ["appear rename"], indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["whole", "in chunks"])
@pytest.mark.parametrize("existing", WAYS)
def test_what_appears_at_the_last_moment_is_not_replaced(
        configured, folder, landing, metastore, server, existing, size):
    configured.write(route(existing))
    make_big_file(landing / "data.bin", size)
    configured.register()
    ended = settle(configured)
    assert (folder / "lost").exists()
    assert (server.root / "data.bin").read_bytes() == b"somebody's"
    assert ended.code == (1 if existing == "fail" else 0), ended.stderr
    if existing == "version":
        assert (server.root / "data.1.bin").read_bytes() == (landing / "data.bin").read_bytes()
        assert listed(server) == ["data.1.bin"]
    else:
        assert server.files() == ["data.bin"] and listed(server) == []
    assert server.leftovers() == []
    assert not list((metastore / "journals").glob("*"))


@pytest.mark.parametrize("server", ["lose rename"], indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["whole", "in chunks"])
@pytest.mark.parametrize("existing", WAYS)
def test_a_lost_reply_of_the_rename_is_no_other_file(configured, folder, landing, server, existing,
                                                     size):
    configured.write(route(existing), b="connections = 1")
    make_big_file(landing / "data.bin", size)
    configured.register()
    ended = settle(configured)
    assert (ended.code, ended.summary["successful"]) == (0, 1), ended.stderr
    assert (folder / "lost").exists()
    assert server.files() == ["data.bin"] and listed(server) == ["data.bin"]


@pytest.mark.parametrize("server", ["halt rename"], indirect=True)
@pytest.mark.parametrize("existing", WAYS)
@pytest.mark.parametrize("left", ["journal", "nothing"])
@pytest.mark.parametrize("theirs", [False, True], ids=["free", "taken"])
def test_what_an_agent_named_that_was_killed_is_its_own(
        configured, folder, landing, metastore, server, existing, left, theirs):
    """LEFT: whether the agent that comes next has the notes of the one that died."""
    if theirs and existing != "version":
        pytest.skip("nothing is renamed")
    if theirs:
        put(server.root / "data.bin", b"theirs")
    configured.write(route(existing), b="connections = 1")
    make_big_file(landing / "data.bin", SMALL)
    configured.register()
    agent = Process(folder, "transfer", "--to", "b", env={"FERRY_CONFIG": str(configured.file)})
    eventually((folder / "lost").exists, what="the rename")
    agent.kill()
    if left == "nothing":
        for path in (metastore / "batches").glob("*.journal"):
            path.unlink()
    ended = settle(configured)
    assert ended.code == 0, ended.stderr
    name = "data.1.bin" if theirs else "data.bin"
    assert (server.root / name).read_bytes() == (landing / "data.bin").read_bytes()
    assert server.files() == (["data.1.bin", "data.bin"] if theirs else ["data.bin"])
    assert listed(server) == [name]
    assert last_log(metastore, "data.bin")["remote_path"].endswith("/" + name)


def test_two_agents_never_take_one_another_s_names(configured, folder, landing, server):
    """Each with a metastore and a landing area of its own: nobody but the server knows of both."""
    running = []
    contents = []
    for who in ("one", "two", "three"):
        text = route("version")
        configured.landing, configured.metastore = folder / who, folder / f"metastore-{who}"
        configured.file = folder / f"{who}.toml"
        make_files(configured.landing, 60, 2000, prefix="f")
        for path in configured.landing.iterdir():
            put(path, who.encode() + path.read_bytes())
            contents.append(path.read_bytes())
        configured.write(text)
        configured.register()
        running.append(Process(folder, "transfer", "--to", "b",
                               env={"FERRY_CONFIG": str(configured.file)}))
    for agent in running:
        assert agent.wait().code == 0
    found = [path.read_bytes() for path in server.root.rglob("*.dat")]
    assert sorted(found) == sorted(contents)


def test_all_or_nothing_with_a_file_that_is_skipped(configured, landing, server):
    configured.write(route("skip"))
    put(server.root / "b.csv", b"theirs")
    for name in ("a.csv", "b.csv", "c.csv"):
        put(landing / name, name.encode())
    configured.register()
    ended = settle(configured, "--batch", "all-or-nothing")
    assert (ended.code, ended.summary["successful"], ended.summary["skipped"]) == (0, 2, 1)
    assert server.files() == ["a.csv", "b.csv", "c.csv"]
    assert (server.root / "b.csv").read_bytes() == b"theirs"
    assert listed(server) == ["a.csv", "c.csv"]


@pytest.mark.parametrize("same", [False, True], ids=["other", "same"])
def test_rolled_back_what_was_there_stays(configured, landing, server, same):
    configured.write(route("skip"))
    put(server.root / "b.csv", b"b.csv" if same else b"theirs")
    for name in ("a.csv", "b.csv", "c.csv"):
        put(landing / name, name.encode())
    configured.register()
    put(landing / "c.csv", b"another, which nobody has registered")
    ended = settle(configured, "--batch", "all-or-nothing")
    assert ended.code == 1
    assert server.files() == ["b.csv"]
    assert (server.root / "b.csv").read_bytes() == (b"b.csv" if same else b"theirs")
    assert server.control_files() == []
    assert server.leftovers() == []


@pytest.mark.parametrize("existing", ["fail", "version"])
def test_all_or_nothing_fails_or_goes_as_versions(configured, landing, server, existing):
    configured.write(route(existing))
    put(server.root / "b.csv", b"theirs")
    for name in ("a.csv", "b.csv"):
        put(landing / name, name.encode())
    configured.register()
    ended = settle(configured, "--batch", "all-or-nothing")
    assert (server.root / "b.csv").read_bytes() == b"theirs"
    if existing == "fail":
        assert ended.code == 1
        assert server.files() == ["b.csv"] and server.control_files() == []
    else:
        assert ended.code == 0, ended.stderr
        assert server.files() == ["a.csv", "b.1.csv", "b.csv"]
        assert listed(server) == ["a.csv", "b.1.csv"]


@pytest.mark.parametrize("server", ["appear rename"], indirect=True)
@pytest.mark.parametrize("existing", WAYS)
def test_all_or_nothing_where_one_appears_at_the_last_moment(
        configured, folder, landing, server, existing):
    configured.write(route(existing))
    for name in ("a.csv", "b.csv"):
        put(landing / name, name.encode())
    configured.register()
    ended = settle(configured, "--batch", "all-or-nothing")
    (theirs,) = [name for name in server.files()
                 if (server.root / name).read_bytes() == b"somebody's"]
    if existing == "skip":
        assert ended.code == 0, ended.stderr
        assert listed(server) == sorted({"a.csv", "b.csv"} - {theirs})
    else:
        assert ended.code == 1
        assert server.files() == [theirs]
    assert server.leftovers() == []


def test_links_and_directories_are_other_files(configured, landing, server):
    configured.write(route("version"))
    (server.root / "a.csv").symlink_to("nowhere")
    (server.root / "b.csv").mkdir()
    for name in ("a.csv", "b.csv"):
        put(landing / name, name.encode())
    configured.register()
    ended = settle(configured)
    assert ended.code == 0, ended.stderr
    assert listed(server) == ["a.1.csv", "b.1.csv"]
    assert (server.root / "a.csv").is_symlink() and (server.root / "b.csv").is_dir()


def test_the_configuration_is_checked(configured):
    configured.write(route("skip", 'after = "delete"\n'))
    ended = configured.run("config", "check")
    assert ended.code == 2 and "existing = \"skip\"" in ended.stderr + ended.stdout
    configured.write(route("ask"))
    ended = configured.run("config", "check")
    assert ended.code == 2 and "replace, skip, fail, version" in ended.stderr + ended.stdout


@pytest.fixture
def drop_box(folder):
    """A server whose account may write, and not read what it wrote."""
    sftp = "/usr/lib/openssh/sftp-server -u 0444"
    if os.geteuid() == 0:  # may read everything
        sftp = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups " + sftp
        folder.chmod(0o755)
    running = Server(folder / "box", sftp=sftp)
    running.root.chmod(0o777)
    yield running
    running.stop()


@pytest.mark.parametrize("existing", [*WAYS, "replace"])
@pytest.mark.parametrize("batch", ["independent", "all-or-nothing"])
def test_what_a_dead_run_delivered_where_nothing_can_be_read_is_not_sent_again(
        configured, folder, landing, drop_box, existing, batch):
    configured.servers = {"b": drop_box}
    configured.write(route(existing, f'[transfer]\nbatch = "{batch}"\n'))
    count = 3000
    for number in range(count):
        put(landing / f"f{number:04}.csv", b"mine %d" % number)
    configured.register()
    agent = Process(folder, "transfer", "--json", env={"FERRY_CONFIG": str(configured.file)})
    eventually(lambda: any(drop_box.root.glob("f*")), deadline=60, what="some names")
    agent.kill()
    assert len(drop_box.files()) < count
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert drop_box.files() == [f"f{number:04}.csv" for number in range(count)]
    assert set(configured.standings("b").values()) == {"successful"}
    assert ended.summary["skipped"] == 0 and drop_box.leftovers() == []


@pytest.mark.parametrize("existing", WAYS)
def test_half_a_batch_of_all_or_nothing_is_not_listed_though_it_is_there(configured, landing, server, existing):
    """The run ends before any name is given."""
    configured.write(route(existing))
    put(server.root / "a.csv", b"same")
    put(landing / "a.csv", b"same")
    make_big_file(landing / "large", 40 << 20)
    configured.register()
    bounded = ["--batch", "all-or-nothing", "--bandwidth-limit", "4M", "--deadline", "2s"]
    assert settle(configured, *bounded).code == 1
    assert settle(configured, *bounded).code == 1
    assert not server.control_files()
    assert settle(configured, "--batch", "all-or-nothing").code == 0
    assert listed(server) == ["a.csv", "large"]
