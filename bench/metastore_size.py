#!/usr/bin/env python3
"""Measures what a metastore costs: bytes on disk, and the time and memory of commands that ask it.

    FERRY=build/ferry bench/metastore_size.py [FILES …]

Each command is a process of its own. Where the program sqlite3 is installed, the same question is put to it on
the index.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

FERRY = os.environ.get("FERRY", "build/ferry")


def rows(count, pending):
    """Both tables, as a watcher and an agent leave them: the last PENDING files are not delivered."""
    files, transfers = [], []
    for number in range(count):
        name = f"0195f5a0-0000-7000-8000-{number:012x}"
        files.append({"id": name, "path": f"partner/2026-11/statement-{number:08}.csv",
                      "updated_date": "2026-11-24T12:00:00.000Z",
                      "checksum": f"sha256:{number:064x}", "landing": "partners", "size": 10240,
                      "mtime_ns": 10**18 + number, "ctime_ns": 10**18 + number, "inode": number + 1,
                      "device": 65024, "source": "watch"})
        if number >= count - pending:
            continue
        row = {"id": name, "transfer_status": "in_progress",
               "transfer_date": "2026-11-24T12:05:00.000Z", "destination": "warehouse",
               "batch_id": f"0195f5a1-0000-7000-8000-{number // 1000:012x}", "agent": "host-1-x",
               "attempt": 1}
        transfers.append(row)
        transfers.append({**row, "transfer_status": "successful", "bytes": 10240,
                          "duration_ms": 12, "remote_path": f"statement-{number:08}.csv",
                          "checksum": f"sha256:{number:064x}"})
    return files, transfers


def write(store, count, pending):
    (store / "metastore.json").write_text('{"format_version":1}\n')
    for table, content in zip(("file_registry", "transfer_logs"), rows(count, pending)):
        with open(store / f"{table}.jsonl", "w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in content)
    return sum(path.stat().st_size for path in store.glob("*.jsonl"))


def measure(*arguments):
    """Seconds, and MiB at the peak. time(1) stands between, for a child's peak begins with its parent's."""
    began = time.monotonic()
    ended = subprocess.run(["/usr/bin/time", "-f", "%M", *map(str, arguments)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - began, int(ended.stderr.split()[-1]) / 1024


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
        print(f"| {self.count:,} | {what} | {seconds:.3f} | {peak:.0f} | {beside} |", flush=True)

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


def main():
    counts = [int(word) for word in sys.argv[1:]] or [200_000, 1_000_000]
    sizes = []
    print("| files in the tables | command | seconds | peak MiB | sqlite3, seconds |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            size, index = measure_commands(pathlib.Path(folder), count, pending=count // 100)
            sizes.append((count, size, index))
    print()
    print("| files in the tables | tables MiB | index MiB | bytes a file |")
    print("| ---: | ---: | ---: | ---: |")
    for count, size, index in sizes:
        print(f"| {count:,} | {size / 2**20:.1f} | {index / 2**20:.1f} | {(size + index) / count:.0f} |")


if __name__ == "__main__":
    main()
