"""Memory stays bounded, whatever the files' sizes and however many are pending."""

import hashlib
import json
import os
import signal
import subprocess
import uuid

import pytest

from ferry_harness import SANITIZED, Process, eventually, put

MIB = 1 << 20
GIB = 1 << 30

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")


def measured(folder, arguments):
    """Starts ferry under time(1), which tells the maximum resident set: the figure of a direct
    child would include Python's own memory at the fork."""
    report = folder / "rss"
    process = Process(folder, *arguments, under=["/usr/bin/time", "-f", "%M", "-o", report])
    return process, lambda: int(report.read_text().split()[-1]) * 1024


def enter(metastore, landing, paths, content=b""):
    """Registers files by hand, each under the identity of the first."""
    metastore.mkdir()
    status = os.stat(landing / paths[0])
    row = {"updated_date": "2026-11-24", "checksum": hashlib.sha256(content).hexdigest(), "size": status.st_size,
           "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns,
           "inode": status.st_ino, "device": status.st_dev}
    with open(metastore / "file_registry.jsonl", "w", encoding="utf-8") as table:
        for path in paths:
            table.write(json.dumps({"id": str(uuid.uuid4()), "path": path, **row}) + "\n")


def test_a_huge_file(server, landing, folder, metastore, transfer_arguments):
    (landing / "huge").touch()
    os.truncate(landing / "huge", 64 * GIB)
    enter(metastore, landing, ["huge"])
    process, peak = measured(folder, transfer_arguments)
    seen = 0

    def enough():
        """What has arrived makes room for what comes: it is nothing but zeros."""
        nonlocal seen
        assert process.popen.poll() is None, process.wait().stderr
        for part in server.root.rglob(".huge.*.part"):
            seen += part.stat().st_blocks * 512
            subprocess.run(["fallocate", "--punch-hole", "--length", str(64 * GIB), part],
                           check=True)
        return seen > 2 * GIB

    eventually(enough, deadline=180, what="2 GiB at the other side")
    (ferry,) = children(process.popen.pid)
    os.kill(ferry, signal.SIGTERM)
    assert process.wait().code == 130
    assert peak() <= 32 * MIB


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as numbers:
        return [int(number) for number in numbers.read().split()]


def test_very_many_files(server, landing, folder, metastore, transfer_arguments):
    count = 200_000
    put(landing / "0", b"hello")
    paths = ["0", *(f"d{number % 100}/{number}" for number in range(1, count))]
    for directory in range(100):
        (landing / f"d{directory}").mkdir()
    for path in paths[1:]:
        os.link(landing / "0", landing / path)
    enter(metastore, landing, paths, b"hello")
    process, peak = measured(folder, transfer_arguments)
    ended = process.wait(timeout=600)
    assert ended.code == 0, ended.stderr[-500:]
    assert peak() <= 200 * MIB
