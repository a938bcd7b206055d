"""What ends in the middle, and what the next run makes of it."""

import pytest
from cell import MIB
from ferry_harness import eventually, make_files
from gate import Gate


def test_killed_and_resumed(cell):
    """kill -9 in the middle of 1 GiB."""
    size = cell.sized(1024 * MIB)
    cell.put_big("large.bin", size)
    make_files(cell.landing, 50, 3000)
    cell.register()
    with Gate(cell.server.port) as gate:
        cell.configure(gate.port)
        run = cell.start("transfer", "--json")
        eventually(lambda: gate.bytes_up > size // 2 or run.popen.poll() is not None, deadline=150,
                   what="half of it")
        run.kill()
    cell.configure()
    cell.transfer()
    cell.check_delivered()


def test_server_killed_and_restarted(cell):
    cell.put_big("large.bin", cell.sized(300 * MIB))
    make_files(cell.landing, 200, 3000)
    cell.register()
    with Gate(cell.server.port) as gate:
        cell.configure(gate.port)
        run = cell.start("transfer", "--json")
        eventually(lambda: gate.bytes_up > 2 * MIB or run.popen.poll() is not None,
                   what="the first bytes")
        cell.server.restart()
        run.wait()
    cell.configure()
    cell.transfer()
    cell.check_delivered()


@pytest.mark.parametrize("back", ["all", 1, 5])
def test_cut(cell, back):
    """All connections are cut in the middle, and some of them come back: within the run."""
    size = cell.sized(300 * MIB)
    cell.put_big("large.bin", size)
    cell.register()
    with Gate(cell.server.port) as gate:
        cell.configure(gate.port)
        gate.cut_after(size // 3, limit=None if back == "all" else back)
        cell.transfer()
    cell.check_delivered()


def test_server_goes_away(cell):
    """It says so, nothing is lost, and the next run goes on."""
    cell.put_big("large.bin", cell.sized(100 * MIB))
    make_files(cell.landing, 100, 3000)
    cell.register()
    with Gate(cell.server.port) as gate:
        cell.configure(gate.port)
        gate.cut_after(MIB, limit=0)
        ended = cell.run("transfer", "--json", "--retries", "2")
        assert ended.code == 3, ended.stderr
    cell.configure()
    cell.transfer()
    cell.check_delivered()
