"""Names that turn out to be pipes: whoever is worth waiting for is waited for, until a stop."""

import os
import shlex
import signal
import socket
import subprocess

import pytest

from ferry_harness import FERRY, Process, environment, eventually, opened_by


@pytest.fixture
def pipe(folder):
    path = folder / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def words(folder, landing, metastore, server, register, pipe):
    """Commands that read a pipe that nobody writes to."""
    (landing / "a.csv").write_text("a")
    register()
    area = ["--landing", landing, "--metastore", metastore]
    deliver = ["transfer", *area, "--to", server.url(), "--no-agent", "--retries", "1", "--identity",
               server.identity]
    return {"upload": ["upload", "--as", "x", *area, pipe],
            "verify": ["verify", pipe, "--root", folder],
            "known hosts": [*deliver, "--known-hosts", pipe],
            "password": [*deliver, "--known-hosts", server.known_hosts, "--password-file", pipe]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("what", ["upload", "verify", "known hosts", "password"])
def test_a_stop_ends_the_wait_for_a_pipe(folder, words, pipe, what, number):
    process = Process(folder, *words[what])
    try:
        eventually(lambda: str(pipe) in opened_by(process), what="waiting for the pipe")
        process.popen.send_signal(number)
        ended = process.wait(timeout=30)
    finally:
        process.popen.kill()
    assert ended.code == 130, ended.stderr


def test_what_comes_from_a_pipe(folder, words, pipe, server, metastore, ferry):
    for what, content in (("upload", b"content"), ("known hosts", server.known_hosts.read_bytes()),
                          ("password", b"secret\n")):
        process = Process(folder, *words[what])
        pipe.write_bytes(content)
        ended = process.wait(timeout=60)
        assert ended.code == 0, ended.stderr
    (control, *_) = server.root.glob("*.control.json")
    script = f"{FERRY} verify <(cat {shlex.quote(str(control))}) --root {shlex.quote(str(server.root))}"
    ended = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, check=False,
                           timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_a_key_is_no_pipe(ferry, words, server, pipe):
    arguments = [pipe if word is server.identity else word for word in words["password"][:-2]]
    ended = ferry(*arguments, timeout=60)
    assert ended.code == 3
    assert f"{pipe} is not a regular file" in ended.stderr


@pytest.mark.parametrize("option", ["--tls-certificate", "--tls-key"])
def test_a_certificate_is_no_pipe(ferry, folder, landing, metastore, pipe, option):
    files = {"--tls-certificate": FERRY, "--tls-key": FERRY} | {option: pipe}
    ended = ferry("serve", "--listen", "127.0.0.1:0", "--landing", landing, "--metastore", metastore,
                  *[word for pair in files.items() for word in pair], timeout=60)
    assert ended.code == 2
    assert f"{pipe} is not a regular file" in ended.stderr


def test_a_service_waits_for_no_tokens(service, token, metastore):
    secret = token("op", "--read")
    assert service.get("/v1/files", token=secret).status == 200
    file = metastore / "tokens.jsonl"
    content = file.read_bytes()
    file.unlink()
    os.mkfifo(file)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\n"
                           b"Authorization: Bearer " + secret.encode() + b"\r\n\r\n")
        assert connection.recv(100).split()[1].startswith(b"50")
    file.unlink()
    file.write_bytes(content)
    assert service.get("/v1/files", token=secret).status == 200
    assert service.process.stop().code == 0
