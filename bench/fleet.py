#!/usr/bin/env python3
"""Measures a fleet: agents beside one another, one metastore in PostgreSQL, one OpenSSH server.

    FERRY=build/ferry bench/fleet.py [FILES [AGENTS …]]

Prints a Markdown table: files a second by the number of agents, and what each side took of the processors' time.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))

from ferry_harness import Server, command, environment, make_files, temporary_directory  # noqa: E402
from postgres_harness import Postgres  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def seconds_of(root):
    """What a process, its children that live, and those that it has waited for have used."""
    used = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat.parent.name == str(root):
            used += sum(map(int, fields[11:15]))
        elif fields[1] == str(root):
            used += sum(map(int, fields[11:13]))
    return used / TICK


class Measurement:
    """A landing area with FILES of 10 KiB, to be delivered by any number of agents."""

    def __init__(self, folder, files):
        self.folder, self.files = folder, files
        self.landing = folder / "landing"
        for number in range(0, files, 1000):
            make_files(self.landing / f"{number:06}", min(1000, files - number), 10 << 10,
                       prefix=f"{number}")
        self.postgres = Postgres("synchronous_commit=on", "fsync=on", "shared_buffers=256MB")
        self.server = Server(folder / "server", "MaxStartups 200:30:400", "MaxSessions 100")

    def end(self):
        self.server.stop()
        self.postgres.remove()

    def run(self, agents):
        """Files a second, and the shares of database, server and agents."""
        name = f"fleet_{agents}"
        location = self.postgres.make_database(name)
        options = ["--metastore", location, "--landing", self.landing]
        subprocess.run(command("watch", "--once", *options), check=True, env=environment(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        drop = self.server.root / name
        drop.mkdir()
        before = seconds_of(self.postgres.pid), seconds_of(self.server.pid)
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        fleet = [subprocess.Popen(
            command("transfer", *options, *self.server.options(drop), "--state-dir",
                    self.folder / f"state-{agents}-{number}", "--connections", 1 if agents > 4 else 2,
                    "--batch-files", 1000), env=environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) for number in range(agents)]
        codes = [agent.wait() for agent in fleet]
        took = time.monotonic() - began
        assert codes == [0] * agents, codes
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
        database = seconds_of(self.postgres.pid) - before[0]
        server = seconds_of(self.server.pid) - before[1]
        delivered = int(self.postgres.sql("SELECT count(*) FROM deliveries WHERE transfer_status = "
                                          "'successful'", name)[0])
        assert delivered == self.files, delivered
        shutil.rmtree(drop)
        return self.files / took, took, database, server, ours


def main():
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    fleets = [int(word) for word in sys.argv[2:]] or [1, 2, 4, 8, 16, 32]
    folder = temporary_directory()
    measurement = Measurement(folder, files)
    cores = os.cpu_count()
    try:
        print(f"{files} files of 10 KiB, {cores} cores for all\n")
        print("| agents | files/s | seconds | database | SSH server | agents | idle |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for agents in fleets:
            rate, took, *used = measurement.run(agents)
            shares = [100 * one / (took * cores) for one in used]
            row = [f"{agents}", f"{rate:.0f}", f"{took:.1f}", *(f"{one:.0f} %" for one in shares),
                   f"{max(0, 100 - sum(shares)):.0f} %"]
            print("| " + " | ".join(row) + " |", flush=True)
    finally:
        measurement.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
