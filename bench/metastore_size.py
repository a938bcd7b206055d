#!/usr/bin/env python3
"""Measures what a metastore costs: bytes on disk, and processor time and memory of reading all of it.

    FERRY=build/ferry bench/metastore_size.py [FILES …]
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

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
    """Seconds of the processor, and MiB at the peak. time(1) stands between, for a child's peak begins with
    its parent's."""
    ended = subprocess.run(["/usr/bin/time", "-f", "%U %S %M", FERRY, *arguments],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    user, system, kib = map(float, ended.stderr.split())
    return user + system, kib / 1024


def main():
    counts = [int(word) for word in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    print("| files in the tables | MiB on disk | bytes a file | ferry status CPU s | peak MiB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            store = pathlib.Path(folder)
            size = write(store, count, pending=count // 100)
            seconds, peak = measure("status", "--metastore", folder)
            print(f"| {count:,} | {size / 2**20:.1f} | {size / count:.0f} | {seconds:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
