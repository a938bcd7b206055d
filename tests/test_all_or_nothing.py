"""What a batch that is all or nothing leaves at the destination if it is rolled back, or its agent dies."""

import contextlib
import functools
import os
import threading

import pytest

import ferry_harness
from ferry_harness import Process, put, server_with

eventually = functools.partial(ferry_harness.eventually, deadline=60)
MANY = 4000

# Where there are no hard links, or no rename that replaces, too.
on_all_servers = pytest.mark.parametrize(
    "server", ["internal-sftp", "internal-sftp -P hardlink", "internal-sftp -P hardlink,posix-rename"],
    indirect=True, ids=["hardlink", "no hardlink", "plain"])


@pytest.fixture
def server(request, folder):
    running = server_with(folder, getattr(request, "param", "internal-sftp"))
    yield running
    running.stop()


@pytest.fixture
def arguments(transfer_arguments):
    return [*transfer_arguments, "--batch", "all-or-nothing", "--retries", "1", "--retry-delay", "10ms"]


def block(server, name):
    """No file can have this name."""
    (server.root / name / "in the way").mkdir(parents=True)


def contents(server):
    return {name: (server.root / name).read_bytes() for name in server.files()}


@on_all_servers
def test_rolled_back_the_earlier_versions_are_back(landing, server, register, ferry, arguments):
    earlier = {f"f{number}": b"earlier" for number in range(20)}
    for name, content in earlier.items():
        (server.root / name).write_bytes(content)
        put(landing / name, b"a new version")
    put(landing / "new", b"new")
    put(landing / "blocked", b"blocked")
    block(server, "blocked")
    register()
    ended = ferry(*arguments)
    assert ended.code == 1 and "rolled back" in ended.stderr
    assert contents(server) == earlier
    assert server.leftovers() == []


@on_all_servers
def test_nothing_is_left_of_what_was_replaced(landing, server, register, ferry, arguments):
    for name in ("a", "b"):
        (server.root / name).write_bytes(b"earlier")
        put(landing / name, b"a new version")
    (server.root / "link").symlink_to("a")
    put(landing / "link", b"no link")
    register()
    ended = ferry(*arguments)
    assert ended.code == 0, ended.stderr
    assert contents(server) == {"a": b"a new version", "b": b"a new version", "link": b"no link"}
    assert server.leftovers() == [] and not (server.root / "link").is_symlink()


class Replaced:
    """Runs an agent over MANY files that the destination has already, and kills it once some are replaced."""

    def __init__(self, folder, landing, server, register, arguments):
        self.server = server
        self.earlier = {f"f{number:04}": b"earlier %d" % number for number in range(MANY)}
        self.later = {name: b"later: " + content for name, content in self.earlier.items()}
        for name in self.earlier:
            (server.root / name).write_bytes(self.earlier[name])
            put(landing / name, self.later[name])
        register()
        agent = Process(folder, *arguments)
        eventually(self.named, what="some names")
        agent.kill()
        assert 0 < self.named() < MANY and not server.control_files()

    def named(self):
        """By their sizes: looking must not take longer than naming."""
        count = 0
        for name in self.earlier:
            # Without hard links there is a moment in which nothing has the name.
            with contextlib.suppress(FileNotFoundError):
                count += os.stat(self.server.root / name).st_size > len(b"earlier 9999")
        return count


@pytest.fixture
def replaced(folder, landing, server, register, arguments):
    return Replaced(folder, landing, server, register, arguments)


@on_all_servers
def test_a_killed_agents_batch_is_completed(server, ferry, arguments, replaced):
    ended = ferry(*arguments)
    assert ended.code == 0, ended.stderr
    assert contents(server) == replaced.later
    assert server.leftovers() == [] and len(server.control_files()) == 1


@on_all_servers
def test_a_killed_agents_batch_is_rolled_back(server, ferry, arguments, replaced):
    blocked = next(name for name in replaced.earlier
                   if not (server.root / name).exists()
                   or (server.root / name).read_bytes() == replaced.earlier[name])
    theirs = next(name for name in replaced.earlier
                  if (server.root / name).exists()
                  and (server.root / name).read_bytes() == replaced.later[name])
    put(server.root / theirs, b"somebody else's")
    (server.root / blocked).unlink(missing_ok=True)
    block(server, blocked)
    ended = ferry(*arguments)
    assert "rolled back" in ended.stderr and "somebody else" in ended.stderr
    expected = replaced.earlier | {theirs: b"somebody else's"}
    del expected[blocked]
    assert contents(server) == expected
    # What was replaced by neither of us stays where it can be found.
    assert {path.read_bytes() for path in server.leftovers()} <= {replaced.earlier[theirs],
                                                                  replaced.earlier[blocked]}


def test_rolled_back_a_file_of_somebody_else_stays(folder, landing, server, register, ferry, arguments):
    for number in range(MANY):
        put(landing / f"f{number:04}", b"ours")
    register()
    agent = Process(folder, *arguments)
    eventually(lambda: any(server.root.glob("f*")), what="some names")
    agent.kill()
    named = server.files()
    assert len(named) < MANY
    free = next(f"f{number:04}" for number in range(MANY) if f"f{number:04}" not in named)
    put(server.root / named[-1], b"theirs, not ours")
    put(server.root / named[0], b"his!")  # of the very size
    block(server, free)
    ended = ferry(*arguments)
    assert "rolled back" in ended.stderr and "somebody else" in ended.stderr
    assert contents(server) == {named[-1]: b"theirs, not ours", named[0]: b"his!"}
    assert server.leftovers() == []


@pytest.mark.parametrize("after", [50, 500, 2000])
def test_a_roll_back_that_was_cut_short_is_gone_on_with(folder, server, ferry, arguments, replaced, after):
    blocked = next(name for name in replaced.earlier
                   if (server.root / name).read_bytes() == replaced.earlier[name])
    (server.root / blocked).unlink()
    block(server, blocked)
    agent = Process(folder, *arguments)
    most = replaced.named()
    seen = threading.Event()

    def is_rolling_back():
        nonlocal most
        now = replaced.named()
        most = max(most, now)
        if now < most - after // 50 or agent.popen.poll() is not None:
            seen.set()
        return seen.is_set()

    eventually(is_rolling_back, what="the roll back")
    agent.kill()
    # Meanwhile the name has become free: what was begun to be taken back is taken back all the same.
    (server.root / blocked / "in the way").rmdir()
    (server.root / blocked).rmdir()
    ferry(*arguments, "--idle-exit-code", "99")
    left = contents(server)
    assert left in (replaced.earlier, replaced.later,
                    {name: content for name, content in replaced.earlier.items() if name != blocked})
