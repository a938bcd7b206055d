#!/usr/bin/env python3
"""Measures the metastore in PostgreSQL by build/metastore_speed: over a Unix socket, and over a slow line.

    FERRY=build/ferry bench/postgres_speed.py [FILES [PENDING [ROUND_TRIP_MS]]]

FILES are in the registry, delivered; PENDING are registered, claimed and recorded, three times.
"""

import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))

from ferry_harness import FERRY, temporary_directory  # noqa: E402
from line_proxy import Line  # noqa: E402
from postgres_harness import Postgres  # noqa: E402


def measure(title, location, files, pending):
    print(f"{title}:", flush=True)
    subprocess.run([FERRY.with_name("metastore_speed"), location, str(files), str(pending)], check=True)


def main():
    given = [int(word) for word in sys.argv[1:]]
    files, pending, round_trip = given + [1_000_000, 10_000, 6][len(given):]
    folder = temporary_directory()
    postgres = Postgres("synchronous_commit=on", "fsync=on", "shared_buffers=256MB")
    try:
        location = postgres.make_database()
        measure("over a Unix socket", location, files, pending)
        with Line(folder, postgres.port, "--delay-ms", (round_trip + 1) // 2) as line:
            measure(f"over a line with a round trip of {round_trip} ms",
                    postgres.location(port=line.port), files, pending)
    finally:
        postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
