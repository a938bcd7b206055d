"""ferry serve: uploads that may be interrupted (tus 1.0)."""

import base64
import contextlib
import hashlib
import http.client
import itertools
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from ferry_harness import eventually, read_table
from http_service import everything_in, registered, sha256, statuses

VERSION = {"Tus-Resumable": "1.0.0"}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def create(service, path, length, landing="landing", fields=None, **options):
    return service.ask("POST", f"/v1/uploads/{landing}", fields={
        **VERSION, "Upload-Length": str(length), "Upload-Metadata": f"path {encoded(path)}", **(fields or {})},
        **options)


def append(service, url, offset, body, fields=None, **options):
    return service.ask("PATCH", url, body, fields={
        **VERSION, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream",
        **(fields or {})}, **options)


def head(service, url, **options):
    return service.ask("HEAD", url, fields=VERSION, **options)


def drop(service, url, **options):
    return service.ask("DELETE", url, fields=VERSION, **options)


def offset(service, url):
    """One that starts may be about to finish the upload: 423, try again."""
    def answered():
        answer = head(service, url)
        return answer if answer.status != 423 else None

    answer = eventually(answered, what="the lock of the upload")
    assert answer.status == 200
    return int(answer.fields["Upload-Offset"])


def test_a_file_comes_in_parts_and_becomes_visible_with_the_last(service, landing, metastore):
    begun = create(service, "a/b.csv", 10)
    assert begun.status == 201 and begun.fields["Tus-Resumable"] == "1.0.0"
    url = begun.fields["Location"]
    assert append(service, url, 0, b"hello").fields["Upload-Offset"] == "5"
    assert everything_in(landing) == [] and registered(metastore) == set()
    asked = head(service, url)
    assert (asked.fields["Upload-Offset"], asked.fields["Upload-Length"]) == ("5", "10")
    assert asked.fields["Upload-Metadata"] == f"path {encoded('a/b.csv')}"
    assert asked.fields["Upload-Expires"].endswith(" GMT")
    done = append(service, url, 5, b"world")
    assert done.status == 204 and done.fields["Upload-Offset"] == "10"
    assert (landing / "a/b.csv").read_bytes() == b"helloworld"
    (row,) = read_table(metastore, "file_registry")
    assert done.fields["Content-Location"] == "/v1/files/" + row["id"] and row["source"] == "upload"
    # Who did not hear the last answer learns it, and nothing happens twice.
    assert head(service, url).fields["Upload-Offset"] == "10"
    assert append(service, url, 10, b"").status == 204
    assert len(read_table(metastore, "file_registry")) == 1


def test_an_empty_file_is_there_at_once(service, landing):
    begun = create(service, "empty", 0)
    assert begun.status == 201 and (landing / "empty").read_bytes() == b""
    assert offset(service, begun.fields["Location"]) == 0


def test_what_the_service_understands_is_told(service):
    told = service.ask("OPTIONS", "/v1/uploads/landing")
    assert told.status == 204 and told.fields["Tus-Version"] == "1.0.0"
    assert set(told.fields["Tus-Extension"].split(",")) == {"creation", "termination", "expiration", "checksum"}
    assert int(told.fields["Tus-Max-Size"]) > 1 << 30
    refused = service.ask("POST", "/v1/uploads/landing", fields={"Upload-Length": "1"})
    assert refused.status == 412 and refused.fields["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize("fields", [
    {"Upload-Length": "-1"}, {"Upload-Length": "x"}, {"Upload-Length": ""}, {"Upload-Defer-Length": "1"},
    {"Upload-Metadata": ""}, {"Upload-Metadata": "path !"}, {"Upload-Metadata": "path a"},
    {"Upload-Metadata": f"path {encoded('../a')}"}, {"Upload-Metadata": f"path {encoded('.a')}"},
    {"Upload-Metadata": f"path {encoded('a//b')}"}, {"Upload-Metadata": f"path {encoded('/a')}"},
    {"Upload-Metadata": "path YQ==,path Yg=="}, {"Upload-Metadata": "path YQ==,\u00ff YQ=="},
    {"Upload-Metadata": "path YQ==,a\tb YQ=="}, {"Repr-Digest": "nonsense"}, {"If-None-Match": "x"},
    {"Upload-Concat": "partial"}])
