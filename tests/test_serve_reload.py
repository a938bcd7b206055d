"""SIGHUP makes a running ferry serve answer by the configuration as it is now."""

import functools
import os
import signal
import socket

import pytest

import ferry_harness
import http_service
from ferry_harness import put, read_table
from http_service import has_part
from test_serve_resumable import append, create
from test_serve_whole import Events

eventually = functools.partial(ferry_harness.eventually, deadline=60)


class Configured:
    def __init__(self, folder, server):
        self.folder, self.server, self.service = folder, server, None

    def write(self, areas=("in",), to="one", policy="", extra="", metastore="metastore"):
        lines = [f'metastore = "{self.folder / metastore}"', extra]
        for area in areas:
            (self.folder / area).mkdir(exist_ok=True)
            lines += [f"[landing.{area}]", f'path = "{self.folder / area}"', policy]
        (self.folder / to).mkdir(exist_ok=True)
        lines += [f"[destination.{to}]", f'url = "{self.server.url(self.folder / to)}"', "use_agent = false",
                  f'identity = "{self.server.identity}"', f'known_hosts = "{self.server.known_hosts}"']
        put(self.folder / "ferry.toml", "\n".join(lines).encode())

    def start(self, *options):
        self.service = http_service.Service(self.folder, "--config", self.folder / "ferry.toml", *options)
        return self.service

    def reload(self, outcome="configuration reloaded", parts=1):
        before = self.service.process.log().count(outcome)
        self.service.process.popen.send_signal(signal.SIGHUP)
        eventually(lambda: self.service.process.log().count(outcome) == before + parts, what=outcome)

    def destinations(self):
        return [one["destination"] for one in self.service.get("/v1/status").json["destinations"]]


@pytest.fixture
def config(folder, server):
    made = Configured(folder, server)
    made.write()
    yield made
    if made.service and made.service.process.popen.poll() is None:
        made.service.process.kill()


def test_landing_areas_policies_and_destinations_are_those_of_the_new_configuration(config, folder):
    service = config.start()
    assert service.put("in/a.txt").status == 201 and config.destinations() == ["one"]
    config.write(areas=("in", "more"), to="two", policy='extensions = ["txt"]')
    config.reload()
    assert service.put("more/b.txt").status == 201 and (folder / "more/b.txt").exists()
    assert service.put("in/b.exe").status == 422
    status = service.get("/v1/status").json
    assert status["landings"] == ["in", "more"] and config.destinations() == ["two"]
    metrics = service.get("/metrics").body.decode()
    assert 'destination="two"' in metrics and 'destination="one"' not in metrics
    (ident,) = [file["id"] for file in service.get("/v1/files").json["files"] if file["path"] == "b.txt"]
    assert service.ask("POST", f"/v1/files/{ident}/resend?destination=two").status == 409  # it was not delivered yet
    assert service.ask("POST", f"/v1/files/{ident}/resend?destination=one").status == 400
    config.write(areas=("more",), to="two")
    config.reload()
    assert service.put("in/c.txt").status == 404 and service.put("more/c.exe").status == 201
    assert service.process.stop().code == 0


def test_the_whole_in_one_process_is_of_one_mind(config, folder):
    service = config.start("--watch", "--transfer")
    service.put("in/a.txt")
    eventually(lambda: (folder / "one/a.txt").exists(), what="a delivery")
    config.write(areas=("in", "more"), to="two", policy='extensions = ["txt"]')
    config.reload(parts=3)
    assert service.put("more/b.txt").status == 201 and service.put("in/b.exe").status == 422
    put(folder / "in/c.txt", b"by hand")
    eventually(lambda: (folder / "two/b.txt").exists() and (folder / "two/c.txt").exists(), what="both deliveries")
    eventually(lambda: service.get("/v1/status").json["destinations"][0]["files"]["pending"] == 0, what="nothing to do")
    assert config.destinations() == ["two"]
    eventually(lambda: not (folder / "metastore/pending").exists(), what="the end of the marker")
    assert service.process.stop().code == 0


@pytest.mark.parametrize("extra, areas", [("[watch]\nhash_thread = 2", ("in",)), ("", ("in", "absent"))])
def test_a_configuration_of_no_use_changes_nothing_and_is_named_once(config, folder, extra, areas):
    service = config.start()
    config.write(areas=areas, to="two", policy='extensions = ["txt"]', extra=extra)
    if "absent" in areas:
        (folder / "absent").rmdir()
    config.reload("configuration not reloaded")
    assert service.put("in/a.exe").status == 201 and config.destinations() == ["one"]
    assert "configuration reloaded" not in service.process.log()
    config.write(to="two")
    config.reload()
    assert config.destinations() == ["two"]


def test_what_is_under_way_is_done_by_the_configuration_with_which_it_began(config, folder):
    service = config.start()
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(b"PUT /v1/files/in/a.exe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello")
        eventually(lambda: has_part(folder / "in"), what="the beginning of the upload")
        config.write(areas=("more",), policy='extensions = ["txt"]')
        config.reload()
        assert service.put("in/b.exe").status == 404 and has_part(folder / "in")
        connection.sendall(b"world")
        assert http_service.statuses(connection.recv(65536)) == [201]
        # Whoever keeps the connection is answered by the new one then.
        connection.sendall(b"PUT /v1/files/in/c.exe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        assert http_service.statuses(connection.recv(65536)) == [404]
    assert (folder / "in/a.exe").read_bytes() == b"helloworld"


def test_events_end_and_go_on_with_the_new_configuration(config):
    service = config.start()
    events = Events(service)
    _, status = events.next()
    assert status["landings"] == ["in"]
    config.write(areas=("in", "more"))
    config.reload()
    while events.connection.recv(65536):
        pass
    _, status = Events(service).next()
    assert status["landings"] == ["in", "more"]


def test_a_resumable_upload_is_ended_by_the_configuration_that_there_is_then(config, folder):
    service = config.start()
    url = create(service, "a.exe", 4, landing="in").fields["Location"]
    assert append(service, url, 0, b"ab").status == 204
    config.write(policy='extensions = ["txt"]')
    config.reload()
    assert append(service, url, 2, b"cd").status == 422
    assert os.listdir(folder / "in") == []


def test_another_metastore_is_taken_up(config, folder):
    service = config.start()
    assert service.put("in/a.txt", b"1").status == 201
    config.write(metastore="other")
    config.reload()
    assert service.get("/v1/files").json["files"] == [] and service.get("/readyz").status == 200
    assert service.put("in/b.txt", b"2").status == 201
    assert [row["path"] for row in read_table(folder / "other", "file_registry")] == ["b.txt"]
    config.reload()
    descriptors = service.descriptors()
    for _ in range(5):
        config.reload()
    eventually(lambda: service.descriptors() <= descriptors, what="that nothing of the former ones is kept open")


def test_no_part_takes_up_what_another_one_refuses(config, folder):
    """An agent alone would go on without the area that is not there, in the other metastore."""
    config.start("--watch", "--transfer")
    eventually(lambda: config.service.process.log().count(" ready") == 3, what="all parts")
    config.write(areas=("in", "gone"), metastore="other")
    (folder / "gone").rmdir()
    config.reload("configuration not reloaded")
    config.write(to="two")
    config.reload(parts=3)
    assert config.service.process.log().count("configuration reloaded") == 3
    assert not (folder / "other").exists()
    assert config.service.process.stop().code == 0
