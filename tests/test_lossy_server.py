"""What a delivery makes of single replies that are lost or bad."""

import pathlib
import sys

import pytest

from ferry_harness import Process, Server, eventually, make_big_file, put, tables
from remote_site import Remote

LOSSY = pathlib.Path(__file__).with_name("lossy_sftp_server.py")
SMALL, LARGE = 1 << 20, 12 << 20


@pytest.fixture
def server(request, folder):
    mode, extension = request.param
    running = Server(folder / "server",
                     sftp=f"{sys.executable} {LOSSY} {mode} {extension} {folder}")
    yield running
    running.stop()


def bytes_written(folder):
    return sum(map(int, (folder / "written").read_text().split()))


@pytest.mark.parametrize("server", [("lose", "posix-rename@openssh.com")], indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["whole", "in chunks"])
def test_what_was_renamed_is_not_sent_again_where_the_reply_got_lost(
        server, folder, landing, register, transfer, size):
    make_big_file(landing / "data.bin", size)
    register()
    ended = transfer("--connections", "1", "--retry-delay", "10ms")
    assert ended.code == 0, ended.stderr
    assert (folder / "lost").exists()
    assert (server.root / "data.bin").read_bytes() == (landing / "data.bin").read_bytes()
    assert bytes_written(folder) < size + 200_000  # the control file, and the try of a server's handles


@pytest.mark.parametrize("server", [("garble", "posix-rename@openssh.com")], indirect=True)
def test_what_was_renamed_is_seen_where_the_reply_is_something_else(
        server, folder, landing, register, transfer):
    make_big_file(landing / "data.bin", SMALL)
    register()
    ended = transfer("--connections", "1", "--retry-delay", "1ms")
    assert ended.code == 0, ended.stderr
    assert (server.root / "data.bin").read_bytes() == (landing / "data.bin").read_bytes()
    assert [[entry["path"] for entry in control["files"]]
            for control in server.control_files()] == [["data.bin"]]
    assert bytes_written(folder) < SMALL + 200_000


@pytest.mark.parametrize("server", [("garble", "write")], indirect=True)
def test_a_server_that_answers_something_else_is_not_asked_without_end(
        server, folder, landing, register, transfer):
    make_big_file(landing / "data.bin", SMALL)
    register()
    ended = transfer("--retry-delay", "1ms")
    assert ended.code in (1, 3), ended.stderr
    assert "packet type 105" in ended.stderr
    assert bytes_written(folder) < 50 * SMALL


@pytest.mark.parametrize("server", [("late", "posix-rename@openssh.com")], indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["whole", "in chunks"])
def test_a_lost_connections_rename_may_be_done_at_any_time(
        server, folder, landing, register, transfer, size):
    make_big_file(landing / "data.bin", size)
    register()
    ended = transfer("--connections", "1", "--retry-delay", "10ms")
    assert ended.code == 0, ended.stderr
    assert not pathlib.Path((folder / "lost").read_text().split("\n")[0]).exists()
    assert (server.root / "data.bin").read_bytes() == (landing / "data.bin").read_bytes()
    assert bytes_written(folder) < size + 200_000


@pytest.mark.parametrize("server", [("refuse", "fsync@openssh.com")], indirect=True)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["whole", "in chunks"])
def test_what_the_server_could_not_sync_does_not_count(
        server, landing, metastore, register, transfer, size):
    make_big_file(landing / "data.bin", size)
    register()
    ended = transfer()
    assert ended.code == 1
    assert "fsync" in ended.stderr
    assert server.files() == []
    assert server.leftovers() == []
    assert list((metastore / "journals").glob("*")) == []
    put(landing / "data.bin", b"small enough for --no-fsync")
    register()
    assert transfer("--no-fsync").code == 0


@pytest.mark.parametrize("server", [("halt", "control")], indirect=True)
def test_what_a_receiver_took_after_the_death_of_an_agent_is_not_sent_again(
        server, folder, landing, metastore, register, transfer, transfer_arguments):
    put(landing / "data.csv", b"data")
    register()
    agent = Process(folder, *transfer_arguments)
    eventually((folder / "lost").exists, what="the control file's name, of which the agent does not hear")
    agent.kill()
    (control,) = server.root.glob("*.control.json")
    control.unlink()
    (server.root / "data.csv").unlink()
    ended = transfer()
    assert ended.code == 0, ended.stderr
    assert list(server.root.iterdir()) == []
    assert tables(metastore)[1][-1]["transfer_status"] == "successful"


@pytest.mark.parametrize("server", [("lose", "look")], indirect=True)
def test_an_upload_whose_server_goes_once_its_files_are_there_says_so(server, other_server, folder):
    remote = Remote(folder, server, other_server)
    ended = remote.upload("--as", "x", "-", stdin="content")
    assert (folder / "lost").exists()
    assert ended.code == 3 and "the files are in their places" in ended.stderr
    assert (remote.area / "x").read_text() == "content"
    remote.register()
    assert [row["source"] for row in remote.rows()] == ["upload"]
