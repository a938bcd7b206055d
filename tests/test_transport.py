"""The same deliveries by the program ssh."""

import pytest

from ferry_harness import make_big_file, make_files, put, same_tree


@pytest.fixture
def by_ssh(transfer):
    def run(*options, **keywords):
        return transfer("--transport", "openssh", *options, **keywords)

    return run


def test_many_small_files_and_a_large_one(server, landing, register, by_ssh):
    make_files(landing, 200, 2000)
    make_big_file(landing / "large.bin", 64 << 20)
    assert register() == 201
    ended = by_ssh()
    assert ended.code == 0, ended.stderr
    assert ended.summary["successful"] == 201
    assert same_tree(landing, server.root)
    assert server.leftovers() == []


def test_what_ssh_says_is_told_and_nothing_is_claimed(server, landing, register, by_ssh, status):
    make_files(landing, 1, 10)
    register()
    (server.folder / "authorized_keys").write_text("")
    ended = by_ssh()
    assert ended.code == 3
    assert "Permission denied" in ended.stderr
    server.stop()
    ended = by_ssh()
    assert ended.code == 3
    assert "Connection refused" in ended.stderr
    assert f"127.0.0.1:{server.port}" in ended.stderr
    assert status()["pending"] == 1


def test_a_password_is_refused(landing, register, by_ssh):
    make_files(landing, 1, 10)
    register()
    ended = by_ssh(env={"FERRY_PASSWORD": "s3cret"})
    assert ended.code == 2
    assert "openssh transport" in ended.stderr
    assert "s3cret" not in ended.stderr


@pytest.mark.parametrize("transport", ["libssh2", "openssh"])
def test_a_command_there_verifies(server, landing, register, transfer, transport):
    names = ["it's $(hostile) `name`", "plain"]
    for name in names:
        put(landing / name, name.encode())
    make_big_file(landing / "large.bin", 16 << 20)
    register()
    ended = transfer("--transport", transport, "--verify", "remote-command", "--verify-command",
                     "sha256sum", "--verify-command", "--binary")
    assert ended.code == 0, ended.stderr
    assert same_tree(landing, server.root)
    put(landing / "plain", b"changed")
    register()
    ended = transfer("--transport", transport, "--verify", "remote-command", "--verify-command",
                     "no-such-program")
    assert ended.code == 1
    assert "verify_command" in ended.stderr and "readback" in ended.stderr
    assert (server.root / "plain").read_text() == "plain"
    assert server.leftovers() == []