def test_what_is_no_upload_is_not_begun(service, landing, fields):
    refused = create(service, "a", 1, fields=fields)
    assert refused.status == 400 and refused.fields["Tus-Resumable"] == "1.0.0"
    assert everything_in(landing) == []


def test_requests_that_do_not_fit_change_nothing(serve, landing):
    service = serve("--max-upload", "1MiB")
    assert create(service, "a", (1 << 20) + 1).status == 413
    assert create(service, "a", 1, landing="nowhere").status == 404
    url = create(service, "a", 4).fields["Location"]
    assert append(service, url, 1, b"x").status == 409
    assert append(service, url, 0, b"12345").status == 413
    assert append(service, url, 0, iter([b"123", b"456"]), {"Transfer-Encoding": "chunked"}).status == 413
    assert append(service, url, 0, b"1", {"Content-Type": "text/plain"}).status == 415
    for other in ("/v1/uploads/landing/none", "/v1/uploads/landing/..", "/v1/uploads/other/" + url.split("/")[-1],
                  "/v1/uploads/landing/00000000-0000-0000-0000-000000000000"):
        assert append(service, other, 0, b"1").status in (400, 404), other
    assert offset(service, url) == 0
    assert append(service, url, 0, b"1234").status == 204
    assert everything_in(landing) == ["a"]


def test_parts_and_the_whole_are_checked(service, landing):
    url = create(service, "a", 6, fields={"Repr-Digest": sha256(b"foobar")}).fields["Location"]
    for algorithm in ("sha1", "md5", "sha256", "sha512"):
        wrong = base64.b64encode(hashlib.new(algorithm, b"other").digest()).decode()
        assert append(service, url, 0, b"foo", {"Upload-Checksum": f"{algorithm} {wrong}"}).status == 460
        assert offset(service, url) == 0
    assert append(service, url, 0, b"foo", {"Upload-Checksum": "crc32 AAAA"}).status == 400
    right = base64.b64encode(hashlib.sha1(b"foo").digest()).decode()
    assert append(service, url, 0, b"foo", {"Upload-Checksum": f"sha1 {right}"}).status == 204
    assert append(service, url, 3, b"baz").status == 422
    assert everything_in(landing) == [] and head(service, url).status == 404  # to be begun anew


def test_an_upload_may_be_given_up(service, landing, metastore):
    url = create(service, "a", 6).fields["Location"]
    append(service, url, 0, b"foo")
    assert drop(service, url).status == 204
    assert head(service, url).status == 404 and drop(service, url).status == 404
    assert [path for path in (metastore / "resumable").iterdir()] == [] and everything_in(landing) == []


def test_what_nobody_goes_on_with_is_removed(serve, metastore):
    service = serve("--resume-within", "1s")
    url = create(service, "a", 6).fields["Location"]
    old = url.split("/")[-1]
    for path in (metastore / "resumable").glob(old + "*"):
        os.utime(path, (0, 0))
    assert head(service, url).status == 404
    assert service.process.stop().code == 0
    create(serve("--resume-within", "1s"), "b", 6)  # it looks at times, and first of all
    assert not list((metastore / "resumable").glob(old + "*"))


def test_a_name_that_is_taken_is_left_alone(service, landing):
    service.put("landing/a", b"first")
    url = create(service, "a", 6, fields={"If-None-Match": "*"}).fields["Location"]
    assert append(service, url, 0, b"second").status == 412
    assert (landing / "a").read_bytes() == b"first"


def test_tokens_reach_as_far_as_with_other_uploads(serve, token):
    erp, other = token("erp", "--upload", "landing/erp"), token("other", "--upload", "landing/other")
    service = serve()
    assert create(service, "erp/a", 3).status == 401
    assert create(service, "other/a", 3, token=erp).status == 403
    url = create(service, "erp/a", 3, token=erp).fields["Location"]
    for ask in (head, drop):
        assert ask(service, url, token=other).status == 403
    assert append(service, url, 0, b"abc", token=other).status == 403
    assert append(service, url, 0, b"abc", token=erp).status == 204


