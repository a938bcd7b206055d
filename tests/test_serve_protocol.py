"""ferry serve: HTTP that is malformed, ambiguous, slow, or too much."""

import concurrent.futures
import contextlib
import resource
import select
import socket

import pytest

from ferry_harness import SANITIZED, eventually
from http_service import everything_in, sha256, statuses


PUT = b"PUT /v1/files/landing/a HTTP/1.1\r\nHost: localhost\r\n"


MALFORMED = [
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
]


@pytest.mark.parametrize("request_, status", MALFORMED)
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
    for path in (b"", b"/", b"/healthz", b"/page.css", b"/%70age.css?x", b"/v1/openapi.json"):
        assert statuses(service.raw(b"GET http://localhost" + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")) == [200], path


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


@pytest.mark.skipif(SANITIZED, reason="the sanitizer takes memory for bad if it gets no descriptor to look at it with")
def test_who_is_idle_makes_room_where_the_system_has_no_more(service):
    few = service.descriptors() + 20
    resource.prlimit(service.process.popen.pid, resource.RLIMIT_NOFILE, (few, few))
    with contextlib.ExitStack() as held:
        for _ in range(100):
            idle = held.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            with contextlib.suppress(OSError):
                idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        assert service.get("/healthz").status == 200
        # Whether there are tokens cannot be seen, unless two made room.
        assert service.get("/v1/status", check=False).status in (200, 503)
    eventually(lambda: service.put("landing/a", check=False).status == 201, what="an upload")


def test_who_is_too_slow_is_told_so(service, landing):
    """A header that does not end, a body that pauses, and one that trickles."""
    begun = PUT + b"Content-Length: 1000000\r\n\r\nbegun"
    with contextlib.ExitStack() as slow:
        header, pause, trickle = (slow.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
                                  for _ in range(3))
        header.sendall(PUT)
        pause.sendall(begun)
        trickle.sendall(begun.replace(b"/a ", b"/b "))

        def answered():
            trickle.sendall(b"x")
            return select.select([trickle], [], [], 0.2)[0]

        eventually(answered, deadline=60, what="the end of the trickle")
        for connection in (header, pause, trickle):
            assert statuses(connection.recv(65536)) == [408]
    eventually(lambda: everything_in(landing) == [], what="nothing of it")


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


def test_many_bad_requests_cost_nothing_that_stays(service, landing):
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    bad = [request for request, _ in MALFORMED] + [
        PUT + b"Content-Length: 9\r\n\r\nshort", b"garbage\r\n\r\n",
        PUT.replace(b"landing/a", b"landing/..%2fa") + b"Content-Length: 1\r\n\r\nx",
        PUT.replace(b"landing/a", b"landing/a%00") + b"Content-Length: 1\r\n\r\nx",
        PUT.replace(b"landing/a", b"landing//etc/passwd") + b"Content-Length: 1\r\n\r\nx",
        PUT.replace(b"landing/a", b"elsewhere/a") + b"Content-Length: 1\r\n\r\nx",
        PUT.replace(b"localhost", b"evil.example") + b"Content-Length: 1\r\n\r\nx",
        PUT + b"Repr-Digest: " + sha256(b"y").encode() + b"\r\nContent-Length: 1\r\n\r\nx",
        PUT + b"Content-Length: 99999999999999\r\n\r\nx", PUT + b"\r\n",
        b"GET /v1/files?limit=x HTTP/1.0\r\n\r\n", health * 20 + b"garbage\r\n\r\n"]

    def send(number):
        return service.raw(bad[number % len(bad)])

    def idle():
        return service.descriptors() <= before + 2

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        list(clients.map(send, range(500)))
        before, memory = 16, service.resident()
        list(clients.map(send, range(1000 if SANITIZED else 10_000)))
    assert everything_in(landing) == []
    eventually(lambda: service.get("/healthz") and idle(), what="the descriptors' end")
    if not SANITIZED:
        assert service.resident() < memory + (8 << 20)
