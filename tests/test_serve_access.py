"""ferry serve: who may do what."""

import hashlib
import select
import socket
import subprocess

import pytest

from ferry_harness import FERRY, environment, eventually
from http_service import everything_in


def test_tokens_are_asked_for_and_limited(serve, token, ferry, metastore, landing):
    erp = token("erp", "--upload", "landing/erp")
    reader = token("reader", "--read")
    manager = token("manager", "--manage")
    late = token("late", "--read", "--expires", "1ms")
    service = serve()
    assert service.put("landing/erp/a").status == 401
    assert service.put("landing/erp/a", token="ferry_wrong").status == 401
    assert service.get("/v1/status", token=late).status == 401
    for path in ("other/a", "erpa/a", "erp", "a"):
        assert service.put("landing/" + path, token=erp).status == 403, path
    assert service.put("landing/erp/../a", token=erp).status == 400
    assert service.put("landing/erp/a", token=reader).status == 403
    ident = service.put("landing/erp/a", token=erp).json["id"]
    assert service.get("/v1/files", token=erp).status == 403
    for target in ("/v1/files", "/v1/status", "/metrics", "/v1/quarantine", f"/v1/files/{ident}/history"):
        assert service.get(target).status == 401
        assert service.get(target, token=reader).status == 200
    assert service.ask("POST", f"/v1/files/{ident}/retry", token=reader).status == 403
    assert service.ask("POST", f"/v1/files/{ident}/retry", token=manager).status == 409
    assert service.get("/healthz").status == 200
    assert everything_in(landing) == ["erp", "erp/a"]


def test_a_token_in_a_url_is_not_logged(serve, token):
    secret = token("all", "--manage", "--upload", "*")
    service = serve()
    assert service.put(f"landing/a?access_token={secret}", token=secret).status == 400
    assert service.ask("POST", f"/v1/files/x/retry?{secret}").status == 401
    assert service.ask("DELETE", f"http://{secret}@localhost/v1/quarantine/x", check=False).status == 401
    eventually(lambda: "target=/v1/quarantine/x" in service.process.log(), what="the last request in the log")
    assert "target=/v1/files/landing/a" in service.process.log()
    assert secret not in service.process.log()


def test_a_revoked_token_is_good_for_nothing_at_once(serve, token, ferry, metastore):
    reader = token("reader", "--read")
    service = serve()
    assert service.get("/v1/status", token=reader).status == 200
    assert ferry("token", "revoke", "reader", "--metastore", metastore).code == 0
    assert service.get("/v1/status", token=reader).status == 401
    assert service.get("/v1/status").status == 401  # and not open to all
    (metastore / "tokens.jsonl").unlink()
    assert service.get("/v1/status").status == 401


def test_a_service_whose_tokens_are_gone_stays_closed(serve, token, metastore):
    reader = token("reader", "--read")
    (metastore / "tokens.jsonl").unlink()
    service = serve()
    assert service.get("/v1/status").status == 401
    assert service.get("/v1/status", token=reader).status == 401
    assert "tokens are gone" in service.process.log() and "ferry token new" in service.process.log()
    again = token("again", "--read")
    assert service.get("/v1/status", token=again).status == 200


