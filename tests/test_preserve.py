"""What a delivered file has of its source beside the content: preserve = …"""

import os
import stat

import pytest

from ferry_harness import make_big_file, put, server_with, tables

LARGE = 12 << 20
TIME = 1_234_567_890


@pytest.fixture
def server(request, folder):
    running = server_with(folder, getattr(request, "param", "internal-sftp"))
    yield running
    running.stop()


def route(preserve, more=""):
    return f'[route.all]\nto = ["b"]\npreserve = {preserve}\n{more}'


def deliver(configured, *arguments):
    ended = configured.transfer("--to", "b", *arguments)
    assert ended.code == 0, ended.stderr
    return ended


def prepare(landing, mode=0o4750):
    put(landing / "small.csv", b"small")
    make_big_file(landing / "large.bin", LARGE)
    for path in landing.iterdir():
        path.chmod(mode)
        os.utime(path, (TIME, TIME))


@pytest.mark.parametrize("batch", ["independent", "all-or-nothing"])
def test_time_and_mode_are_the_sources(configured, landing, server, batch):
    configured.write(route('["mtime", "mode"]'))
    prepare(landing)
    configured.register()
    deliver(configured, "--batch", batch)
    for path in landing.iterdir():
        there = (server.root / path.name).stat()
        assert int(there.st_mtime) == TIME
        assert stat.S_IMODE(there.st_mode) == 0o750, "never setuid"
        assert (server.root / path.name).read_bytes() == path.read_bytes()
    assert server.leftovers() == []


@pytest.mark.parametrize(("preserve", "time", "mode"),
                         [('["mtime"]', True, False), ('["mode"]', False, True), ("[]", False, False)])
def test_each_alone_or_nothing(configured, landing, server, preserve, time, mode):
    configured.write(route(preserve))
    prepare(landing, mode=0o601)
    configured.register()
    deliver(configured)
    for name in ("small.csv", "large.bin"):
        there = (server.root / name).stat()
        assert (int(there.st_mtime) == TIME) == time
        assert (stat.S_IMODE(there.st_mode) == 0o601) == mode


def test_transforms_keep_the_sources_time(configured, landing, server):
    configured.write(route('["mtime", "mode"]', 'transforms = ["gzip"]\n'))
    prepare(landing, mode=0o640)
    configured.register()
    deliver(configured)
    for name in ("small.csv.gz", "large.bin.gz"):
        there = (server.root / name).stat()
        assert (int(there.st_mtime), stat.S_IMODE(there.st_mode)) == (TIME, 0o640)


@pytest.mark.parametrize("server", ["refuse setstat"], indirect=True)
def test_a_server_that_refuses_is_said_once_and_has_the_files(configured, landing, metastore,
                                                              server):
    configured.write(route('["mtime", "mode"]'))
    prepare(landing, mode=0o640)
    configured.register()
    ended = deliver(configured)
    assert ended.stderr.count("time or mode not preserved") == 1
    assert server.files() == ["large.bin", "small.csv"]
    assert {row["transfer_status"] for row in tables(metastore)[1]} == {"in_progress", "successful"}


def test_a_landing_area_on_a_server_gives_them_too(configured, folder, server, other_server):
    put(other_server.root / "in" / "a.csv", b"from a server")
    os.utime(other_server.root / "in" / "a.csv", (TIME, TIME))
    (other_server.root / "in" / "a.csv").chmod(0o604)
    configured.write(
        f'[landing.far]\nurl = "{other_server.url(other_server.root / "in")}"\nuse_agent = false\n'
        f'identity = "{other_server.identity}"\nknown_hosts = "{other_server.known_hosts}"\n'
        + route('["mtime", "mode"]'))
    assert configured.register() == 1
    deliver(configured)
    there = (server.root / "a.csv").stat()
    assert (int(there.st_mtime), stat.S_IMODE(there.st_mode)) == (TIME, 0o604)


def test_words_that_nobody_knows_are_refused(configured):
    configured.write(route('["owner"]'))
    ended = configured.run("config", "check")
    assert ended.code == 2 and "mtime, mode" in ended.stderr + ended.stdout
