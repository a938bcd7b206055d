"""The same interference again and again, each time at another moment."""

import filecmp
import random

import pytest
from cell import MIB
from ferry_harness import eventually
from gate import Gate

TWO_CONNECTIONS = 32 * MIB  # take a file of this size
SEVERAL_CONNECTIONS = 160 * MIB


def rounds(cell, count):
    return range(max(3, int(count * cell.scale)))


def check(cell, name):
    """The bytes, and what is recorded."""
    if cell.server.writes_behind:
        eventually(lambda: (cell.root / name).exists()
                   and (cell.root / name).stat().st_size == (cell.landing / name).stat().st_size,
                   what=f"{name} on the disk")
    assert filecmp.cmp(cell.landing / name, cell.root / name, shallow=False), f"{name} is corrupt"
    assert cell.is_recorded(name)
    (cell.landing / name).unlink()
    (cell.root / name).unlink()


@pytest.mark.kinds("openssh", "proftpd-hidden-stores", "sftpgo-atomic", "rclone",
                   "rclone-1.60-writes")
def test_resume_rounds(cell):
    """A large file through several handles; every second run is killed somewhere, and resumed."""
    cell.is_tampered_with = True  # what was checked is removed
    chance = random.Random(1)
    with Gate(cell.server.port) as gate:
        cell.configure(gate.port)
        for number in rounds(cell, 50):
            name = f"{number}.bin"
            cell.put_big(name, TWO_CONNECTIONS)
            cell.register()
            if number % 2:
                limit = gate.bytes_up + chance.randrange(TWO_CONNECTIONS)
                run = cell.start("transfer", "--json")
                eventually(lambda: gate.bytes_up >= limit or run.popen.poll() is not None,
                           what="a part of it")
                run.kill()
            cell.transfer()
            check(cell, name)


@pytest.mark.kinds("openssh")
def test_cut_rounds(cell):
    """All connections of a transfer in chunks are cut somewhere, and some of them come back."""
    cell.is_tampered_with = True
    chance = random.Random(2)
    with Gate(cell.server.port) as gate:
        cell.configure(gate.port)
        for number in rounds(cell, 100):
            name = f"{number}.bin"
            cell.put_big(name, SEVERAL_CONNECTIONS)
            cell.register()
            gate.limit = None
            gate.cut_after(chance.randrange(SEVERAL_CONNECTIONS), limit=chance.choice([None, 1, 2, 3, 5]))
            cell.transfer()
            check(cell, name)
