"""ferry serve --watch --transfer: the whole in one process; and what runs now, seen from elsewhere."""

import contextlib
import json
import os
import signal
import socket

import pytest

import http_service
from ferry_harness import Process, eventually, put


@pytest.fixture
def whole(folder, landing, metastore, server):
    def start(*options):
        running.append(http_service.Service(folder, "--watch", "--transfer", "--landing", landing, "--metastore",
                                            metastore, *server.options(), *options))
        return running[-1]

    running = []
    yield start
    for service in running:
        if service.process.popen.poll() is None:
            service.process.kill()


def delivered(service):
    return {file["path"] for file in service.get("/v1/files?status=successful").json["files"]}


def test_one_process_takes_watches_and_delivers(whole, server, landing):
    service = whole()
    assert service.put("landing/uploaded.csv", b"by http").status == 201
    put(landing / "dropped.csv", b"by hand")
    eventually(lambda: delivered(service) == {"uploaded.csv", "dropped.csv"}, what="both deliveries")
    assert (server.root / "uploaded.csv").read_bytes() == b"by http"
    assert (server.root / "dropped.csv").read_bytes() == b"by hand"
    service.process.popen.send_signal(signal.SIGHUP)
    put(landing / "later.csv", b"x")
    eventually(lambda: "later.csv" in delivered(service), what="a delivery after SIGHUP")
    assert service.process.stop().code == 0


def test_a_part_that_cannot_run_ends_the_whole(ferry, landing, metastore):
    ended = ferry("serve", "--transfer", "--listen", "127.0.0.1:0", "--landing", landing, "--metastore", metastore)
    assert ended.code == 2, ended.stderr


def test_batches_are_listed_with_their_control_files(whole, landing, server, ferry, metastore):
    service = whole()
    for number in range(3):
        put(landing / f"{number}.csv", b"x" * number)
        eventually(lambda: f"{number}.csv" in delivered(service), what="a delivery")
        eventually(lambda: len(service.get("/v1/batches").json["batches"]) == number + 1, what="a batch")
    eventually(lambda: all(one["complete"] for one in service.get("/v1/batches").json["batches"]), what="their ends")
    everything = service.get("/v1/batches").json
    assert everything["next"] is None and [one["count"] for one in everything["batches"]] == [1, 1, 1]
    assert [one["total_bytes"] for one in everything["batches"]] == [2, 1, 0]
    page = service.get("/v1/batches?limit=2").json
    assert page["batches"] == everything["batches"][:2] and page["next"] == page["batches"][1]["id"]
    assert service.get(f"/v1/batches?cursor={page['next']}").json == {"batches": everything["batches"][2:], "next": None}
    for cursor in ("no-such-batch", "0193a1b0-0000-7000-8000-000000000000"):
        assert service.get(f"/v1/batches?cursor={cursor}").status == 400
    batch = everything["batches"][0]
    control = service.get(f"/v1/batches/{batch['id']}")
    assert control.body == (server.root / batch["control_file"]).read_bytes()
    assert control.json["files"][0]["path"].endswith("2.csv")
    for none in ("0193a1b0-0000-7000-8000-000000000000", "..%2f..%2ftokens", "x"):
        assert service.get(f"/v1/batches/{none}").status in (400, 404)
    assert service.get("/v1/batches?limit=0").status == 400


def test_a_running_delivery_is_seen(whole, landing, ferry, metastore):
    service = whole("--bandwidth-limit", "256KiB")
    for number in range(3):
        put(landing / f"{number}.csv", b"x")
    eventually(lambda: len(delivered(service)) == 3, what="what came before")
    put(landing / "large.bin", os.urandom(4 << 20))

    def moving():
        agents = service.get("/v1/agents").json["agents"]
        return agents and agents[0]["bytes_done"] > 0 and agents[0]["seconds_left"] and agents[0]

    agent = eventually(moving, what="progress")
    assert agent["bytes"] == 4 << 20 and agent["files"] == 1 and not agent["idle"]
    assert [file["path"] for file in agent["in_progress"]] == ["large.bin"]
    assert service.process.stop().code == 0
    assert not list((metastore / "agents").iterdir())


def test_what_a_dead_agent_left_is_no_news(whole, landing, serve, metastore):
    service = whole("--bandwidth-limit", "64KiB")
    put(landing / "large.bin", os.urandom(4 << 20))
    eventually(lambda: any(agent["bytes_done"] for agent in service.get("/v1/agents").json["agents"]), what="progress")
    service.process.kill()
    assert list((metastore / "agents").iterdir())
    assert serve().get("/v1/agents").json["agents"] == []


def test_status_is_looked_at_live(whole, landing, folder, metastore):
    service = whole("--bandwidth-limit", "128KiB")
    put(landing / "large.bin", os.urandom(4 << 20))
    eventually(lambda: any(agent["bytes_done"] for agent in service.get("/v1/agents").json["agents"]), what="progress")
    looking = Process(folder, "status", "--live", "--metastore", metastore)
    screen = b""
    while b"ETA" not in screen:
        block = os.read(looking.popen.stdout.fileno(), 65536)
        assert block, looking.log()
        screen += block
    assert b"in_progress" in screen and b"of 4.0 MiB" in screen
    assert b"\x1b" not in screen  # it is no terminal
    looking.popen.send_signal(signal.SIGINT)
    assert looking.popen.wait(timeout=30) == 0


class Events:
    def __init__(self, service, last=""):
        self.connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        self.connection.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n".encode())
        self.received = b""

    def next(self):
        """The id and the data of the next event."""
        while b"\n\n" not in self.received.partition(b"\r\n\r\n")[2]:
            block = self.connection.recv(65536)
            assert block, self.received
            self.received += block
        header, _, body = self.received.partition(b"\r\n\r\n")
        event, _, rest = body.partition(b"\n\n")
        self.received = header + b"\r\n\r\n" + rest
        fields = dict(line.split(": ", 1) for line in event.decode().splitlines())
        assert fields["event"] == "status" and b"text/event-stream" in header
        return fields["id"], json.loads(fields["data"])


def test_changes_are_told_as_they_happen(service):
    events = Events(service)
    first, status = events.next()
    assert status["destinations"] == [] and "time" not in status
    service.put("landing/a")
    second, status = events.next()
    assert first != second and status["destinations"][0]["files"]["pending"] == 1
    # Who comes again with the last id is told the next change only.
    again = Events(service, second)
    service.put("landing/b")
    _, status = again.next()
    assert status["destinations"][0]["files"]["pending"] == 2


def test_who_waits_for_events_does_not_keep_others_out(serve):
    service = serve("--max-connections", "8")
    with contextlib.ExitStack() as held:
        for _ in range(2):
            events = Events(service)
            held.callback(events.connection.close)
            events.next()
        refused = service.get("/v1/events")
        assert refused.status == 503
        assert service.get("/v1/status").status == 200
    eventually(lambda: b" 200 " in Events(service).connection.recv(15), what="a place")
    assert service.process.stop().code == 0
