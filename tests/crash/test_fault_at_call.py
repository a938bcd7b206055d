"""The library that the campaign stands on: does it see every call, and strike where it is told?"""

import collections
import errno
import os
import re
import signal
import subprocess
import sys

import pytest

from crash import faults
from crash.bench import state_of
from crash.faults import BELOW, KINDS, Plan
from ferry_harness import SANITIZED, command, environment, eventually, put

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers and LD_PRELOAD do not go together")


@pytest.fixture
def room(folder):
    path = folder / BELOW.strip("/")
    path.mkdir()
    return path


@pytest.fixture
def plan(folder):
    return Plan(folder / "plan")


@pytest.fixture
def run(room, plan):
    """Runs some Python in ROOM, with the library."""

    def start(code):
        return subprocess.Popen([sys.executable, "-c", f"import os\n{code}"], cwd=room,
                                env=environment(plan.environment()), stderr=subprocess.PIPE,
                                text=True)
    return start


THREE_WRITES = """
fd = os.open("file", os.O_CREAT | os.O_WRONLY)
for _ in range(3):
    os.write(fd, b"12345678")
os.rename("file", "other")
"""


def test_calls_are_counted_and_named(room, plan, run):
    plan.count_all(faults.CHANGES)
    assert run(THREE_WRITES).wait() == 0
    names = [what.split()[0] for _, _, what in plan.calls()]
    assert names[1:] == ["write"] * 3 + ["rename"] and names[0].startswith("open")
    assert plan.calls()[-1][2].endswith(f"{room}/other")
    assert plan.fired == 0


@pytest.mark.parametrize("call, size", [(2, 0), (3, 8), (4, 16), (5, 24)])
def test_killed_before_the_call(room, plan, run, call, size):
    plan.arm(KINDS["kill"], call)
    running = run(THREE_WRITES)
    assert running.wait() == -signal.SIGKILL
    assert plan.fired_pid == running.pid
    assert (room / "file").stat().st_size == size


def test_killed_after_the_call(room, plan, run):
    plan.arm(KINDS["server-killed-after"], 3)
    assert run(THREE_WRITES).wait() == -signal.SIGKILL
    assert (room / "file").stat().st_size == 16


def test_torn(room, plan, run):
    plan.arm(KINDS["tear"], 2)
    assert run(THREE_WRITES).wait() == -signal.SIGKILL
    assert (room / "file").stat().st_size == 12


@pytest.mark.parametrize("synced", [0, 1, 2])
def test_what_was_not_synced_is_lost(room, plan, run, synced):
    plan.arm(KINDS["power-loss"], 4 + synced)
    assert run(f"""
fd = os.open("file", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"1234")
if {synced} > 0: os.fsync(fd)
os.pwrite(fd, b"5678", 4)
if {synced} > 1: os.fdatasync(fd)
os.rename("file", "other")
""").wait() == -signal.SIGKILL
    assert (room / "file").read_bytes() == [b"\0" * 8, b"1234" + b"\0" * 4, b"12345678"][synced]


def test_halted_and_continued(room, plan, run):
    plan.arm(KINDS["halt"], 3)
    running = run(THREE_WRITES)
    eventually(lambda: state_of(running.pid) == "T", what="the halt")
    assert (room / "file").stat().st_size == 8
    os.kill(running.pid, signal.SIGCONT)
    assert running.wait() == 0
    assert (room / "other").stat().st_size == 24


@pytest.mark.parametrize("kind, code", [
    ("EIO", "os.mkdir('d')"), ("ENOSPC", "os.mkdir('d')"), ("EINTR", "open('f', 'w')"),
    ("EMFILE", "os.open('.', os.O_RDONLY)"), ("unreadable", "os.stat('.')"),
    ("ENOLCK", "import fcntl; fcntl.lockf(open('f', 'w'), fcntl.LOCK_EX)"),
    ("ECONNRESET", "import socket; s = socket.socket(); s.connect(('127.0.0.1', 1))")])
