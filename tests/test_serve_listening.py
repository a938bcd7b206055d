"""ferry serve: TLS, Unix sockets, sockets from systemd, and how much is answered."""

import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest

import http_service
from ferry_harness import command, environment, eventually
from http_service import everything_in, statuses


def make_certificate(folder, name, names="IP:127.0.0.1"):
    """Returns the files of a certificate that answers for itself, and of its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def certificate(folder):
    return make_certificate(folder, "one")


@pytest.fixture
def secure(folder, landing, metastore, certificate):
    options = ["--tls-certificate", certificate[0], "--tls-key", certificate[1]]
    running = http_service.Service(folder, "--landing", landing, "--metastore", metastore, *options,
                                   authority=certificate[0])
    yield running
    if running.process.popen.poll() is None:
        running.process.kill()


def subject(service):
    pem = ssl.get_server_certificate(("127.0.0.1", service.port))
    ended = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True,
                           text=True, check=True)
    return ended.stdout.strip().rpartition("=")[2].strip()


def test_uploads_and_questions_go_through_tls(secure, landing):
    content = os.urandom(3 << 20)
    assert secure.put("landing/a", content).status == 201
    assert (landing / "a").read_bytes() == content
    assert secure.get("/v1/files").json["files"][0]["path"] == "a"
    assert f"https://127.0.0.1:{secure.port}/" in secure.process.log()


def test_several_requests_share_a_connection_by_tls(secure):
    with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as bare:
        with secure.tls.wrap_socket(bare, server_hostname="127.0.0.1") as connection:
            one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(one * 3)
            received = b""
            while received.count(b"ok\n") < 3:
                received += connection.recv(65536)
            assert statuses(received) == [200, 200, 200]


def test_old_versions_of_tls_are_refused(secure):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as bare:
        with pytest.raises(OSError):
            context.wrap_socket(bare)
    assert secure.get("/healthz").status == 200


def test_who_speaks_without_tls_is_told_so(secure, landing):
    raw = secure.raw(b"PUT /v1/files/landing/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
    assert statuses(raw) == [400] and b"https" in raw
    assert secure.raw(b"\0\xff garbage" * 20) is not None
    assert everything_in(landing) == [] and secure.get("/healthz").status == 200


def test_a_certificate_is_replaced_while_it_serves(secure, folder, certificate):
    assert subject(secure) == "one"
    for new, old in zip(make_certificate(folder, "two"), certificate):
        os.replace(new, old)
    secure.process.popen.send_signal(signal.SIGHUP)
    eventually(lambda: subject(secure) == "two", what="the new certificate")
    # One that is not good changes nothing.
    certificate[1].write_text("garbage")
    secure.process.popen.send_signal(signal.SIGHUP)
    eventually(lambda: "certificate not reloaded" in secure.process.log(), what="the complaint")
    assert subject(secure) == "two"


def test_a_certificate_that_is_not_good_is_refused(ferry, folder, landing, metastore, certificate):
    def told(*options):
        ended = ferry("serve", "--landing", landing, "--metastore", metastore, "--listen", "127.0.0.1:0",
                      *options)
        assert ended.code == 2, ended.stderr
        return ended.stderr

    (folder / "bad").write_text("no certificate")
    other = make_certificate(folder, "other")
    locked = folder / "locked.key"
    subprocess.run(["openssl", "ec", "-in", certificate[1], "-aes128", "-passout", "pass:secret", "-out", locked],
                   check=True, capture_output=True)
    assert "needs both" in told("--tls-certificate", certificate[0])
    assert "bad" in told("--tls-certificate", folder / "bad", "--tls-key", certificate[1])
    assert "none.pem" in told("--tls-certificate", folder / "none.pem", "--tls-key", certificate[1])
    for key in (other[1], locked):
        assert "private key" in told("--tls-certificate", certificate[0], "--tls-key", key)


def ask_socket(path, request=b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while block := connection.recv(65536):
            received += block
        return received


def test_a_unix_socket_is_for_its_owner_and_group(folder, landing, metastore, serve, ferry):
    path = folder / "http.sock"
    service = serve("--listen", f"unix:{path}")
    assert statuses(ask_socket(path)) == [200]
    assert path.stat().st_mode & 0o777 == 0o660
    put = b"PUT /v1/files/landing/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    assert statuses(ask_socket(path, put)) == [201]
    ended = ferry("serve", "--listen", f"unix:{path}", "--landing", landing, "--metastore", metastore)
    assert ended.code == 1 and str(path) in ended.stderr  # somebody listens there
    service.process.kill()
    assert path.exists()
    service = serve("--listen", f"unix:{path}")
    assert statuses(ask_socket(path)) == [200]
    assert service.process.stop().code == 0
    assert not path.exists()


def test_what_is_no_socket_is_not_replaced(folder, landing, metastore, ferry):
    path = folder / "precious"
    path.write_text("content")
    ended = ferry("serve", "--listen", f"unix:{path}", "--landing", landing, "--metastore", metastore)
    assert ended.code == 1 and path.read_text() == "content"
    for bad in ("unix:relative", "unix:/" + "x" * 120):
        assert ferry("serve", "--listen", bad, "--landing", landing, "--metastore", metastore).code == 2


# Passes its first argument's sockets on, as systemd does.
ACTIVATE = """
import os, socket, sys
listener = socket.socket(); listener.bind((sys.argv[1], 0)); listener.listen()
print(listener.getsockname()[1], flush=True)
os.dup2(listener.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(folder, address, *args):
    with open(folder / "activated.log", "wb") as log:
        return subprocess.Popen([sys.executable, "-c", ACTIVATE, address, *map(str, command("serve", *args))],
                                stdout=subprocess.PIPE, stderr=log, env=environment(None), text=True)


def test_sockets_come_from_systemd(folder, landing, metastore):
    running = activated(folder, "127.0.0.1", "--landing", landing, "--metastore", metastore)
    try:
        port = int(running.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert statuses(connection.recv(65536)) == [200]
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 0
    # As with addresses of its own.
    running = activated(folder, "0.0.0.0", "--landing", landing, "--metastore", metastore)
    assert running.wait(timeout=30) == 2
    assert "ferry token new" in (folder / "activated.log").read_text()


def test_one_token_cannot_ask_for_ever(serve, token, metastore):
    busy, calm = token("busy", "--read"), token("calm", "--read")
    service = serve("--max-requests", "5")
    replies = [service.get("/v1/files?limit=1", token=busy) for _ in range(40)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused and refused[0].fields["Retry-After"] == "1"
    assert replies[0].status == 200 and service.get("/v1/files?limit=1", token=calm).status == 200
    eventually(lambda: service.get("/v1/files?limit=1", token=busy).status == 200, what="its turn")
