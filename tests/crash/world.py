"""One round's world: a landing area, a metastore, an archive, what B has, and who watches it."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import time

from crash.bench import state_of
from crash.observer import Observer
from crash.running import HANGS_AFTER, Running
from ferry_harness import USER, put


@dataclasses.dataclass
class File:
    """One version of a path: what lands, and what is to become of it."""

    path: str
    content: bytes
    # "delivered", "kept out", or "open": delivered once or not at all, as the records say.
    fate: str = "delivered"
    landing: str = "in"
    destinations: tuple = ("b",)
    name: str = ""             # at the destination, if it is another one
    decode: object = None      # from what arrives to CONTENT, where a transform changed it
    after: str = "keep"        # or "archive", "delete"
    ids: int = 1               # how often it is registered

    @property
    def remote(self):
        return self.name or self.path

    def is_what_arrived(self, content):
        if content is None:
            return False
        try:
            return (self.decode(content) if self.decode else content) == self.content
        except (OSError, EOFError, ValueError):
            return False

PATIENCE = {True: 'stall_timeout = "1s"\n', False: 'stall_timeout = "20s"\n'}


class World:
    """FAULT: (kind, call), or nothing."""

    def __init__(self, bench, fault=None):
        self.bench, self.fault = bench, fault
        name = bench.new_round()
        self.folder = bench.folder / name
        self.folder.mkdir(parents=True)
        self.elsewhere = bench.elsewhere / name if bench.elsewhere else None
        self.landing = self.folder / "landing"
        self.metastore = self.folder / "metastore"
        self.archive = self.folder / "archive"
        self.config = self.folder / "ferry.toml"
        self.files = []            # in the order in which they landed
        self.story = []            # every command
        self.rest = [("watch", "--once"), ("transfer",)]
        self.destinations = ()
        self.observer = Observer()
        self.complaints = []       # what is wrong already before the end
        self.is_halted = False     # a process is, by the fault
        self.halts_attended = False
        self.meanwhile = None      # what happens while a process is halted, or after it was killed
        self.rows_seen = collections.Counter()
        self.judge = None          # looks at every command that ended
        self.gone = set()          # paths that nobody has any more
        self.all_or_none = []      # files of which all or none are there
        self.held_at_rest = set()  # paths in quarantine
        self.children_count = False  # the fault may strike at what ferry starts, too
        self.sidecars = False      # beside each file at B there is its sum
        self.takes_back = False    # names at B may be given and taken back
        self.struck_call = ""
        self.configure()

    # Making.

    def configure(self, routes="", destinations=("b",), landing="", transfer="", destination="",
                  remote=False, archive=None):
        """Lines for the tables of the configuration. REMOTE: the landing area is a server's."""
        self.destinations = destinations
        self.archive = archive or self.archive
        server = self.bench.server
        account = (f'identity = "{server.identity}"\nknown_hosts = "{server.known_hosts}"\n'
                   "use_agent = false\n")
        self.landing.mkdir(exist_ok=True)
        where = (f'url = "sftp://{USER}@127.0.0.1:{server.port}{self.landing}"\n{account}'
                 'settle = "0s"\n' if remote else f'path = "{self.landing}"\n')
        text = (f'metastore = "{self.metastore}"\nlock_timeout = "2s"\n'
                f"[landing.in]\n{where}{landing}\n"
                '[watch]\nrescan_interval = "500ms"\npoll_interval = "300ms"\n'
                f'[transfer]\nretries = 4\nretry_delay = "5ms"\n{self.stall_timeout}'
                f'connect_timeout = "20s"\nretry_after = "100ms"\n{transfer}\n')
        for name in destinations:
            text += (f'[destination.{name}]\nurl = "{server.url(self.folder / name)}"\n{account}'
                     f"{destination}\n")
        self.config.write_text(text + routes)
        for name in destinations:
            self.observer.look_at(name, self.folder / name)
        self.observer.look_at("landing", self.landing)
        self.observer.look_at("archive", self.archive)

    def land(self, path, content, **keywords):
        """As a careful producer does. Content that says nothing about itself is made to."""
        file = self.expect(path, content, **keywords)
        put(self.landing / path, content)
        return file

    def expect(self, path, content, **keywords):
        file = File(path, content, **keywords)
        self.files.append(file)
        return file

    def known(self, path):
        return [file for file in self.files if file.path == path]

    def target(self, destination, file):
        return self.folder / destination / file.remote

    def close(self, keep=False):
        self.disarm()
        self.observer.stop()
        if keep:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.elsewhere:
            shutil.rmtree(self.elsewhere, ignore_errors=True)

    # Faults.

    @property
    def stall_timeout(self):
        """Short only where it must run out: the machine may be busy."""
        is_short = self.fault and self.fault[0].name == "server-halted"
        return PATIENCE[bool(is_short)]

    def arm(self):
        if self.fault:
            kind, call = self.fault
            self.plan.arm(kind, call)

    def disarm(self):
        if self.config.exists():
            self.config.write_text(self.config.read_text().replace(PATIENCE[True], PATIENCE[False]))
        self.struck_call = self.plan.call(self.fault[1]) if self.fault and self.plan.fired else ""
        for plan in (self.bench.plan, self.bench.server_plan):
            plan.disarm()
        self.continue_sessions()

    @property
    def plan(self):
        return (self.bench.server_plan if self.fault and self.fault[0].at == "server"
                else self.bench.plan)

    def continue_sessions(self):
        for pid in self.bench.sessions():
            if state_of(pid) == "T":
                self.signal(pid, signal.SIGCONT)

    def signal(self, pid, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    # Running.

    def start(self, *args, disturbed=True, stdin=None):
        return Running(self, args, disturbed, stdin)

    def ferry(self, *args, stdin=None):
        """Runs where the fault may strike."""
        return self.start(*args, stdin=stdin).wait()

    def undisturbed(self, *args, stdin=None):
        return self.start(*args, disturbed=False, stdin=stdin).wait()

    def prepare(self, *args, stdin=None):
        ended = self.undisturbed(*args, stdin=stdin)
        assert ended.code == 0, ended
        self.story.remove(ended)
        return ended

    def go_on(self):
        """What others do while one is halted."""
        self.is_halted = True
        self.do_meanwhile()
        for args in self.rest:
            self.undisturbed(*args)
        self.is_halted = False

    def do_meanwhile(self):
        """Once."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()

    def until(self, condition, running):
        """Until it is true, or the process ended. Too long is a complaint."""
        end = time.monotonic() + HANGS_AFTER / 4
        while running.is_running() and not condition():
            if self.plan.fired and not self.halts_attended:
                running.attend_halt()
                end = time.monotonic() + HANGS_AFTER / 4
            if self.plan.fired and self.fault[0].persistent:
                return  # it can do nothing
            if time.monotonic() > end:
                self.complaints.append(
                    f"it runs, and does nothing: {running.args}\n{running.log()}")
                return
            time.sleep(0.005)

    # Looking.

    def is_latest(self, file):
        return self.known(file.path)[-1] is file

    def is_in_place(self, file):
        with contextlib.suppress(OSError):
            return (self.landing / file.path).read_bytes() == file.content
        return False

    def is_registered(self, file):
        checksum = "sha256:" + hashlib.sha256(file.content).hexdigest()
        registry, _ = self.tables()
        return any((row["path"], row["checksum"]) == (file.path, checksum) for row in registry)

    def is_delivered(self, file):
        ids = {row["id"] for row in self.tables()[0] if row["path"] == file.path}
        return any(row["id"] in ids and row["transfer_status"] == "successful"
                   for row in self.tables()[1])

    def see_rows(self):
        """Remembers every row that was there once: nothing recorded may be lost."""
        for table in self.tables():
            self.rows_seen |= collections.Counter(map(json.dumps, table))

    def tables(self):
        """Whole rows only: one may be being written."""
        return [whole_rows(self.metastore / f"{name}.jsonl")
                for name in ("file_registry", "transfer_logs")]


def whole_rows(path):
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows
