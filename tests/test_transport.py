"""The same deliveries by the program ssh."""

import os
import subprocess

import pytest

from ferry_harness import USER, eventually, make_big_file, make_files, put, same_tree


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


def chosen(ended):
    """Why ssh was chosen by itself; nothing: it was not."""
    return [line.split("reason=", 1)[1] for line in ended.stderr.splitlines()
            if " transport " in line and "transport=openssh" in line]


def make_key(path, kind):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def by_key(ferry, server, landing, metastore, register):
    """Delivers one file with no identity but this, and nobody who says what is to speak SSH."""

    def run(identity, *options, **keywords):
        make_files(landing, 1, 10)
        register()
        return ferry("transfer", "--landing", landing, "--metastore", metastore, "--to", server.url(),
                     "--known-hosts", server.known_hosts, "--no-agent", "--identity", identity,
                     "--log-level", "debug", *options, **keywords)

    return run


def test_an_rsa_key_that_libssh2_cannot_sign_with(by_key, server, folder):
    key = make_key(folder / "rsa", "rsa")
    with open(server.folder / "authorized_keys", "a", encoding="ascii") as keys:
        keys.write((folder / "rsa.pub").read_text())
    ended = by_key(key)
    assert ended.code == 0, ended.stderr
    (reason,) = chosen(ended)
    assert "SHA-1 only" in reason
    assert by_key(key, "--transport", "libssh2").code == 0, "nothing is left to deliver"


def test_an_rsa_key_that_an_agent_has(ferry, server, folder, landing, metastore, register):
    key, home = make_key(folder / "rsa", "rsa"), folder / "home"
    home.mkdir()
    (server.folder / "authorized_keys").write_text((folder / "rsa.pub").read_text())
    make_files(landing, 1, 10)
    register()
    env = {"HOME": str(home), "SSH_AUTH_SOCK": str(folder / "agent")}
    with subprocess.Popen(["ssh-agent", "-D", "-a", folder / "agent"], stdout=subprocess.DEVNULL) as agent:
        eventually((folder / "agent").exists, what="the agent")
        subprocess.run(["ssh-add", "-q", key], check=True, env=os.environ | env)
        ended = ferry("transfer", "--landing", landing, "--metastore", metastore, "--to", server.url(),
                      "--known-hosts", server.known_hosts, "--log-level", "debug", env=env)
        agent.terminate()
    assert ended.code == 0, ended.stderr
    (reason,) = chosen(ended)
    assert "agent" in reason and "SHA-1 only" in reason


def test_a_passphrase_that_nobody_can_give_is_told_of(by_key, server, folder):
    key = folder / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "open sesame", "-f", key], check=True)
    (server.folder / "authorized_keys").write_text((folder / "rsa.pub").read_text())
    ended = by_key(key)
    assert ended.code == 3
    assert f"{key} has a passphrase: ssh takes it from an agent (ssh-add)" in ended.stderr


def test_a_certificate_that_libssh2_does_not_use_is_told_of(by_key, server, folder):
    key = make_key(folder / "user", "ed25519")
    (folder / "user-cert.pub").write_text("not looked into")
    ended = by_key(key, "--transport", "libssh2")
    assert ended.code == 3
    assert f"key {key}, without its certificate, which only the openssh transport uses (refused)" in ended.stderr


def test_a_certificate(by_key, server, folder):
    ca, key = make_key(folder / "ca", "ed25519"), make_key(folder / "user", "ed25519")
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "test", "-n", USER, folder / "user.pub"], check=True)
    (server.folder / "authorized_keys").write_text(
        f'cert-authority {(folder / "ca.pub").read_text()}')
    ended = by_key(key)
    assert ended.code == 0, ended.stderr
    (reason,) = chosen(ended)
    assert "certificate" in reason


@pytest.mark.parametrize("line", ["proxyjump bastion", "hostname b.example.org", "pkcs11provider /p.so"])
def test_what_ssh_config_asks_for(by_key, server, folder, line):
    ssh = folder / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(f"#!/bin/sh\n[ \"$1\" = -G ] && echo {line} && exit\nexec /usr/bin/ssh \"$@\"\n")
    ssh.chmod(0o755)
    ended = by_key(server.identity, env={"PATH": f"{ssh.parent}:{os.environ['PATH']}"})
    assert ended.code == 0, ended.stderr
    (reason,) = chosen(ended)
    assert line.split()[0] in reason or line.split()[1] in reason


def test_a_usual_key_goes_by_libssh2(by_key, server):
    ended = by_key(server.identity)
    assert ended.code == 0, ended.stderr
    assert chosen(ended) == []


def test_who_is_given_a_password_can_use_it(by_key, folder):
    put(folder / "password", b"x")
    ended = by_key(make_key(folder / "rsa", "rsa"), "--password-file", folder / "password")
    assert ended.code == 3
    assert chosen(ended) == []