def send_part(service, url, length, body):
    """Begins to send LENGTH bytes, of which only BODY goes out."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    connection.sendall(f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                       f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
                       .encode() + body)
    return connection


def staged(metastore):
    return sum(path.stat().st_size for path in (metastore / "resumable").glob("*.data"))


def test_what_came_before_a_line_broke_counts(service, landing, metastore):
    content = os.urandom(1 << 20)
    url = create(service, "a", len(content)).fields["Location"]
    with send_part(service, url, len(content), content[:300_000]):
        eventually(lambda: staged(metastore) >= 300_000, what="the bytes")
        assert append(service, url, 0, content).status == 423
    eventually(lambda: offset(service, url) == 300_000, what="the offset")
    assert append(service, url, 300_000, content[300_000:]).status == 204
    assert (landing / "a").read_bytes() == content


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_upload_survives_the_service(serve, landing, metastore, how):
    content = os.urandom(40 << 20)
    service = serve()
    url = create(service, "big/a", len(content)).fields["Location"]
    with send_part(service, url, len(content), content[:35 << 20]):
        eventually(lambda: staged(metastore) >= 35 << 20, what="the bytes")
        service.process.popen.send_signal(how)
        service.process.popen.wait(timeout=60)
    service = serve()
    begun = offset(service, url)
    # A crash may cost the last 16 MiB.
    assert begun == 35 << 20 if how == signal.SIGTERM else begun >= 16 << 20
    assert everything_in(landing) == []
    assert append(service, url, begun, content[begun:]).status == 204
    assert (landing / "big/a").read_bytes() == content and registered(metastore) == {"big/a"}


def test_what_was_complete_is_finished_by_the_next(serve, landing, metastore):
    service = serve()
    url = create(service, "a", 3).fields["Location"]
    append(service, url, 0, b"ab")
    service.process.kill()
    (part,) = (metastore / "resumable").glob("*.data")
    part.write_bytes(b"abc")
    part.with_suffix(".offset").write_text("3\n")
    service = serve()
    eventually(lambda: everything_in(landing) == ["a"], what="the file")
    assert offset(service, url) == 3 and registered(metastore) == {"a"}


def test_what_had_landed_before_a_crash_does_not_land_again(serve, landing, metastore):
    service = serve()
    url = create(service, "a", 3).fields["Location"]
    append(service, url, 0, b"abc")
    service.process.kill()
    (note,) = (metastore / "resumable").glob("*.landed")
    note.unlink()  # as if the crash had come before it
    note.with_suffix(".data").write_bytes(b"abc")
    (landing / "a").unlink()  # delivered, and taken away
    service = serve()
    assert offset(service, url) == 3
    eventually(lambda: list((metastore / "resumable").glob("*.landed")), what="the note")
    assert everything_in(landing) == [] and len(read_table(metastore, "file_registry")) == 1


def test_a_stopped_landing_area_costs_no_bytes(service, landing, metastore):
    url = create(service, "a", 3).fields["Location"]
    append(service, url, 0, b"ab")
    landing.rename(landing.with_name("away"))
    assert append(service, url, 2, b"c").status == 500
    landing.with_name("away").rename(landing)
    assert offset(service, url) == 3 and (landing / "a").read_bytes() == b"abc"


def test_a_token_that_is_revoked_meanwhile_completes_nothing(serve, token, ferry, metastore, landing):
    secret = token("erp", "--upload", "landing")
    service = serve()
    url = create(service, "a", 4, token=secret).fields["Location"]
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                           "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                           "Content-Type: application/offset+octet-stream\r\n"
                           f"Authorization: Bearer {secret}\r\n\r\n12".encode())
        eventually(lambda: any(path.stat().st_size for path in (metastore / "resumable").glob("*.data")),
                   what="the beginning of the upload")
        assert ferry("token", "revoke", "erp", "--metastore", metastore).code == 0
        connection.sendall(b"34")
        assert statuses(connection.recv(65536)) == [401]
    # Nor does whoever finishes what is complete.
    assert [path.read_text() for path in (metastore / "resumable").glob("*.offset")] == ["0\n"]
    assert everything_in(landing) == []


def test_garbage_in_the_folder_is_left_alone(serve, metastore, landing):
    folder = metastore / "resumable"
    folder.mkdir(parents=True)
    (folder / "00000000-0000-0000-0000-000000000000.json").write_text("{}")
    (folder / "note.txt").write_text("x")
    service = serve()
    assert head(service, "/v1/uploads/landing/00000000-0000-0000-0000-000000000000").status == 500
    assert create(service, "a", 3).status == 201
    assert statuses(service.raw(b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]


def test_an_upload_whose_bytes_are_gone_cannot_go_on(service, landing, metastore):
    url = create(service, "a", 3).fields["Location"]
    append(service, url, 0, b"ab")
    (part,) = (metastore / "resumable").glob("*.data")
    part.unlink()
    assert append(service, url, 2, b"c").status == 404
    assert drop(service, url).status == 204
    assert everything_in(landing) == [] and list((metastore / "resumable").iterdir()) == []
    assert statuses(service.raw(b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]


def test_what_a_crash_left_of_an_upload_is_removed(serve, metastore):
    folder = metastore / "resumable"
    service = serve()
    url = create(service, "a", 3).fields["Location"]
    append(service, url, 0, b"ab")
    for number, kinds in enumerate((("data",), ("data", "offset"), ("offset",), ("json",), ("json", "data"))):
        for kind in kinds:
            for path in folder.glob(f"{url.rpartition('/')[2]}.{kind}"):
                for age, digit in ((10**9, "a"), (None, "b")):
                    left = folder / f"0195f5a0-0000-7000-8000-{digit}{number:011}.{kind}"
                    left.write_bytes(path.read_bytes())
                    if age:
                        os.utime(left, (age, age))
    service.process.kill()
    service = serve()
    assert create(service, "b", 3).status == 201
    names = {path.name for path in folder.iterdir()}
    assert not {name for name in names if "-8000-a" in name}, "old ones"
    assert len({name for name in names if "-8000-b" in name}) == 7, "what may be another's that begins"
    assert offset(service, url) == 2


def test_lengths_and_offsets_that_overflow_are_refused(service, landing):
    for length in (2**63 - 1, 2**63, 2**64 - 1, 2**64, "+3", "-1", " 3 3", "0x3", ""):
        assert create(service, "a", length).status in (400, 413), length
    url = create(service, "a", 3).fields["Location"]
    for at in (2**63, 2**64 - 1, 2**64, -1, 1):
        assert append(service, url, at, b"abc").status in (400, 409), at
    assert append(service, url, 0, b"abc").status == 204


def test_of_two_clients_one_goes_on(service, landing, metastore):
    content = os.urandom(4 << 20)
    url = create(service, "a", len(content)).fields["Location"]
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as first:
        first.sendall(f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
                      "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                      "Content-Type: application/offset+octet-stream\r\n\r\n".encode() + content[:1 << 20])
        eventually(lambda: any(path.stat().st_size for path in (metastore / "resumable").glob("*.data")),
                   what="the beginning of the upload")
        assert append(service, url, 0, content).status == 423
        assert drop(service, url).status == 423
        first.sendall(content[1 << 20:])
        assert statuses(first.recv(65536)) == [204]
    assert append(service, url, 0, content).status == 409
    assert (landing / "a").read_bytes() == content


def test_an_upload_does_not_expire_while_bytes_come(service, landing, metastore):
    url = create(service, "a", 4).fields["Location"]
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                           "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                           "Content-Type: application/offset+octet-stream\r\n\r\n12".encode())
        eventually(lambda: any(path.stat().st_size for path in (metastore / "resumable").glob("*.data")),
                   what="the beginning of the upload")
        (noted,) = (metastore / "resumable").glob("*.offset")
        os.utime(noted, (0, 0))
        assert create(service, "b", 4).status == 201  # removes what has expired
        connection.sendall(b"34")
        assert statuses(connection.recv(65536)) == [204]
    assert (landing / "a").read_bytes() == b"1234" and offset(service, url) == 4


def test_a_wrong_checksum_of_the_last_part_costs_that_part_alone(service, landing, metastore):
    url = create(service, "a", 6).fields["Location"]
    append(service, url, 0, b"abc")
    wrong = {"Upload-Checksum": "sha256 " + base64.b64encode(hashlib.sha256(b"xyz").digest()).decode()}
    assert append(service, url, 3, b"def", fields=wrong).status == 460
    assert offset(service, url) == 3 and everything_in(landing) == [] and registered(metastore) == set()
    assert append(service, url, 3, b"DEF").status == 204
    assert (landing / "a").read_bytes() == b"abcDEF"


def killed_at(service, call, number, url, body):
    """Whether the service got to that CALL while it took the last part of an upload, and died of it."""
    pid = service.process.popen.pid
    tracer = subprocess.Popen(["strace", "-f", "-q", "-p", str(pid), "-e", f"trace={call}", "-e",
                               f"inject={call}:signal=SIGKILL:when={number}", "-o", "/dev/null"],
                              stderr=subprocess.DEVNULL)
    eventually(lambda: f"TracerPid:\t{tracer.pid}" in pathlib.Path(f"/proc/{pid}/status").read_text(), what="strace")
    is_alive = False
    with contextlib.suppress(OSError, http.client.HTTPException):
        is_alive = append(service, url, 3, body).status == 204
    service.process.kill()
    tracer.wait(timeout=30)
    return not is_alive


@pytest.mark.parametrize("call", ["renameat2", "rename", "fdatasync", "fsync", "unlink", "unlinkat"])
def test_an_upload_becomes_one_file_wherever_the_service_dies(serve, landing, metastore, call):
    for number in itertools.count(1):
        name = f"{number}/a"
        service = serve()
        url = create(service, name, 6).fields["Location"]
        append(service, url, 0, b"abc")
        if not killed_at(service, call, number, url, b"def"):
            break
        service = serve()
        begun = offset(service, url)
        if begun < 6:
            assert append(service, url, begun, b"abcdef"[begun:]).status == 204
        assert offset(service, url) == 6 and (landing / name).read_bytes() == b"abcdef"
        assert len({row["id"] for row in read_table(metastore, "file_registry") if row["path"] == name}) == 1
        service.process.kill()
    assert number > 1, "no such call is made"
    assert {path for path in everything_in(landing) if path.endswith("/a")} == {f"{n}/a" for n in range(1, number + 1)}


def fill(metastore, count):
    """As if the creator of the only upload had made so many more."""
    directory = metastore / "resumable"
    (one,) = directory.glob("*.json")
    for number in range(count):
        other = one.stem[:24] + f"{number:012x}"
        for extension in (".json", ".offset", ".data"):
            (directory / (other + extension)).write_bytes(one.with_suffix(extension).read_bytes())


def test_one_token_cannot_keep_the_others_out(serve, token, metastore):
    erp, other = token("erp", "--upload", "landing"), token("other", "--upload", "landing")
    service = serve()
    assert create(service, "a", 10, token=erp).status == 201
    assert service.process.stop().code == 0
    fill(metastore, 998)
    service = serve()
    last = create(service, "b", 10, token=erp)
    assert last.status == 201
    refused = create(service, "c", 10, token=erp)
    assert refused.status == 429 and "1000 uploads under way" in refused.json["detail"]
    assert create(service, "a", 10, token=other).status == 201
    # What is done, or given up, makes room.
    assert append(service, last.fields["Location"], 0, b"0123456789", token=erp).status == 204
    next_one = create(service, "c", 10, token=erp)
    assert next_one.status == 201
    assert create(service, "d", 10, token=erp).status == 429
    assert drop(service, next_one.fields["Location"], token=erp).status == 204
    assert create(service, "d", 10, token=erp).status == 201


def test_an_upload_is_begun_at_the_same_cost_however_many_there_are(serve, metastore):
    service = serve()

    def reads():
        text = open(f"/proc/{service.process.popen.pid}/io", encoding="ascii").read()
        return int(text.split("syscr: ")[1].split()[0])

    def cost():
        assert create(service, "x", 10).status == 201  # the first one looks what is there
        before = reads()
        assert create(service, "x", 10).status == 201
        return reads() - before

    first = cost()
    assert service.process.stop().code == 0
    for path in sorted((metastore / "resumable").glob("*.json"))[1:]:
        for extension in (".json", ".offset", ".data"):
            path.with_suffix(extension).unlink()
    fill(metastore, 500)
    service = serve()
    # What the service tidies up meanwhile counts, too, but not each time.
    assert min(cost() for _ in range(5)) < first + 100


def test_who_can_send_no_other_methods_names_them_in_a_post(service, landing):
    url = create(service, "a", 3).fields["Location"]
    for method in ("POST", "PUT", "patch", ""):
        assert service.ask("POST", url, fields={**VERSION, "X-HTTP-Method-Override": method}).status == 405
    sent = service.ask("POST", url, b"abc", fields={
        **VERSION, "X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"})
    assert sent.status == 204 and (landing / "a").read_bytes() == b"abc"
    asked = service.ask("POST", url, fields={**VERSION, "X-HTTP-Method-Override": "HEAD"})
    assert (asked.status, asked.fields["Upload-Offset"]) == (200, "3")
    other = create(service, "b", 3).fields["Location"]
    assert service.ask("POST", other, fields={**VERSION, "X-HTTP-Method-Override": "DELETE"}).status == 204
    assert head(service, other).status == 404


@pytest.fixture
def held_back(serve, landing, metastore):
    """A complete upload of landing/a that could not take its place, and a service that was ended since."""

    def make(meanwhile=None, **options):
        service = serve()
        url = create(service, "a", 3, **options).fields["Location"]
        (landing / "a").mkdir()
        assert append(service, url, 0, b"old", **options).status == 409
        (landing / "a").rmdir()
        if meanwhile:
            meanwhile(service)
        assert service.process.stop().code == 0
        assert list((metastore / "resumable").glob("*.data"))
        return url

    return make


def given_up(service):
    return eventually(lambda: [line for line in service.process.log().splitlines() if "upload given up" in line],
                      what="the end of the upload")


def test_what_was_complete_is_finished_late_if_nothing_speaks_against_it(held_back, serve, token, landing):
    erp = token("erp", "--upload", "landing")
    url = held_back(token=erp)
    service = serve()
    eventually(lambda: (landing / "a").exists(), what="the file")
    assert eventually(lambda: head(service, url, token=erp).status == 200, what="the lock of the upload")
    assert (landing / "a").read_bytes() == b"old"


@pytest.mark.parametrize("instead", [None, "landing/elsewhere"])
def test_what_was_complete_is_not_finished_for_a_token_that_is_good_for_it_no_more(
        held_back, serve, token, ferry, landing, metastore, instead):
    held_back(token=token("erp", "--upload", "landing"))
    assert ferry("token", "revoke", "erp", "--metastore", metastore).code == 0
    if instead:
        token("erp", "--upload", instead)
    service = serve()
    (line,) = given_up(service)
    assert "its token is good for it no more" in line and "erp" in line
    assert everything_in(landing) == [] and everything_in(metastore / "resumable") == []
    assert read_table(metastore, "file_registry") == []


def test_what_was_complete_is_not_finished_once_it_has_expired(held_back, serve, landing, metastore):
    held_back()
    for path in (metastore / "resumable").iterdir():
        os.utime(path, (0, 0))
    assert "it has expired" in given_up(serve())[0]
    assert everything_in(landing) == [] and everything_in(metastore / "resumable") == []


def test_what_was_complete_replaces_nothing_that_came_since(held_back, serve, landing, metastore):
    url = held_back(lambda service: service.put("landing/a", b"new"))
    service = serve()
    assert "a newer version" in given_up(service)[0]
    assert (landing / "a").read_bytes() == b"new" and len(read_table(metastore, "file_registry")) == 1
    assert head(service, url).status == 404


def test_what_was_complete_comes_back_for_nothing_that_came_since_and_went(held_back, serve, landing):
    def replaced_and_taken_away(service):
        service.put("landing/a", b"new")
        (landing / "a").unlink()

    held_back(replaced_and_taken_away)
    given_up(serve())
    assert everything_in(landing) == []


@pytest.mark.parametrize("ask", [head, lambda service, url: append(service, url, 3, b"")])
def test_who_asks_for_a_complete_upload_replaces_nothing_that_came_since(service, landing, metastore, ask):
    url = create(service, "a", 3).fields["Location"]
    (landing / "a").mkdir()
    assert append(service, url, 0, b"old").status == 409
    (landing / "a").rmdir()
    assert service.put("landing/a", b"new").status == 201
    assert ask(service, url).status == 409
    assert (landing / "a").read_bytes() == b"new" and ask(service, url).status == 404
    assert everything_in(metastore / "resumable") == []


def test_what_came_before_an_upload_was_complete_is_replaced_late_as_well(held_back, serve, landing, metastore):
    service = serve()
    service.put("landing/a", b"older")
    assert service.process.stop().code == 0
    (landing / "a").unlink()
    held_back()
    serve()
    eventually(lambda: (landing / "a").exists(), what="the file")
    assert (landing / "a").read_bytes() == b"old"