def test_the_call_fails_as_told(plan, run, kind, code):
    plan.arm(KINDS[kind], 1)
    running = run(f"""
try:
    {code}
except OSError as error:
    os._exit(error.errno)
""")
    wanted = KINDS[kind].error
    if wanted == errno.EINTR:  # Python itself tries again
        assert running.wait() == 0 and plan.fired == 1
    else:
        assert running.wait() == wanted


def test_from_there_on_all_fail(room, plan, run):
    plan.arm(KINDS["EDQUOT"], 2)
    assert run("""
for name in "abc":
    try:
        os.mkdir(name)
    except OSError:
        pass
""").wait() == 0
    assert sorted(os.listdir(room)) == ["a"]
    assert plan.fired == 2


def test_all_threads_count_together_and_children_do_not(plan, run):
    plan.count_all(faults.CHANGES)
    assert run("""
import subprocess, threading
threads = [threading.Thread(target=os.mkdir, args=(name,)) for name in "abcd"]
for thread in threads: thread.start()
for thread in threads: thread.join()
subprocess.run(["mkdir", "e"])
""").wait() == 0
    assert [what.split()[0] for _, _, what in plan.calls()] == ["mkdir"] * 4


# Nothing that strace sees goes by unseen.

FAMILIES = {
    "open": r"open|creat", "create": r"mkdir|link\(|linkat\(|symlink",
    "write": r"write|pwrite64|writev|pwritev|f?truncate|sendfile|copy_file_range|fallocate",
    "rename": r"rename", "remove": r"unlink|rmdir", "sync": r"fsync|fdatasync|sync_file_range",
    "attribute": r"f?chmod|f?chown|utimens", "watch": r"inotify_add_watch",
    "lock": r"fcntl\(.*F_(OFD_)?SET(LKW?|LEASE)|flock",
}


# What SQLite reaches beneath the metastore's directory, which strace resolves only if it is opened.
HELD = re.compile(r'"/proc/self/fd/\d+/')


def seen_by_strace(folder):
    counts = collections.Counter()
    for path in folder.glob("trace.*"):
        for line in path.read_text(errors="replace").splitlines():
            for family, pattern in FAMILIES.items():
                if (BELOW in line or HELD.search(line)) and re.match(pattern, line):
                    counts[family] += 1
                    break
    return counts


def test_it_sees_what_strace_sees(folder, room, plan, server):
    landing, metastore, archive = room / "landing", room / "metastore", room / "archive"
    config = room / "ferry.toml"
    config.write_text(f'''metastore = "{metastore}"
[landing.in]
path = "{landing}"
empty = "quarantine"
[destination.b]
url = "{server.url(room / 'b')}"
identity = "{server.identity}"
known_hosts = "{server.known_hosts}"
use_agent = false
[route.all]
to = ["b"]
transforms = ["gzip"]
after = "archive"
archive = "{archive}"
''')
    for name, content in (("a", b"one"), ("in/b", b"two"), ("empty", b"")):
        put(landing / name, content)
    put(room / "input", b"uploaded")
    for args in (["watch", "--once"], ["transfer"], ["upload", room / "input"], ["transfer"],
                 ["quarantine", "release", "empty"], ["watch", "--once"],
                 ["compact", "--keep", "0s"]):
        plan.count_all(faults.CHANGES | faults.OPEN)
        ended = subprocess.run(
            ["strace", "-ff", "-qq", "-y", "-o", folder / "trace", "-E",
             f"LD_PRELOAD={faults.LIBRARY}", "-E", f"FERRY_CRASH_PLAN={plan.path}",
             *command(*args, "--config", config)],
            capture_output=True, text=True, env=environment(), check=False)
        assert ended.returncode == 0, ended.stderr
        seen = seen_by_strace(folder)
        for path in folder.glob("trace.*"):
            path.unlink()
        assert plan.count == sum(seen.values()) > 0, (args, seen, plan.calls())
