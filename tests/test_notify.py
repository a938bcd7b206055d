"""Who is told if something needs somebody."""

import email
import http.server
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from ferry_harness import FERRY, REPOSITORY, environment, put

EVERY = '["failed", "given_up", "quarantined", "late", "recovered", "batch"]'


class Told:
    """A configuration that keeps each message in a file of its own, and what they said."""

    def __init__(self, configured, folder):
        self.configured, self.inbox = configured, folder / "inbox"
        self.inbox.mkdir()
        self.broken = folder / "broken"
        script = folder / "keep.sh"
        script.write_text(f"#!/bin/sh\n[ -e {self.broken} ] && exit 3\n"
                          f"cat > {self.inbox}/$$-$(date +%s%N)\n")
        script.chmod(0o755)
        self.command = f'["{script}"]'

    def write(self, more="", on=EVERY, interval="0s", routes='[route.all]\nto = ["b"]\n'):
        self.configured.write(f'{routes}[notify.ops]\non = {on}\ncommand = {self.command}\n'
                              f'interval = "{interval}"\n{more}')
        return self.configured

    def run(self, code=0):
        """The events of the one message that this run made; none: no message."""
        before = set(self.inbox.iterdir())
        ended = self.configured.run("notify")
        assert ended.code == code, ended.stderr
        messages = [json.loads(path.read_text()) for path in set(self.inbox.iterdir()) - before]
        assert len(messages) <= 1
        return [event for message in messages for event in message["events"]]


@pytest.fixture
def told(configured, folder):
    return Told(configured, folder)


@pytest.mark.parametrize("words", ["[]", '[""]', '["", "x"]'])
@pytest.mark.parametrize("table, key", [("notify.ops", "command"), ("landing.more", "validate"),
                                        ("route.more", "validate"), ("transform.more", "command"),
                                        ("transfer", "verify_command")])
def test_a_command_without_a_program_is_refused(configured, words, table, key):
    more = 'path = "/srv/more"\n' if table.startswith("landing") else ""
    more = 'to = ["b"]\n' if table.startswith("route") else more
    configured.write(f"[{table}]\n{more}{key} = {words}\n")
    line = configured.file.read_text().splitlines().index(f"{key} = {words}") + 1
    for command in (["config", "check"], ["notify"], ["status"]):
        ended = configured.run(*command)
        assert ended.code == 2, command
        told = ended.stdout + ended.stderr
        assert f"{configured.file}:{line}:" in told and "program" in told, told


def kinds(events):
    return [event["event"] for event in events]


def block(server, name="a"):
    """A file where the deliveries want a directory."""
    (server.root / name).touch()


def fail_some(told, landing, server, count):
    block(server)
    for number in range(count):
        put(landing / f"a/{number}", b"%d" % number)
    told.configured.register()
    assert told.configured.transfer("--to", "b").code == 1


def test_many_failures_are_one_event_and_told_once(told, landing, server):
    told.write()
    fail_some(told, landing, server, 20)
    (event,) = told.run()
    assert (event["event"], event["destination"], event["files"]) == ("failed", "b", 20)
    assert len(event["examples"]) == 5 and event["examples"][0]["reason"]
    assert told.run() == []
    put(landing / "a/more", b"x")
    told.configured.register()
    assert told.configured.transfer("--to", "b").code == 1
    assert told.run() == [], "it fails as before"


def test_what_works_again(told, landing, server):
    told.write()
    fail_some(told, landing, server, 2)
    told.run()
    (server.root / "a").unlink()
    assert told.configured.transfer("--to", "b").code == 0
    events = told.run()
    assert kinds(events) == ["recovered", "batch"]
    assert events[0]["destination"] == "b"
    assert events[1]["files"] == 2
    assert told.run() == []


def test_a_dead_destination_is_one_event(told, landing, server):
    told.write()
    port = server.port
    server.stop()
    for number in range(20):
        put(landing / f"{number:02}", b"%d" % number)
    told.configured.register()
    assert told.configured.transfer("--to", "b").code == 3
    (event,) = told.run()
    assert (event["event"], event["destination"], event["files"]) == ("failed", "b", 20)
    assert event["error_kinds"] == {"unreachable": 20}
    assert f"127.0.0.1:{port}" in event["examples"][0]["reason"]
    assert told.configured.transfer("--to", "b").code == 3
    assert told.run() == []
    server.start(port)
    assert told.configured.transfer("--to", "b").code == 0
    assert kinds(told.run()) == ["recovered", "batch"]


def test_what_a_command_did_not_take_is_told_again(told, landing, server):
    told.write()
    fail_some(told, landing, server, 1)
    told.broken.touch()
    assert told.run(code=1) == []
    told.broken.unlink()
    assert kinds(told.run()) == ["failed"]


def test_a_run_that_was_killed_has_told_nothing(told, landing, server, folder):
    told.write()
    fail_some(told, landing, server, 1)
    good = told.command
    started = folder / "started"
    told.command = f'["sh", "-c", "touch {started}; exec sleep 60"]'
    told.write()
    process = subprocess.Popen([FERRY, "notify"],
                               env=environment({"FERRY_CONFIG": str(told.configured.file)}))
    deadline = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told.command = good
    told.write()
    assert kinds(told.run()) == ["failed"]


