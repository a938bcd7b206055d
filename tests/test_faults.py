"""Lines that break, agents that die, sources that change: all arrives, whole and once."""

import collections
import dataclasses
import filecmp
import json
import os
import pathlib
import random
import threading
import time

import pytest

from ferry_harness import (SANITIZED, USER, Process, Server, eventually, make_big_file,
                           make_files, put, relative_files, run_ferry, tables)
from line_proxy import Line, known_hosts_for

MIB = 1 << 20
GIB = 1 << 30
LOGIN_BYTES = 6000  # about what a client sends until it may send files
OF_THE_LINE = {"connection_lost", "unreachable"}  # kinds of errors that a broken line may cause


@dataclasses.dataclass
class Delivery:
    """From a landing area to the destination "b", which stays itself whatever line leads there."""

    folder: pathlib.Path
    server: object
    target: pathlib.Path

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.landing = self.folder / "landing"
        self.landing.mkdir()
        self.metastore = self.folder / "metastore"
        self.config = self.folder / "ferry.toml"
        self.use(self.server)

    def use(self, line):
        """The server itself is a line without faults."""
        known_hosts = known_hosts_for(self.server, line.port, self.folder / "known_hosts")
        self.config.write_text(
            f'metastore = "{self.metastore}"\n[landing.in]\npath = "{self.landing}"\n'
            f'[destination.b]\nurl = "sftp://{USER}@127.0.0.1:{line.port}{self.target}"\n'
            f'identity = "{self.server.identity}"\nknown_hosts = "{known_hosts}"\n'
            'use_agent = false\n')

    def register(self):
        ended = run_ferry("watch", "--once", "--json", "--config", self.config)
        assert ended.code == 0, ended.stderr
        return ended.json["registered"]

    def run(self, *options, timeout=120):
        return run_ferry("transfer", "--json", "--config", self.config, *options, timeout=timeout)

    def start(self, *options):
        return Process(self.folder, "transfer", "--json", "--config", self.config, *options)

    def status(self):
        return run_ferry("status", "--json", "--config", self.config).json

    def arrived(self):
        return [name for name in relative_files(self.target)
                if not os.path.basename(name).startswith(".")
                and not name.endswith(".control.json")]

    def leftovers(self):
        return [name for name in relative_files(self.target)
                if os.path.basename(name).startswith(".")]

    def times_successful(self):
        _, logs = tables(self.metastore)
        return collections.Counter(row["id"] for row in logs
                                   if row["transfer_status"] == "successful")

    def last_rows(self):
        _, logs = tables(self.metastore)
        return {row["id"]: row for row in logs}

    def errors(self):
        return [row["error"] for row in self.last_rows().values()
                if row["transfer_status"] == "failed"]

    def faults(self):
        """What keeps B from having every file, with its bytes, and nothing else."""
        wanted, arrived = set(relative_files(self.landing)), set(self.arrived())
        differing = [name for name in wanted & arrived
                     if not filecmp.cmp(self.landing / name, self.target / name, shallow=False)]
        return {what: sorted(names)[:5]
                for what, names in {"missing": wanted - arrived, "extra": arrived - wanted,
                                    "differing": differing, "left": self.leftovers()}.items()
                if names}


@pytest.fixture
def delivery(folder, server):
    return Delivery(folder, server, server.root)


@pytest.fixture
def line(folder, server):
    """Makes lines to the server."""
    made = []

    def make(*options):
        made.append(Line(folder, server.port, *options))
        return made[-1]

    yield make
    for each in made:
        each.stop()


class Reader:
    """Looks at PATH all the time; collects what was neither absent nor the whole of WANTED."""

    def __init__(self, path, wanted):
        self._path, self._wanted = path, wanted
        self.wrong = []
        self.seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _look(self):
        size = self._wanted.stat().st_size
        choose = random.Random(1)
        with open(self._wanted, "rb") as wanted:
            while not self._stop.wait(0.002):
                try:
                    with open(self._path, "rb") as there:
                        self.seen += 1
                        self._compare(there, wanted, size, choose)
                except FileNotFoundError:
                    pass

    def _compare(self, there, wanted, size, choose):
        if os.fstat(there.fileno()).st_size != size:
            self.wrong.append(("size", os.fstat(there.fileno()).st_size))
            return
        for offset in (0, choose.randrange(size), max(0, size - 4096)):
            there.seek(offset)
            wanted.seek(offset)
            if there.read(4096) != wanted.read(4096):
                self.wrong.append(("bytes at", offset))


