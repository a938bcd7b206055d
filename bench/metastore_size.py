#!/usr/bin/env python3
"""Measures what a metastore costs: bytes on disk, and the time and memory of commands that ask it.

    FERRY=build/ferry bench/metastore_size.py [--flow FILES | --no-flow] [FILES …]

Each command is a process of its own. Where the program sqlite3 is installed, the same question is put to it on
the index. Then what lands and what is delivered is timed, with so many small files (200,000).
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from metastore_flow import measure_flow

FERRY = os.environ.get("FERRY", "build/ferry")

FILE_ROW = (
    '{{"id":"0195f5a0-0000-7000-8000-{0:012x}","path":"partner/2026-11/statement-{0:08}.csv",'
    '"updated_date":"2026-11-24T12:00:00.000Z","checksum":"sha256:{0:064x}","landing":"partners",'
    '"size":10240,"mtime_ns":{1},"ctime_ns":{1},"inode":{0},"device":65024,"source":"watch",'
    '"state":"ready"}}\n')
CLAIM_ROW = (
    '{{"id":"0195f5a0-0000-7000-8000-{0:012x}","transfer_status":"in_progress",'
    '"transfer_date":"2026-11-24T12:05:00.000Z","destination":"warehouse",'
    '"batch_id":"0195f5a1-0000-7000-8000-{1:012x}","agent":"host-1-x","attempt":1}}\n')
SUCCESS_ROW = CLAIM_ROW.replace("in_progress", "successful").replace("}}\n", (
    ',"bytes":10240,"duration_ms":12,"remote_path":"statement-{0:08}.csv",'
    '"checksum":"sha256:{0:064x}"}}\n'))
FILES_IN_BATCH = 1_000


def write(store, count, pending):
    """Both tables, as a watcher and an agent leave them: the last PENDING files are not delivered."""
    (store / "metastore.json").write_text('{"format_version":1}\n')
    with open(store / "file_registry.jsonl", "w", encoding="ascii") as out:
        out.writelines(FILE_ROW.format(number, 10**18 + number) for number in range(count))
    with open(store / "transfer_logs.jsonl", "w", encoding="ascii") as out:
        for first in range(0, count - pending, FILES_IN_BATCH):
            numbers = range(first, min(first + FILES_IN_BATCH, count - pending))
            for row in (CLAIM_ROW, SUCCESS_ROW):
                out.writelines(row.format(number, first) for number in numbers)
    return sum(path.stat().st_size for path in store.glob("*.jsonl"))


def measure(*arguments):
    """Seconds, and MiB at the peak. time(1) stands between, for a child's peak begins with its parent's."""
    began = time.monotonic()
    ended = subprocess.run(["/usr/bin/time", "-f", "%M", *map(str, arguments)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - began, int(ended.stderr.split()[-1]) / 1024


def print_row(count, what, seconds, peak, beside=""):
    print(f"| {count:,} | {what} | {seconds:.3f} | {peak:.0f} | {beside} |", flush=True)


class Store:
    def __init__(self, folder, count, pending):
        self.path = folder / "metastore"
        self.landing = folder / "landing"
        self.count, self.pending = count, pending
        for directory in (self.path, self.landing, folder / "empty"):
            directory.mkdir()
        self.size = write(self.path, count, pending)
        self.config = folder / "ferry.toml"
        # Nobody listens there: what is measured does not go that far.
        self.config.write_text(f"""metastore = "{self.path}"
[landing.partners]
path = "{self.landing}"
[destination.warehouse]
url = "sftp://nobody@127.0.0.1:9/in"
""")

    def ask(self, what, *arguments, sql=None):
        seconds, peak = measure(FERRY, *arguments)
        beside = ""
        if sql and shutil.which("sqlite3"):
            beside = f"{measure('sqlite3', self.path / 'index.sqlite', sql)[0]:.3f}"
        print_row(self.count, what, seconds, peak, beside)

    def deliver_the_rest(self):
        with open(self.path / "transfer_logs.jsonl", "a", encoding="utf-8") as out:
            for number in range(self.count - self.pending, self.count):
                out.write(json.dumps({"id": f"0195f5a0-0000-7000-8000-{number:012x}",
                                      "transfer_status": "successful",
                                      "transfer_date": "2026-11-24T12:06:00.000Z",
                                      "destination": "warehouse"}) + "\n")


def measure_commands(folder, count, pending):
    store = Store(folder, count, pending)
    metastore = ("--metastore", store.path)
    config = ("--config", store.config)
    name = f"partner/2026-11/statement-{count // 2:08}.csv"
    store.ask("status, the first command: the index is built", "status", *config)
    store.ask("status", "status", *config,
              sql="SELECT destination, standing, files, bytes FROM class; SELECT destination, files FROM success")
    store.ask("list --status pending", "list", "--status", "pending", *config,
              sql="SELECT f.* FROM class c JOIN standing s ON s.class = c.id JOIN file f ON f.number = s.file "
                  "WHERE c.standing = 4")
    store.ask("history PATH", "history", name, *config,
              sql=f"SELECT * FROM file LEFT JOIN delivery ON file = number WHERE path = '{name}' AND landing = 1")
    store.ask("transfer --dry-run --json", "transfer", "--dry-run", "--json", *config,
              sql="SELECT f.* FROM class c JOIN standing s ON s.class = c.id JOIN file f ON f.number = s.file "
                  "WHERE c.is_open")
    store.ask("watch --once of an empty folder", "watch", "--once", "--landing", folder / "empty", *metastore)
    (folder / "empty/one.csv").write_text("one file more")
    store.ask("watch --once of one file more", "watch", "--once", "--landing", folder / "empty", *metastore)
    store.deliver_the_rest()
    store.ask(f"status, after {pending:,} rows that somebody appended", "status", *config)
    (folder / "empty/one.csv").unlink()
    store.ask("watch --once of a file that is gone", "watch", "--once", "--landing", folder / "empty", *metastore)
    store.ask("transfer, nothing to do", "transfer", *config)
    index = sum(path.stat().st_size for path in store.path.glob("index.sqlite*"))
    return store.size, index


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, metavar="FILES", default=[200_000, 1_000_000])
    parser.add_argument("--flow", type=int, metavar="FILES", default=200_000)
    parser.add_argument("--no-flow", action="store_const", const=0, dest="flow")
    return parser.parse_args()


def main():
    given = arguments()
    sizes = []
    print("| files in the tables | command | seconds | peak MiB | sqlite3, seconds |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for count in given.counts:
        with tempfile.TemporaryDirectory() as folder:
            size, index = measure_commands(pathlib.Path(folder), count, pending=count // 100)
            sizes.append((count, size, index))
    if given.flow:
        with tempfile.TemporaryDirectory() as folder:
            measure_flow(pathlib.Path(folder), given.flow,
                         lambda what, seconds, mib: print_row(given.flow, what, seconds, mib))
    print()
    print("| files in the tables | tables MiB | index MiB | bytes a file |")
    print("| ---: | ---: | ---: | ---: |")
    for count, size, index in sizes:
        print(f"| {count:,} | {size / 2**20:.1f} | {index / 2**20:.1f} | {(size + index) / count:.0f} |")


if __name__ == "__main__":
    main()
