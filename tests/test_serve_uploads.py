"""ferry serve: uploads, by people who mean no good too."""

import base64
import concurrent.futures
import contextlib
import hashlib
import os
import signal
import urllib.parse

import pytest

from ferry_harness import SANITIZED, eventually, put, read_table
from http_service import begin_upload, everything_in, has_part, registered, sha256, statuses


def test_an_upload_is_placed_registered_and_told_of(service, landing, metastore):
    reply = service.put("landing/a/b%20c.csv", b"content", fields={"Repr-Digest": sha256(b"content")})
    assert reply.status == 201, reply.body
    assert (landing / "a/b c.csv").read_bytes() == b"content"
    assert reply.json["path"] == "a/b c.csv" and reply.json["source"] == "upload"
    (row,) = read_table(metastore, "file_registry")
    assert reply.fields["Location"] == "/v1/files/" + row["id"]
    assert service.get(reply.fields["Location"]).json["checksum"] == row["checksum"]


def test_an_empty_body_and_chunks_are_files_too(service, landing):
    assert service.put("landing/empty", b"").status == 201
    reply = service.ask("PUT", "/v1/files/landing/chunked", iter([b"one ", b"two"]),
                        fields={"Transfer-Encoding": "chunked"})
    assert reply.status == 201
    assert (landing / "empty").read_bytes() == b"" and (landing / "chunked").read_bytes() == b"one two"


def test_a_file_is_replaced_unless_that_is_forbidden(service, landing):
    assert service.put("landing/a", b"one").status == 201
    assert service.put("landing/a", b"two").status == 201
    refused = service.put("landing/a", b"three", fields={"If-None-Match": "*"})
    assert refused.status == 412
    assert everything_in(landing) == ["a"] and (landing / "a").read_bytes() == b"two"


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
def test_other_bytes_than_promised_are_refused(service, landing, metastore, field):
    reply = service.put("landing/new/a", b"content", fields={field: sha256(b"other")})
    assert reply.status == 422 and reply.json["kind"] == "abnormal"
    assert everything_in(landing) == [] and registered(metastore) == set()


def test_all_digests_are_checked_and_none_is_ignored(service, landing):
    wrong = "sha-512=:" + base64.b64encode(hashlib.sha512(b"x").digest()).decode() + ":"
    assert service.put("landing/a", b"y", fields={"Repr-Digest": f"{sha256(b'y')}, {wrong}"}).status == 422
    for text in ("md5=:CY9rzUYh03PK3k6DJie09g==:", "sha-256=abc", "sha-256=:abc:", "nonsense"):
        assert service.put("landing/a", b"y", fields={"Repr-Digest": text}).status == 400, text
    assert everything_in(landing) == []


@pytest.mark.parametrize("name", ["Content-Range", "If-Match"])
def test_what_would_make_a_body_mean_something_else_is_refused(service, landing, name):
    assert service.put("landing/a", b"y", fields={name: "bytes 0-0/2"}).status == 400
    assert service.put("landing/a", b"y", fields={"Content-Encoding": "gzip"}).status == 415
    assert everything_in(landing) == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_upload_says_how_long_it_is(service, landing, version):
    reply = service.raw(f"PUT /v1/files/landing/a HTTP/{version}\r\nHost: localhost\r\n\r\nimportant".encode())
    assert b" 411 " in reply.split(b"\r\n")[0]
    assert not (landing / "a").exists()


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_is_cut_off_is_no_file(service, landing, metastore, head):
    body = b"64\r\nhalf" if "chunked" in head else b"half"
    raw = service.raw(f"PUT /v1/files/landing/d/a HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode()
                      + body)
    assert statuses(raw) == [400]
    assert everything_in(landing) == [] and registered(metastore) == set()


def test_larger_files_than_allowed_are_refused(serve, landing):
    service = serve("--max-upload", "10KiB")
    assert service.put("landing/a", bytes(10 << 10)).status == 201
    assert service.put("landing/b", bytes((10 << 10) + 1)).status == 413
    chunks = (bytes(1000) for _ in range(11))
    with contextlib.suppress(ConnectionError):
        assert service.ask("PUT", "/v1/files/landing/c", chunks,
                           fields={"Transfer-Encoding": "chunked"}).status == 413
    assert everything_in(landing) == ["a"]


