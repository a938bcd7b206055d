"""Hosts that share a metastore in PostgreSQL, for the tests."""

import collections
import os
import signal

from ferry_harness import Process, eventually, run_ferry


class Fleet:
    """Hosts that know the same landing area and the same destination; each has a state directory."""

    _count = 0

    def __init__(self, postgres, folder, landing, server, more=""):
        Fleet._count += 1
        self.postgres, self.folder, self.landing, self.server = postgres, folder, landing, server
        self.database = f"fleet_{os.getpid()}_{Fleet._count}"
        self.location = postgres.make_database(self.database, more)
        self.agents = []

    def sql(self, text):
        return self.postgres.sql(text, self.database)

    def count(self, text):
        return int(self.sql(text)[0])

    def options(self, host="a", location=None):
        return ["--metastore", location or self.location]

    def state(self, host="a"):
        return {"STATE_DIRECTORY": str(self.folder / f"state-{host}")}

    def run(self, command, *arguments, host="a", location=None, env=None):
        return run_ferry(command, *arguments, *self.options(host, location),
                         env={**self.state(host), **(env or {})})

    def register(self):
        ended = self.run("watch", "--once", "--json", "--landing", self.landing)
        assert ended.code == 0, ended.stderr
        return ended.json["registered"]

    def transfer_arguments(self, host="a", location=None):
        return ["transfer", "--json", "--landing", self.landing, "--retry-delay", "50ms",
                *self.server.options(), *self.options(host, location), "--state-dir",
                self.folder / f"state-{host}"]

    def transfer(self, *options, host="a", location=None):
        return run_ferry(*self.transfer_arguments(host, location), *options)

    def start(self, *options, host="a", location=None):
        agent = Process(self.folder, *self.transfer_arguments(host, location), *options)
        self.agents.append(agent)
        return agent

    def end(self):
        for agent in self.agents:
            if agent.popen.poll() is None:
                agent.popen.send_signal(signal.SIGCONT)
                agent.kill()

    def standings(self):
        ended = self.run("list", "--json")
        assert ended.code == 0, ended.stderr
        return {line["path"]: line["status"] for line in ended.json_lines}

    def successes(self):
        """How often each path was successful."""
        return collections.Counter(self.sql(
            "SELECT f.path FROM transfer_logs l JOIN files f USING (id) "
            "WHERE l.transfer_status = 'successful'"))

    def listed(self):
        """How often each path is in a control file."""
        return collections.Counter(entry["path"] for control in self.server.control_files()
                                   for entry in control["files"])

    def check_each_once(self, paths):
        assert self.successes() == collections.Counter(paths)
        assert self.listed() == collections.Counter(paths)
        for path in paths:
            assert (self.server.root / path).read_bytes() == (self.landing / path).read_bytes(), path
        assert not self.server.leftovers()

    def paths(self):
        return [str(path.relative_to(self.landing)) for path in self.landing.rglob("*") if path.is_file()]


def upload_slowly(fleet, seconds, *options, **where):
    """An agent that takes so long for the file that lies there, once it has claimed it."""
    size = sum(path.stat().st_size for path in fleet.landing.rglob("*") if path.is_file())
    agent = fleet.start("--bandwidth-limit", f"{size // seconds}", *options, **where)
    eventually(lambda: fleet.count("SELECT count(*) FROM deliveries"), deadline=60, what="a claim")
    return agent


def take_for_dead(fleet):
    """As others would who miss an agent for long enough."""
    fleet.sql("UPDATE agents SET missed_since = now() - interval '1 minute'")