def test_news_comes_together_after_the_interval(told, landing, server):
    told.write(interval="1h")
    fail_some(told, landing, server, 1)
    assert kinds(told.run()) == ["failed"]
    (server.root / "a").unlink()
    assert told.configured.transfer("--to", "b").code == 0
    assert told.run() == []
    told.write()
    assert kinds(told.run()) == ["recovered", "batch"]


def test_only_what_was_asked_for(told, landing, server):
    told.write(on='["recovered"]')
    fail_some(told, landing, server, 1)
    assert told.run() == []
    (server.root / "a").unlink()
    assert told.configured.transfer("--to", "b").code == 0
    assert kinds(told.run()) == ["recovered"]


def test_batches_that_were_done_before_are_no_news(told, landing):
    told.write()
    put(landing / "old", b"1")
    told.configured.register()
    assert told.configured.transfer("--to", "b").code == 0
    assert told.run() == []
    put(landing / "new", b"12")
    told.configured.register()
    assert told.configured.transfer("--to", "b").code == 0
    (event,) = told.run()
    assert (event["event"], event["files"], event["bytes"]) == ("batch", 1, 2)


def test_what_is_given_up_and_what_is_late(told, landing, server):
    told.write('[transfer]\nmax_attempts = 1\n[expect.orders]\nby = "00:00"\n')
    fail_some(told, landing, server, 1)
    assert sorted(kinds(told.run())) == ["failed", "given_up", "late"]
    assert told.run() == []


def test_quarantined_files(told, landing):
    told.write()
    told.configured.file.write_text(told.configured.file.read_text().replace(
        "[landing.in]\n", '[landing.in]\nempty = "quarantine"\n'))
    put(landing / "empty\x1b[2J", b"")
    told.configured.register()
    (event,) = told.run()
    assert (event["event"], event["files"]) == ("quarantined", 1)
    assert "\x1b" not in json.dumps(event["examples"], ensure_ascii=False)
    assert told.run() == []


def test_a_damaged_note_is_told_of_and_tells_anew(told, landing, server, metastore):
    told.write()
    fail_some(told, landing, server, 1)
    told.run()
    (metastore / "notified/ops.json").write_text("{")
    assert kinds(told.run()) == ["failed"]


@pytest.fixture
def hook():
    """A service on 127.0.0.1 that keeps what is posted to it, and where it is."""
    got = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    service = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    yield got, f"http://127.0.0.1:{service.server_port}/"
    service.shutdown()
    thread.join()
    service.server_close()


def recipe(word):
    """The block of the operator's manual that has WORD."""
    text = (REPOSITORY / "docs/operations.md").read_text()
    section = text[text.index("## Be told"):text.index("## By hand beside the services")]
    (block,) = [block for block in re.findall(r"```\w+\n(.*?)```", section, re.S) if word in block]
    return block


def program(folder, text):
    path = folder / "recipe.sh"
    path.write_text(text)
    path.chmod(0o755)
    return f'["{path}"]'


def test_the_recipe_for_webhooks(told, landing, server, hook):
    got, url = hook
    told.command = recipe("hooks.example.org").removeprefix("command = ").replace(
        "https://hooks.example.org/ferry", url)
    told.write()
    fail_some(told, landing, server, 1)
    assert told.run() == []
    (message,) = got
    assert message["notify"] == "ops" and message["text"].startswith("b: 1 files fail")


def test_the_recipe_for_chats(told, landing, server, folder, hook):
    got, url = hook
    (folder / "url").write_text(url)
    told.command = program(folder, recipe("chat-url").replace("/etc/ferry/chat-url", f"{folder}/url"))
    told.write()
    fail_some(told, landing, server, 1)
    assert told.run() == []
    (message,) = got
    assert set(message) == {"text"} and "b: 1 files fail" in message["text"]


def test_the_recipe_for_mail(told, landing, server, folder):
    sendmail = folder / "sendmail"
    sendmail.write_text(f"#!/bin/sh\n[ \"$1\" = -t ] && cat > {folder}/mail\n")
    sendmail.chmod(0o755)
    told.command = program(folder, recipe("sendmail").replace("/usr/sbin/sendmail", str(sendmail)))
    told.write()
    fail_some(told, landing, server, 1)
    assert told.run() == []
    mail = email.message_from_string((folder / "mail").read_text())
    assert mail["To"] == "ops@example.org" and mail["Subject"].startswith("deliveries of ")
    assert mail.get_payload().startswith("b: 1 files fail")


@pytest.mark.parametrize("keys, word", [
    ('on = ["x"]\ncommand = ["true"]', "is not one of"), ('on = ["failed"]', "'command' is missing"),
    ('command = ["true"]\nevery = "1m"', "unknown key")])
def test_mistakes_are_found(configured, keys, word):
    configured.write(f'[route.all]\nto = ["b"]\n[notify.ops]\n{keys}\n')
    checked = configured.run("config", "check")
    assert checked.code == 2
    assert word in checked.stdout


def test_nobody_to_tell(configured):
    configured.write('[route.all]\nto = ["b"]\n')
    assert configured.run("notify").code == 2