def begun_upload(service, secret, landing, size):
    """A connection over which the first two bytes of an upload have come."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    connection.sendall(f"PUT /v1/files/landing/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
                       f"Authorization: Bearer {secret}\r\n\r\n12".encode())
    eventually(lambda: list(landing.glob(".upload-*")), what="the beginning of the upload")
    return connection


def test_a_token_that_is_revoked_during_an_upload_ends_it(serve, token, ferry, metastore, landing):
    secret = token("erp", "--upload", "landing")
    service = serve()
    with begun_upload(service, secret, landing, size=4) as connection:
        assert ferry("token", "revoke", "erp", "--metastore", metastore).code == 0
        connection.sendall(b"34")
        assert b" 401 " in connection.recv(65536).split(b"\r\n")[0]
    assert not (landing / "a").exists()


def test_a_token_that_is_revoked_ends_an_upload_that_goes_on(serve, token, ferry, metastore, landing):
    secret = token("erp", "--upload", "landing")
    service = serve()
    with begun_upload(service, secret, landing, size=1_000_000) as connection:
        assert ferry("token", "revoke", "erp", "--metastore", metastore).code == 0

        def answered():
            connection.sendall(b"x")
            return select.select([connection], [], [], 0.1)[0]

        eventually(answered, what="the refusal, in the middle of the body")
        assert b" 401 " in connection.recv(65536).split(b"\r\n")[0]
    eventually(lambda: everything_in(landing) == [], what="nothing of it")


SIGN_OF_LIFE = b":\n\n"  # comes when nothing else has for a while


def all_of(connection):
    received = b""
    while block := connection.recv(65536):
        received += block
    return received


def events(service, secret):
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    connection.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
    assert b" 200 " in connection.recv(15)
    return connection


def test_a_token_that_is_revoked_gets_no_more_events(serve, token, ferry, metastore):
    reader = token("reader", "--read")
    service = serve()
    with events(service, reader) as connection:
        assert ferry("token", "revoke", "reader", "--metastore", metastore).code == 0
        assert SIGN_OF_LIFE not in all_of(connection)


def test_a_token_that_may_less_gets_no_more_events(serve, token, metastore):
    reader = token("reader", "--read", "--upload", "landing")
    service = serve()
    file = metastore / "tokens.jsonl"
    with events(service, reader) as connection:
        file.with_name("new").write_text(file.read_text().replace('"read":true', '"read":false'))
        file.with_name("new").rename(file)
        assert SIGN_OF_LIFE not in all_of(connection)


@pytest.mark.parametrize("span", ["0s", "3000000d"])
def test_a_token_lasts_for_a_time_that_can_be_written(token, ferry, metastore, span):
    token("one", "--read")
    refused = ferry("token", "new", "two", "--read", "--expires", span, "--metastore", metastore)
    assert refused.code == 2, refused.stdout
    assert ferry("token", "list", "--metastore", metastore).code == 0


def test_a_first_token_closes_a_service_that_was_open(service, token):
    assert service.get("/v1/status").status == 200
    token("reader", "--read")
    assert service.get("/v1/status").status == 401


def test_tokens_are_kept_as_digests_only(token, metastore, ferry):
    secret = token("reader", "--read", "--upload", "in", "--upload", "out/a")
    file = metastore / "tokens.jsonl"
    assert secret not in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(secret.encode()).hexdigest() in file.read_text()
    (listed,) = ferry("token", "list", "--json", "--metastore", metastore).json_lines
    assert listed["name"] == "reader" and listed["upload"] == ["in", "out/a"] and "sha256" not in listed
    assert ferry("token", "new", "reader", "--read", "--metastore", metastore).code == 2
    assert ferry("token", "new", "a b", "--read", "--metastore", metastore).code == 2
    assert ferry("token", "new", "nothing", "--metastore", metastore).code == 2
    assert ferry("token", "revoke", "nobody", "--metastore", metastore).code == 2


@pytest.mark.parametrize("scope", ["", "*/a", "in//", "in//a", "in/../out", "in/.hidden", "in/a/./b", "/in", "../x", "./x",
                                   "in/" + "d/" * 65])
def test_a_scope_that_nothing_fits_is_refused(ferry, metastore, scope):
    refused = ferry("token", "new", "one", "--upload", scope, "--metastore", metastore)
    assert refused.code == 2 and "is not AREA or AREA/DIRECTORY" in refused.stderr


def test_a_token_that_nobody_could_see_is_none(ferry, metastore):
    with open("/dev/full", "w") as full:
        ended = subprocess.run([FERRY, "token", "new", "one", "--read", "--metastore", metastore], stdout=full,
                               stderr=subprocess.PIPE, env=environment(), timeout=60)
    assert ended.returncode == 1
    assert ferry("token", "list", "--json", "--metastore", metastore).json_lines == []


def test_a_damaged_file_of_tokens_lets_nobody_in(serve, token, metastore):
    reader = token("reader", "--read")
    service = serve()
    with open(metastore / "tokens.jsonl", "a", encoding="ascii") as file:
        file.write("{}\n")
    assert service.get("/v1/status", token=reader).status == 503


def test_others_need_tokens_to_connect(ferry, landing, metastore):
    ended = ferry("serve", "--listen", "0.0.0.0:0", "--landing", landing, "--metastore", metastore)
    assert ended.code == 2 and "ferry token new" in ended.stderr


@pytest.mark.parametrize("host", ["evil.example", "127.evil.example", "127.0.0.1.evil.example:80"])
def test_pages_from_elsewhere_get_at_nothing_without_tokens(service, landing, host):
    assert service.get("/v1/status", fields={"Host": host}).status == 421
    assert service.put("landing/a", fields={"Origin": "http://" + host}).status == 403
    assert everything_in(landing) == []