def put_mixed_files(folder, count, largest):
    """From empty ones to LARGEST, mostly small."""
    choose = random.Random(count)
    sizes = [0, largest, *(int(largest * choose.random() ** 8) for _ in range(count - 2))]
    for number, size in enumerate(sizes):
        put(folder / f"d{number % 7}" / f"{number:04}.bin", choose.randbytes(size))


def test_an_agent_killed_twenty_times_resumes_and_a_reader_never_sees_a_part(delivery, line):
    size, kills = (GIB // 4 if SANITIZED else GIB), 20
    choose = random.Random(20)
    counting = line()
    delivery.use(counting)
    make_big_file(delivery.landing / "big.bin", size)
    assert delivery.register() == 1
    with Reader(delivery.target / "big.bin", delivery.landing / "big.bin") as reader:
        for number in range(kills):
            agent = delivery.start()
            progress = choose.randrange(LOGIN_BYTES if number % 4 == 0 else size // 13)
            enough = counting.counts()["to_server"] + progress
            eventually(lambda: counting.counts()["to_server"] >= enough
                       or agent.popen.poll() is not None, deadline=60, what="progress")
            assert agent.popen.poll() is None, agent.wait().stderr
            agent.kill()
        ended = delivery.run()
        assert ended.code == 0, ended.stderr
        eventually(lambda: reader.seen > 0, what="a look at the whole file")
    assert reader.wrong == []
    assert delivery.faults() == {}
    assert counting.counts()["to_server"] <= 1.2 * size + kills * 16 * MIB
    assert set(delivery.times_successful().values()) == {1}


def send_half_and_set_back(delivery):
    """B's part loses what was noted of it, and shows an older time."""
    make_big_file(delivery.landing / "big.bin", 64 * MIB)
    assert delivery.register() == 1
    agent = delivery.start("--bandwidth-limit", "10M")
    journals = delivery.metastore / "journals"
    eventually(lambda: any('"modified"' in file.read_text() for file in journals.glob("*.jsonl")),
               what="a range that is noted")
    agent.kill()
    (part,) = delivery.target.glob(".big.bin.*.part")
    (journal,) = journals.glob("*.jsonl")
    noted = json.loads(journal.read_text().splitlines()[1])
    before = part.stat().st_mtime - 60
    with part.open("r+b") as file:
        file.seek(noted["begin"])
        file.write(bytes(noted["end"] - noted["begin"]))
    os.utime(part, (before, before))


@pytest.mark.parametrize("may_read", [True, False], ids=["", "and may not be read"])
def test_a_part_that_the_server_has_set_back_is_begun_anew(delivery, folder, may_read):
    send_half_and_set_back(delivery)
    if not may_read:
        delivery.server = Server(folder / "blind", "ForceCommand internal-sftp -P read")
        delivery.use(delivery.server)
    ended = delivery.run()
    if not may_read:
        delivery.server.stop()
    assert ended.code == 0, ended.stderr
    assert delivery.faults() == {}
    assert delivery.arrived() == ["big.bin"]


@pytest.mark.parametrize("faults", [
    ("--cut-random", "5000:30000000", "--cut-with", "either", "--max-faults", 12, "--seed", 3),
    ("--cut-random", "3000:60000", "--max-faults", 5, "--seed", 4),
    ("--stall-random", "100000:30000000", "--max-faults", 3, "--seed", 5),
], ids=["cut", "cut early", "stall"])
def test_all_files_arrive_over_a_line_that_fails_now_and_then(delivery, line, faults):
    broken = line(*faults)
    delivery.use(broken)
    count = 100 if SANITIZED else 500
    put_mixed_files(delivery.landing, count, 8 * MIB)
    assert delivery.register() == count
    # No file can be hit more often than the line fails.
    ended = delivery.run("--stall-timeout", "2s", "--retries", "12")
    assert ended.code == 0, delivery.errors()[:3] or ended.stderr
    assert broken.counts()["faults"] > 0
    assert delivery.faults() == {}
    times = delivery.times_successful()
    assert (len(times), set(times.values())) == (count, {1})


@pytest.mark.parametrize("faults", [
    ("--cut-random", "500:3000"),
    ("--cut-random", "8000:30000"),
    ("--stall-random", "8000:30000"),
], ids=["cut in the login", "cut before the first write is through", "stall"])
def test_a_line_that_never_holds_ends_the_run_with_the_right_records(delivery, line, faults):
    delivery.use(line(*faults))
    make_files(delivery.landing, 8, MIB)
    assert delivery.register() == 8
    ended = delivery.run("--stall-timeout", "1s", "--retries", "2", timeout=60)
    assert ended.code in (1, 3), ended.stderr[-2000:]
    assert same_content(delivery, delivery.arrived())
    counts = delivery.status()
    assert counts["in_progress"] == 0
    assert counts["pending"] + counts["failed"] + counts["successful"] == 8
    if ended.code == 1:
        assert counts["failed"] == ended.summary["failed"] > 0
    for error in delivery.errors():
        assert error["kind"] in OF_THE_LINE and error["retryable"] is True, error

    delivery.use(delivery.server)
    assert delivery.run().code == 0
    assert delivery.faults() == {}
    assert set(delivery.times_successful().values()) == {1}


def same_content(delivery, names):
    return all((delivery.target / name).read_bytes() == (delivery.landing / name).read_bytes()
               for name in names)


def test_refused_further_connections_cost_nothing_but_speed(delivery, line):
    make_big_file(delivery.landing / "big.bin", GIB // 2)
    delivery.register()
    refused = [1] * 20
    with_one = line("--delay-ms", 5, "--cut-after-bytes", ",".join(map(str, [1 << 62] + refused)))
    delivery.use(with_one)
    ended = delivery.run("--connections", 8)
    assert ended.code == 0, ended.stderr
    assert delivery.faults() == {}
    assert 2 <= with_one.counts()["connections"] <= 3


def test_connections_that_do_not_come_back_are_no_failure_once_another_did_the_work(delivery, line):
    make_big_file(delivery.landing / "big.bin", GIB // 4)
    delivery.register()
    cut = [1 << 62, 8 * MIB, 8 * MIB, 8 * MIB] + [1] * 20
    with_one = line("--delay-ms", 5, "--cut-after-bytes", ",".join(map(str, cut)))
    delivery.use(with_one)
    ended = delivery.run("--connections", 4, "--retries", 2, "--retry-delay", "10ms")
    assert with_one.counts()["faults"] > 3
    assert ended.code == 0, ended.stderr
    assert delivery.faults() == {}


def test_eight_agents_of_which_three_are_killed_deliver_each_file_once(delivery, line):
    count = 1500 if SANITIZED else 10_000
    delivery.use(line("--delay-ms", 5))
    make_files(delivery.landing, count, 300)
    assert delivery.register() == count
    agents = [delivery.start() for _ in range(8)]
    for share in (0.15, 0.4, 0.65):
        eventually(lambda share=share: arrived_count(delivery) > share * count, deadline=60,
                   what=f"{share:.0%} of the files")
        victim = next(agent for agent in agents if agent.popen.poll() is None)
        victim.kill()
        agents.remove(victim)
        agents.append(delivery.start())
    runs = [agent.wait() for agent in agents]
    assert {run.code for run in runs} == {0}, [run.stderr[-3000:] for run in runs if run.code]
    times = delivery.times_successful()
    assert (len(times), set(times.values())) == (count, {1})
    assert delivery.faults() == {}


def arrived_count(delivery):
    with os.scandir(delivery.target) as entries:
        return sum(not entry.name.startswith(".") for entry in entries)


def replace_by_rename(path, content):
    put(path, content)


def write_in_place(path, content):
    path.write_bytes(content)


@pytest.mark.parametrize("change", [replace_by_rename, write_in_place])
def test_a_source_that_changed_after_a_kill_is_never_mixed(delivery, line, change):
    size = (32 if SANITIZED else 128) * MIB
    counting = line()
    delivery.use(counting)
    choose = random.Random(4)
    old, new = choose.randbytes(size), choose.randbytes(size)
    put(delivery.landing / "big.bin", old)
    assert delivery.register() == 1
    agent = delivery.start()
    eventually(lambda: counting.counts()["to_server"] > size // 3
               or agent.popen.poll() is not None, what="a third of the file")
    assert agent.popen.poll() is None, agent.wait().stderr
    agent.kill()
    assert delivery.arrived() == []

    change(delivery.landing / "big.bin", new)
    assert delivery.register() == 1
    ended = delivery.run()
    assert ended.code == 0, ended.stderr
    assert ended.summary["successful"] == 1
    assert (delivery.target / "big.bin").read_bytes() == new


def test_a_reply_lost_anywhere_near_the_rename_is_not_an_error(folder, server, line):
    """The last replies of a delivery are those to the renames and what is around them."""
    content = b"a small file\n" * 300
    clean = line()
    assert deliver_one(folder / "clean", server, clean, content).code == 0
    whole = clean.counts()["to_client"]
    # A reply takes at least 80 bytes, encrypted and authenticated.
    positions = range(whole - 1, whole - 1200, -120 if SANITIZED else -40)
    cuts = 0
    for position in positions:
        broken = line("--cut-to-client-after", position)
        ended = deliver_one(folder / str(position), server, broken, content)
        assert ended.code in (0, 1, 3), (position, ended.stderr)
        cuts += broken.counts()["faults"]
        broken.stop()
    assert cuts > len(positions) / 2


def deliver_one(folder, server, through, content):
    """One file by one run, or by the next where the first one failed for the line's sake."""
    delivery = Delivery(folder, server, server.root / folder.name)
    delivery.use(through)
    put(delivery.landing / "one.dat", content)
    assert delivery.register() == 1
    ended = delivery.run()
    for error in delivery.errors():
        assert error["kind"] in OF_THE_LINE, (folder.name, error)
    if ended.code != 0:
        again = delivery.run()
        assert again.code == 0, (folder.name, again.stderr)
    assert (delivery.target / "one.dat").read_bytes() == content
    assert delivery.faults() == {}, folder.name
    assert list(delivery.times_successful().values()) == [1]
    return ended


@pytest.mark.parametrize("end", ["deadline", "interrupt"])
def test_what_a_slow_line_took_is_not_sent_again(delivery, line, end):
    """With as many connections as are the default: no chunk is ever whole when the run ends."""
    size = 64 * MIB
    make_big_file(delivery.landing / "big.bin", size)
    delivery.register()
    through = line()
    delivery.use(through)
    slowly = ("--bandwidth-limit", "4M")
    for _ in range(3):
        before = sent_through(through)
        if end == "deadline":
            assert delivery.run(*slowly, "--deadline", "3s").code == 1
            continue
        agent = delivery.start(*slowly)
        eventually(lambda: sent_through(through) > before + 8 * MIB, what="some of the file")
        assert agent.stop().code == 130
    sent = sent_through(through)
    assert sent > 3 * MIB
    assert delivery.run().code == 0
    assert delivery.faults() == {}
    assert sent_through(through) < 1.1 * size + 3 * MIB, (sent, sent_through(through))


def sent_through(line):
    return line.counts()["to_server"]


def test_the_same_bytes_that_land_again_during_a_batch_are_not_abnormal(delivery):
    make_big_file(delivery.landing / "big.bin", 16 * MIB)
    make_files(delivery.landing, 20, 1000)
    delivery.register()
    agent = delivery.start("--bandwidth-limit", "4M", "--connections", "1")
    eventually(delivery.last_rows, what="a claim")
    for path in delivery.landing.glob("file-*"):
        put(path, path.read_bytes())
    assert delivery.register() == 0
    agent.wait()
    assert delivery.run().code == 0
    held = run_ferry("quarantine", "list", "--config", delivery.config)
    assert (held.code, held.stdout) == (0, "")
    assert delivery.faults() == {}
    assert set(delivery.times_successful().values()) == {1}


def test_a_connection_that_ends_during_a_transform_costs_no_time(delivery, line):
    """What waits for the transform does so without a loop that turns for nothing."""
    go = delivery.folder / "go"
    delivery.config.write_text(
        delivery.config.read_text() + '[route.all]\nto = ["b"]\ntransforms = ["wait"]\n'
        "[transform.wait]\n"
        f'command = ["sh", "-c", "until [ -e {go} ]; do sleep 0.05; done; cat"]\n')
    through = line()
    delivery.config.write_text(delivery.config.read_text().replace(
        f":{delivery.server.port}/", f":{through.port}/"))
    known_hosts_for(delivery.server, through.port, delivery.folder / "known_hosts")
    put(delivery.landing / "a.csv", b"a")
    delivery.register()
    agent = delivery.start()
    eventually(delivery.last_rows, what="a claim")
    through.cut()
    before, until = cpu_seconds(agent.popen.pid), time.monotonic() + 3
    eventually(lambda: time.monotonic() > until, what="three seconds")
    spent = cpu_seconds(agent.popen.pid) - before
    go.touch()
    assert agent.wait().code == 0
    assert delivery.faults() == {}
    assert spent < 1


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_over(doomed, delivery, *options):
    """A run that has delivered a small file, and has a large one in hand."""
    make_big_file(delivery.landing / "big.bin", 64 * MIB)
    put(delivery.landing / "small.csv", b"small")
    delivery.register()
    delivery.use(doomed)
    agent = delivery.start("--bandwidth-limit", "4M", *options)
    eventually((delivery.target / "small.csv").exists, what="the small file")
    return agent


def test_no_part_stays_of_which_nothing_is_noted(delivery, line):
    make_big_file(delivery.landing / "first.bin", 4 * MIB)
    delivery.register()
    assert delivery.run().code == 0
    make_big_file(delivery.landing / "big.bin", 8 * MIB)
    delivery.register()
    delivery.use(line("--cut-random", "150000:200000", "--max-faults", "21"))
    assert delivery.run("--connections", "1", "--retry-delay", "10ms").code == 1
    assert delivery.server.leftovers() == []
    assert delivery.run().code == 0
    assert delivery.faults() == {}


def lose_with_the_connection(delivery, line, *options):
    """A server that is restarted, or gives its place to another, has what it had before."""
    through = line()
    agent = start_over(through, delivery, *options)
    (delivery.target / "small.csv").unlink()
    through.cut()
    return agent


def test_what_is_lost_as_a_connection_ends_is_in_no_list(delivery, line):
    lose_with_the_connection(delivery, line).wait()
    assert delivery.run().code == 0
    assert delivery.faults() == {}


def test_an_agent_that_follows_sends_again_what_is_lost_as_a_connection_ends(delivery, line):
    agent = lose_with_the_connection(delivery, line, "--follow")
    eventually((delivery.target / "small.csv").exists, deadline=60, what="the small file again")
    assert agent.stop().code in (0, 1)
    assert delivery.faults() == {}


def test_a_destination_that_goes_for_good_in_the_middle(delivery, line):
    """Exit code 3: files are left over because it could not be reached any more."""
    doomed = line()
    agent = start_over(doomed, delivery, "--retries", "2", "--retry-delay", "10ms")
    doomed.stop()
    ended = agent.wait()
    assert ended.code == 3, ended.stderr
    assert ended.summary["failed"] >= 1
    assert ended.summary["error"]["kind"] in OF_THE_LINE
    delivery.use(delivery.server)
    assert delivery.run().code == 0
    assert delivery.faults() == {}


def connections_to(port):
    """The ports that they come from."""
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [row.split()[1:4] for row in rows]
    return {here for here, there, state in ends if state == "01" and there.endswith(f":{port:04X}")}


def test_a_stop_is_heard_while_what_is_left_of_a_batch_waits_for_the_server(delivery, line):
    doomed = line()
    agent = start_over(doomed, delivery, "--connections", "1", "--retries", "1",
                       "--stall-timeout", "2s", "--connect-timeout", "10m")
    before = connections_to(doomed.port)
    doomed.freeze()
    eventually(lambda: connections_to(doomed.port) - before, what="the connection to list it by")
    assert agent.stop().code == 130
    delivery.use(delivery.server)
    assert delivery.run().code == 0
    assert delivery.faults() == {}
