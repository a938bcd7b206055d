"""ferry serve: uploads, questions and management over HTTP, against people who mean no good."""

import base64
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import urllib.parse

import jsonschema
import pytest

from ferry_harness import REPOSITORY, SANITIZED, Process, eventually, put, read_table

OPENAPI = json.loads((REPOSITORY / "src/http/page/openapi.json").read_text())


class Reply:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def json(self):
        return json.loads(self.body)


class Service:
    """A running `ferry serve`, and a client of it that checks each response against the description."""

    def __init__(self, folder, *options):
        self.process = Process(folder, "serve", "--listen", "127.0.0.1:0", *options)
        self.port = eventually(self._port, what="the service")

    def _port(self):
        assert self.process.popen.poll() is None, self.process.log()
        found = re.search(r"ready .*:(\d+)/", self.process.log())
        return found and int(found.group(1))

    def ask(self, method, target, body=None, token=None, fields=None, check=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = dict(fields or {})
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method, target, body, headers,
                               encode_chunked="Transfer-Encoding" in headers)
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()
        if check:
            check_described(method, target, reply)
        return reply

    def get(self, target, **options):
        return self.ask("GET", target, **options)

    def put(self, path, body=b"content", **options):
        return self.ask("PUT", f"/v1/files/{path}", body, **options)

    def raw(self, data, timeout=30):
        """All that comes back for DATA; the sending side is closed after it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while block := connection.recv(65536):
                    received += block
            return received

    def resident(self, name="VmRSS"):
        status = open(f"/proc/{self.process.popen.pid}/status", encoding="ascii").read()
        return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.popen.pid}/fd"))


def described(target):
    path = urllib.parse.urlsplit(target).path
    found = {}
    for pattern, operations in OPENAPI["paths"].items():
        regex = re.sub(r"\\\{path\\\}", ".+", re.escape(pattern))
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", regex), path):
            found = {**found, **operations}
    return found


def check_described(method, target, reply):
    """The response is one that openapi.json tells of, in its form."""
    operations = described(target)
    if reply.status >= 400:
        assert reply.fields["Content-Type"] == "application/problem+json", reply.fields
        schema = {"$ref": "#/components/schemas/Problem"}
        assert reply.json["status"] == reply.status
        if method.lower() in operations:
            known = operations[method.lower()]["responses"]
            assert str(reply.status) in known, (method, target, reply.status)
    else:
        content = operations[method.lower()]["responses"][str(reply.status)]["content"]
        kind = reply.fields["Content-Type"].partition(";")[0]
        assert kind in content, (target, kind)
        schema = content[kind].get("schema")
        if kind != "application/json":
            return
    jsonschema.validate(reply.json, {**schema, "components": OPENAPI["components"]},
                        cls=jsonschema.Draft202012Validator)


@pytest.fixture
def serve(folder, landing, metastore):
    running = []

    def start(*options, places=True):
        where = ["--landing", landing, "--metastore", metastore] if places else []
        running.append(Service(folder, *where, *options))
        return running[-1]

    yield start
    for service in running:
        if service.process.popen.poll() is None:
            service.process.kill()


@pytest.fixture
def service(serve):
    return serve()


@pytest.fixture
def token(ferry, metastore):
    def make(name, *options):
        ended = ferry("token", "new", name, "--metastore", metastore, *options)
        assert ended.code == 0, ended.stderr
        return ended.stdout.strip()

    return make


def sha256(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def registered(metastore):
    return {row["path"] for row in read_table(metastore, "file_registry")}


def statuses(raw):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", raw)]


# Uploads.

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
    service = serve("--extension", "csv", "--ignore", "*.bak")
    assert service.put("landing/a.txt").status == 422
    assert service.put("landing/a.bak").status == 400
    assert everything_in(landing) == []


@pytest.mark.parametrize("path", [
    "../a", "a/../../b", "%2e%2e/a", "..%2fa", "a%2fb", "a%2Fb", "a%00b", "/etc/passwd", "a//b", "a/", ".a",
    "d/.b", "a.part", "a%0ab", "%ff", "a%", "a%zz", "link/a", "link/../a", "x" * 256, "./a",
    "/".join(["d" * 200] * 30)])
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
    assert service.put("landing/file/below").status == 409
    assert service.put("landing/dir").status == 409
    assert service.put("nowhere/a").status == 404
    assert everything_in(landing) == ["dir", "file"]


def test_names_of_different_unicode_forms_are_different_files(service, landing):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for name in (composed, decomposed):
        assert service.put("landing/" + urllib.parse.quote(name)).status == 201
    assert everything_in(landing) == sorted([composed, decomposed])


def test_64_clients_upload_at_the_same_time(service, landing, metastore):
    count = 256

    def upload(number):
        return service.put(f"landing/d{number % 7}/{number}", f"{number}\n".encode() * 1000).status

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


def begin_upload(service, path, size):
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    connection.sendall(f"PUT /v1/files/landing/{path} HTTP/1.1\r\nHost: localhost\r\n"
                       f"Content-Length: {size}\r\n\r\nbegun".encode())
    return connection


def has_part(landing):
    return any(path.name.endswith(".part") and path.stat().st_size for path in landing.rglob(".*"))


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


# The protocol.

PUT = b"PUT /v1/files/landing/a HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("request_, status", [
    (PUT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /", 400),
    (PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /", 400),
    (PUT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    (PUT + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    (PUT + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    (PUT + b"Content-Length: +5\r\n\r\nhello", 400),
    (PUT + b"Content-Length: -5\r\n\r\nhello", 400),
    (PUT + b"Content-Length: 99999999999999999999999\r\n\r\nhello", 400),
    (PUT + b"Content-Length : 5\r\n\r\nhello", 400),
    (PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (PUT + b"Transfer-Encoding: identity\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    (PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (PUT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", 400),
    (PUT + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n0\r\n\r\n", 400),
    (PUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400),
    (PUT.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (PUT + b"Host: other\r\nContent-Length: 0\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    (b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    (b"GET /" + b"x" * 20000, 431),
    (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (PUT + b"Expect: miracles\r\nContent-Length: 1\r\n\r\nx", 417),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
    (b"\r\n\r\n\r\n garbage \0\xff\r\n\r\n", 400),
])
def test_malformed_and_ambiguous_requests_end_the_connection(service, landing, request_, status):
    assert statuses(service.raw(request_)) == [status]
    assert everything_in(landing) == []
    assert service.get("/healthz").status == 200


def test_requests_may_follow_one_another(service):
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    put_ = PUT + b"Content-Length: 5\r\n\r\nhello"
    assert statuses(service.raw(one + put_ + one)) == [200, 201, 200]
    # What is behind a refused upload is its body, whatever it looks like.
    smuggled = PUT + f"If-Match: x\r\nContent-Length: {len(one)}\r\n\r\n".encode() + one
    assert statuses(service.raw(smuggled + one)) == [400]


def test_http_10_and_absolute_targets_are_understood(service):
    assert statuses(service.raw(b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]
    assert statuses(service.raw(b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")) == [200]


def test_a_client_that_asks_first_is_told_to_go_on(service):
    raw = service.raw(PUT + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
    assert statuses(raw) == [100, 201]
    refused = service.raw(PUT.replace(b"/a ", b"/.a ") + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert statuses(refused) == [400]


def test_slow_clients_do_not_keep_others_out(serve):
    service = serve("--max-connections", "64")
    with contextlib.ExitStack() as held:
        for _ in range(200):
            slow = held.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            with contextlib.suppress(OSError):
                slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        with concurrent.futures.ThreadPoolExecutor(20) as clients:
            replies = clients.map(lambda number: service.put(f"landing/{number}").status, range(100))
            assert set(replies) == {201}


def test_many_bad_requests_cost_nothing_that_stays(service):
    bad = [PUT + b"Content-Length: 9\r\n\r\nshort", b"garbage\r\n\r\n",
           PUT.replace(b"landing/a", b"landing/..%2fa") + b"Content-Length: 1\r\n\r\nx",
           PUT + b"Repr-Digest: " + sha256(b"y").encode() + b"\r\nContent-Length: 1\r\n\r\nx"]

    def send(number):
        return service.raw(bad[number % len(bad)])

    def idle():
        return service.descriptors() <= before + 2

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        list(clients.map(send, range(200)))
        before, memory = 16, service.resident()
        list(clients.map(send, range(1000)))
    service.get("/healthz")
    eventually(lambda: service.get("/healthz") and idle(), what="the descriptors' end")
    if not SANITIZED:
        assert service.resident() < memory + (8 << 20)


# Questions and management.

def test_files_are_listed_page_by_page_newest_first(service):
    for number in range(5):
        assert service.put(f"landing/{number}.csv").status == 201
    paths, cursor = [], ""
    while cursor is not None:
        page = service.get(f"/v1/files?limit=2&cursor={cursor}").json
        paths += [file["path"] for file in page["files"]]
        cursor = page["next"]
    assert paths == [f"{number}.csv" for number in (4, 3, 2, 1, 0)]


def test_files_are_found_by_what_is_asked(service, ferry, landing, metastore, server):
    service.put("landing/sent.csv")
    ended = ferry("transfer", "--landing", landing, "--metastore", metastore, *server.options())
    assert ended.code == 0, ended.stderr
    service.put("landing/wait.csv")

    def paths(query):
        return [file["path"] for file in service.get("/v1/files?" + query).json["files"]]

    assert paths("status=successful") == ["sent.csv"]
    assert paths("q=wait") == ["wait.csv"]
    assert paths("since=2100-01-01") == []
    destination = urllib.parse.quote(server.url(), safe="")
    assert paths(f"destination={destination}&status=successful") == ["sent.csv"]
    for query in ("status=lost", "limit=0", "limit=1001", "limit=x", "since=never", "cursor=none",
                  "stauts=failed", "q=a&q=b", "destination=nowhere"):
        assert service.get("/v1/files?" + query).status == 400, query
    (sent,) = service.get("/v1/files?q=sent").json["files"]
    (delivery,) = sent["deliveries"]
    assert delivery["status"] == "successful" and delivery["destination"] == server.url()
    history = service.get(f"/v1/files/{sent['id']}/history").json
    assert [row["transfer_status"] for row in history["transfers"]] == ["in_progress", "successful"]
    for path in ("none", "none/history"):
        assert service.get("/v1/files/" + path).status == 404
    (totals,) = [one for one in service.get("/v1/status").json["destinations"]
                 if one["destination"] == server.url()]
    assert totals["files"]["successful"] == 1
    resent = service.ask("POST", f"/v1/files/{sent['id']}/resend")
    assert resent.status == 200 and resent.json["destinations"] == [server.url()]
    assert "sent.csv" in paths("status=pending")
    assert service.ask("POST", f"/v1/files/{sent['id']}/resend").status == 409


def test_failed_files_are_retried(service, ferry, landing, metastore, server):
    ident = service.put("landing/a").json["id"]
    assert service.ask("POST", f"/v1/files/{ident}/retry").status == 409
    (landing / "a").write_bytes(b"other")  # and not registered: what was promised is gone
    ended = ferry("transfer", "--landing", landing, "--metastore", metastore, "--retries", "1",
                  "--retry-delay", "10ms", *server.options())
    assert ended.code == 1, ended.stderr
    file = service.get("/v1/files/" + ident).json
    assert file["deliveries"][0]["status"] == "failed" and file["deliveries"][0]["error"]["message"]
    reply = service.ask("POST", f"/v1/files/{ident}/retry")
    assert reply.status == 200 and reply.json["status"] == "pending"
    assert service.get("/v1/files/" + ident).json["deliveries"][0]["status"] == "pending"
    assert service.ask("POST", "/v1/files/none/retry").status == 404


def test_quarantined_files_are_released_or_dropped(serve, ferry, landing, metastore):
    for name in ("good.txt", "bad.txt"):
        put(landing / name, b"x")
    ended = ferry("watch", "--once", "--landing", landing, "--metastore", metastore, "--extension", "csv")
    assert ended.code == 0, ended.stderr
    service = serve("--extension", "csv")
    held = {file["path"]: file["id"] for file in service.get("/v1/quarantine").json["files"]}
    assert set(held) == {"good.txt", "bad.txt"}
    released = service.ask("POST", f"/v1/quarantine/{held['good.txt']}/release?as=good.csv")
    assert released.status == 200 and released.json["state"] == "ready"
    assert service.ask("DELETE", f"/v1/quarantine/{held['bad.txt']}").status == 200
    assert (landing / "good.csv").read_bytes() == b"x"
    assert service.get("/v1/quarantine").json["files"] == []
    assert service.ask("DELETE", f"/v1/quarantine/{held['bad.txt']}").status == 404


def test_monitoring_is_told_the_same_as_by_the_command(service, ferry, metastore):
    service.put("landing/a")
    page = service.get("/metrics").body.decode()
    told = ferry("status", "--prometheus", "--metastore", metastore).stdout
    assert [line for line in page.splitlines() if "age_seconds" not in line] == [
        line for line in told.splitlines() if "age_seconds" not in line]


def test_readiness_is_not_told_without_a_landing_area(service, landing):
    assert service.get("/readyz").status == 200
    landing.rename(landing.with_name("away"))
    assert service.get("/readyz").status == 503
    assert service.get("/healthz").status == 200


def test_other_methods_and_urls_are_told_so(service):
    reply = service.ask("DELETE", "/v1/files/a", check=False)
    assert reply.status == 405 and reply.fields["Allow"] == "GET"
    assert service.ask("BREW", "/metrics", check=False).status == 405
    assert service.get("/v2", check=False).status == 404
    head = service.ask("HEAD", "/v1/status", check=False)
    assert head.status == 200 and head.body == b"" and int(head.fields["Content-Length"]) > 0


def test_the_description_tells_of_every_route():
    source = (REPOSITORY / "src/http/service.cpp").read_text()
    for method, pattern in re.findall(r'{"(\w+)",\s*{("[^}]*)}', source):
        target = "/" + "/".join(re.findall(r'"([^"]*)"', pattern)).replace("*", "x")
        assert method.lower() in described(target), (method, target)


def test_the_description_is_served(service):
    assert service.get("/v1/openapi.json", check=False).json == OPENAPI


# Who may do what.

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


def test_a_revoked_token_is_good_for_nothing_at_once(serve, token, ferry, metastore):
    reader = token("reader", "--read")
    service = serve()
    assert service.get("/v1/status", token=reader).status == 200
    assert ferry("token", "revoke", "reader", "--metastore", metastore).code == 0
    assert service.get("/v1/status", token=reader).status == 401
    assert service.get("/v1/status").status == 401  # and not open to all
    (metastore / "tokens.jsonl").unlink()
    assert service.get("/v1/status").status == 401


def test_a_token_that_is_revoked_during_an_upload_ends_it(serve, token, ferry, metastore, landing):
    secret = token("erp", "--upload", "landing")
    service = serve()
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(f"PUT /v1/files/landing/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                           f"Authorization: Bearer {secret}\r\n\r\n12".encode())
        eventually(lambda: list(landing.glob(".upload-*")), what="the beginning of the upload")
        assert ferry("token", "revoke", "erp", "--metastore", metastore).code == 0
        connection.sendall(b"34")
        assert b" 401 " in connection.recv(65536).split(b"\r\n")[0]
    assert not (landing / "a").exists()


@pytest.mark.parametrize("span", ["0s", "3000000d"])
def test_a_token_lasts_for_a_time_that_can_be_written(token, ferry, metastore, span):
    token("one", "--read")
    refused = ferry("token", "new", "two", "--read", "--expires", span, "--metastore", metastore)
    assert refused.code == 2, refused.stdout
    assert ferry("token", "list", "--metastore", metastore).code == 0


def test_who_reads_nothing_makes_room_for_others(serve):
    service = serve("--max-connections", "4")
    asked = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000
    with contextlib.ExitStack() as silent:
        for _ in range(4):
            connection = silent.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while asked:
                    connection.send(asked)
        eventually(lambda: service.get("/healthz", check=False).status == 200, deadline=10,
                   what="an answer")
        assert service.process.stop().code == 0


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


# The page.

def test_the_page_needs_nothing_from_elsewhere(service):
    page = service.get("/", check=False)
    assert page.status == 200 and page.fields["Content-Type"] == "text/html; charset=utf-8"
    policy = page.fields["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    text = page.body.decode()
    assert "//" not in re.sub(r"<!--.*?-->", "", text) and "style=" not in text and "onclick" not in text
    parts = re.findall(r'(?:src|href)="(/[^"]*)"', text)
    assert {"/page.css", "/page.js", "/icon.svg"} <= set(parts)
    for part in parts:
        assert service.get(part, check=False).status == 200
