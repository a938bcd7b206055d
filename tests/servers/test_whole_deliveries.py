"""What a run delivers when nothing goes wrong on the way."""

import os

from cell import MIB
from ferry_harness import make_files, tables

KIB = 1 << 10


def test_small_files(cell):
    """300 in nested directories, with every kind of name."""
    make_files(cell.landing / "a" / "deeply" / "nested" / "directory", 150, 3000)
    make_files(cell.landing, 135, 20)
    for name in ("with space.csv", "Grüße aus 東京.csv", "-rf", "a'b\"c$HOME;.txt", "#x%20y",
                 "sub folder/ leading and trailing ", "ümläut/ö.dat"):
        cell.put(name, name.encode())
    for length in (200, 214, 215, 216, 240, 254, 255):
        cell.put("n" * (length - 4) + ".csv", b"%d" % length)
    cell.put("empty", b"")
    assert cell.register() == 300
    cell.transfer()
    cell.check_delivered()


def test_large_file(cell):
    cell.put_big("large.bin", cell.sized(300 * MIB))
    cell.register()
    cell.transfer()
    cell.check_delivered()


def test_sizes_around_chunks(cell):
    for mib in (1, 2, 4, 8):
        for more in (-1, 0, 1):
            cell.put(f"{mib}{more:+}.bin", os.urandom(mib * MIB + more))
    cell.register()
    cell.transfer()
    cell.check_delivered()


def test_mixed_sizes(cell):
    make_files(cell.landing / "small", 200, 5 * KIB)
    for number in range(6):
        cell.put_big(f"large-{number}.bin", cell.sized(20 * MIB))
    cell.register()
    cell.transfer()
    cell.check_delivered()


def test_new_version(cell):
    cell.put("small.csv", b"one")
    cell.put("large.bin", b"1" * (9 * MIB))
    cell.register()
    cell.transfer()
    cell.put("small.csv", b"two, and longer")
    cell.put("large.bin", b"2" * (5 * MIB))
    assert cell.register() == 2
    cell.transfer()
    cell.check_delivered()


def test_readback(cell):
    make_files(cell.landing, 20, 3000)
    cell.put_big("large.bin", cell.sized(60 * MIB))
    cell.register()
    cell.transfer("--verify", "readback")
    cell.check_delivered()


def test_all_or_nothing(cell):
    """One failure undoes what the run delivered; without it all of it is there."""
    make_files(cell.landing, 30, 3000)
    cell.put_big("large.bin", 12 * MIB)
    cell.register()
    with open(cell.landing / "file-00010.dat", "ab") as changed:
        changed.write(b"since it was registered")
    cell.transfer("--batch", "all-or-nothing", wanted=1)
    assert cell.files_at_b() == []
    assert cell.register() == 1
    cell.transfer("--batch", "all-or-nothing")
    cell.check_delivered()


def test_three_agents(cell):
    """At once, on 1,000 files: each is delivered once."""
    make_files(cell.landing, 1000, 500)
    cell.register()
    runs = [cell.start("transfer", "--json") for _ in range(3)]
    ended = [run.wait() for run in runs]
    assert [run.code for run in ended] == [0, 0, 0], [run.stderr[-1000:] for run in ended]
    assert sum(run.summary["successful"] for run in ended) == 1000
    _, logs = tables(cell.metastore)
    successes = [row["id"] for row in logs if row["transfer_status"] == "successful"]
    assert len(successes) == len(set(successes)) == 1000
    cell.check_delivered()
