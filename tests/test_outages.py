"""Destinations that cannot be reached: said by status, also when no agent runs."""

import datetime
import json
import os

import pytest

from ferry_harness import Process, eventually, put
from silent_server import SilentServer


@pytest.mark.parametrize("where", ["outages/x.json", "untaken.json"])
def test_a_pipe_among_the_notes_is_not_waited_for(ferry, landing, register, metastore, where):
    put(landing / "a", b"a")
    register()
    pipe = metastore / where
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    assert ferry("status", "--metastore", metastore).code == 0


def outages(configured, *arguments):
    ended = configured.run("status", "--json", *arguments)
    assert ended.code == 0, ended.stderr
    return ended.json["unreachable"]


def time_of_now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def pending(configured, landing):
    configured.write('[route.all]\nto = ["b", "c"]\n')
    put(landing / "a.csv", b"a")
    configured.register()
    return configured


def test_a_run_leaves_why_and_since_when_and_the_next_success_ends_it(pending, server, landing):
    port = server.port
    server.stop()
    assert outages(pending) == []
    assert pending.transfer().code == 3
    (first,) = outages(pending)
    assert (first["destination"], first["next_try"]) == ("b", None)
    assert first["kind"] == "unreachable" and str(port) in first["message"]
    assert first["since"] == first["last_try"]
    assert pending.transfer().code == 3
    (second,) = outages(pending)
    assert second["since"] == first["since"] and second["last_try"] > first["last_try"]
    assert outages(pending, "--destination", "c") == []
    text = pending.run("status").stdout
    assert "unreachable  b   for " in text and "last tried" in text
    metrics = pending.run("status", "--prometheus").stdout
    assert 'ferry_unreachable_since_timestamp_seconds{destination="b"} 1' in metrics
    server.start(port)
    assert pending.transfer().code == 0
    assert outages(pending) == []
    assert "unreachable" not in pending.run("status").stdout
    assert 'unreachable_since_timestamp_seconds{' not in pending.run("status", "--prometheus").stdout


def test_an_agent_that_follows_says_when_it_tries_again(pending, folder, server, metastore):
    port = server.port
    server.stop()
    agent = Process(folder, "transfer", "--follow", "--retries", "1", "--retry-delay", "10ms",
                    env={"FERRY_CONFIG": str(pending.file)})
    try:
        (one,) = eventually(lambda: outages(pending), what="the outage")
        assert one["next_try"] > one["last_try"]
        agent.kill()
        assert len(outages(pending)) == 1  # nobody has been there since
        text = pending.run("status").stdout
        assert "next try in" in text or "last tried" in text
        server.start(port)
        agent = Process(folder, "transfer", "--follow", env={"FERRY_CONFIG": str(pending.file)})
        eventually(lambda: not outages(pending), what="the end of the outage")
    finally:
        agent.stop()


def test_a_file_that_is_refused_there_is_no_outage(pending, server, landing):
    (server.root / "a.csv").mkdir()
    assert pending.transfer().code == 1
    assert outages(pending) == []


def test_notes_that_are_damaged_are_left_out(pending, server, metastore):
    server.stop()
    pending.transfer()
    (note,) = (metastore / "outages").iterdir()
    for damage in ("", "[]", "{}", json.dumps({**json.loads(note.read_text()), "since": "never"})):
        note.write_text(damage)
        assert outages(pending) == []
    assert pending.transfer().code == 3
    assert len(outages(pending)) == 1


def test_a_check_warns_while_something_waits_for_it(pending, server):
    port = server.port
    server.stop()
    assert pending.run("status", "--check").code == 0
    assert pending.transfer().code == 3
    warned = pending.run("status", "--check")
    assert warned.code == 1
    assert "WARNING: 1 unreachable" in warned.stdout
    server.start(port)
    assert pending.transfer().code == 0
    assert pending.run("status", "--check").code == 0


@pytest.mark.parametrize("transport", ["libssh2", "openssh"])
def test_a_stop_is_heard_while_a_server_does_not_answer(folder, landing, metastore, register,
                                                        transport):
    put(landing / "a.csv", b"a")
    register()
    with SilentServer() as silent:
        agent = Process(folder, "transfer", "--landing", landing, "--metastore", metastore,
                        "--to", f"sftp://127.0.0.1:{silent.port}/", "--transport", transport,
                        "--connect-timeout", "10m")
        eventually(lambda: silent.taken, what="a connection")
        ended = agent.stop()
    assert ended.code == 130
    assert "stopped: 0 files were delivered" in ended.stderr


def test_a_destination_that_is_no_longer_configured_is_forgotten_after_a_day(pending, server, metastore):
    """Nobody may ever try it again: a name that was mistyped, or that was taken out."""
    server.stop()
    pending.transfer()
    (note,) = (metastore / "outages").iterdir()
    old = {**json.loads(note.read_text()), "last_try": "2026-01-01T00:00:00.000Z"}
    note.write_text(json.dumps(old))
    assert len(outages(pending)) == 1, "it is configured: somebody waits for it"
    text = pending.file.read_text()
    assert text.count("[destination.b]") == 1
    pending.file.write_text(text.replace("[destination.b]", "[destination.renamed]").replace(
        'to = ["b", "c"]', 'to = ["renamed", "c"]'))
    assert outages(pending) == []
    assert 'unreachable_since_timestamp_seconds{' not in pending.run("status", "--prometheus").stdout
    note.write_text(json.dumps({**old, "last_try": time_of_now()}))
    assert len(outages(pending)) == 1, "it was tried just now"