def test_the_area_policy_holds_for_uploads(serve, landing):
    service = serve("--extension", "csv", "--ignore", "*.bak", "--max-size", "10KiB")
    assert service.put("landing/a.txt").status == 422
    assert service.put("landing/a.bak").status == 400
    assert service.ask("PUT", "/v1/files/landing/a.csv", iter([bytes(11 << 10)]),
                       fields={"Transfer-Encoding": "chunked"}).status == 422


@pytest.mark.parametrize("path", ["a.txt", "a.csv"])
def test_what_can_only_be_refused_is_not_read_first(serve, landing, path):
    service = serve("--extension", "csv", "--max-size", "10KiB")
    with begin_upload(service, path, 1 << 30) as connection:
        assert statuses(connection.recv(65536)) == [422]
    assert everything_in(landing) == []


@pytest.mark.parametrize("path", [
    "../a", "a/../../b", "%2e%2e/a", "..%2fa", "a%2fb", "a%2Fb", "a%00b", "/etc/passwd", "a//b", "a/", ".a",
    "d/.b", "a.part", "a%0ab", "%ff", "a%", "a%zz", "link/a", "link/../a", "x" * 256, "./a",
    "/".join(["d" * 200] * 30), "d/" * 65 + "a"])
def test_path_tricks_are_refused(service, folder, landing, metastore, path):
    outside = folder / "outside"
    outside.mkdir()
    (landing / "link").symlink_to(outside)
    before = everything_in(folder)
    reply = service.put("landing/" + path)
    assert reply.status in (400, 404, 409), reply.body
    assert [name for name in everything_in(folder) if not name.startswith("metastore")] == [
        name for name in before if not name.startswith("metastore")]
    assert registered(metastore) == set()


def test_directories_and_files_are_not_put_in_each_others_place(service, landing):
    put(landing / "file", b"x")
    (landing / "dir").mkdir()
    (landing / "link").symlink_to(landing / "dir")
    assert service.put("landing/file/below").status == 409
    assert service.put("landing/dir").status == 409
    assert service.put("landing/link/below").status == 409
    assert service.put("nowhere/a").status == 404
    assert everything_in(landing) == ["dir", "file", "link"]


def test_names_of_different_unicode_forms_are_different_files(service, landing):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for name in (composed, decomposed):
        assert service.put("landing/" + urllib.parse.quote(name)).status == 201
    assert everything_in(landing) == sorted([composed, decomposed])


def test_64_clients_upload_at_the_same_time(service, landing, metastore):
    count = 256 if SANITIZED else 2000

    def upload(number):
        return service.put(f"landing/d{number % 7}/{number}", f"{number:07d}\n".encode() * 1280).status

    with concurrent.futures.ThreadPoolExecutor(64) as clients:
        assert set(clients.map(upload, range(count))) == {201}
    rows = read_table(metastore, "file_registry")
    assert len(rows) == len({row["path"] for row in rows}) == count
    assert sum(path.is_file() for path in landing.rglob("*")) == count


def test_a_kill_right_after_201_loses_nothing(serve, landing, metastore, ferry):
    for number in range(10):
        service = serve()
        assert service.put(f"landing/{number}", b"x" * number).status == 201
        service.process.kill()
    ended = ferry("list", "--json", "--metastore", metastore)
    assert {line["path"] for line in ended.json_lines} == {str(number) for number in range(10)}
    assert everything_in(landing) == [str(number) for number in range(10)]


def test_what_a_kill_interrupts_is_cleaned_up_by_the_next(serve, landing):
    service = serve()
    with begin_upload(service, "d/a", 1 << 20):
        eventually(lambda: has_part(landing), what="the part")
        service.process.kill()
    serve()
    assert [name for name in everything_in(landing) if name != "d"] == []


def test_a_stop_refuses_what_is_not_complete(serve, landing, metastore):
    service = serve()
    with begin_upload(service, "a", 1 << 20) as connection:
        eventually(lambda: has_part(landing), what="the part")
        service.process.popen.send_signal(signal.SIGTERM)
        assert statuses(connection.recv(65536)) == [503]
    assert service.process.wait(timeout=30).code == 0
    assert everything_in(landing) == [] and registered(metastore) == set()


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
def test_a_gibibyte_is_uploaded_in_little_memory(service, landing):
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    for _ in range(1024):
        digest.update(block)
    field = f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    reply = service.ask("PUT", "/v1/files/landing/big", (block for _ in range(1024)),
                        fields={"Repr-Digest": field, "Content-Length": str(1 << 30)})
    assert reply.status == 201, reply.body
    assert (landing / "big").stat().st_size == 1 << 30
    assert service.resident("VmHWM") <= 48 << 20
