"""An uploader who swaps things under ferry's feet."""

import contextlib
import os
import shutil
import time

import pytest

from ferry_harness import SANITIZED, put
from landing_site import Meddler
from uploader import SECONDS, until_time_is_up


def swap_directory_for_link(area, canary):
    """What a hostile uploader does, again and again."""
    real, aside = area / "d", area / ".aside"

    def work(_):
        try:
            real.rename(aside)
            real.symlink_to(canary)
        except OSError:
            pass
        time.sleep(0.001)
        try:
            real.unlink()
        except OSError:
            pass  # moved to quarantine
        try:
            aside.rename(real)
        except OSError:
            pass
    return work


@pytest.mark.skipif(SANITIZED, reason="sanitizers and ptrace do not go together")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_nothing_outside_of_the_landing_area_is_read_whatever_an_uploader_swaps(site, folder,
                                                                                server):
    site = site(east="")
    east, canary = folder / "east", folder / "canary"
    names = [f"{number:02}.csv" for number in range(20)]
    for name in names:
        put(canary / name, b"CANARY " * 100)
        put(east / "d" / name, b"lawful " * 100)
    traces = [folder / "watch.trace", folder / "transfer.trace"]
    trace = lambda file: ("strace", "-f", "-y", "-e",  # noqa: E731
                          "trace=open,openat,openat2,read,pread64", "-o", str(file))
    with site.watching("--rescan-interval", "200ms", under=trace(traces[0])):
        opened = 0
        with Meddler(swap_directory_for_link(east, canary)) as swapper:
            for turn in until_time_is_up(3 * SECONDS):
                put(east / f"{turn}.csv", b"lawful too")
                touch(east / "d", names[turn % 4::4])
                agent = site.start("transfer", "--json", under=trace(traces[1])).wait()
                assert agent.code in (0, 1), agent.stderr
                opened += check_trace(traces[1], canary)
        assert swapper.rounds > 100
    assert opened > 0 and check_trace(traces[0], canary) > 0
    for name in server.files():
        assert b"CANARY" not in (server.root / name).read_bytes()
    held = [file for file in site.held() if file["kind"] == "symbolic link"]
    assert all(file["reason"] == "it is a symbolic link" for file in held)


def touch(directory, names):
    """New versions, where the directory is the real one just now."""
    with contextlib.suppress(OSError):
        here = os.open(directory, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        for name in names:
            os.utime(name, dir_fd=here)
        os.close(here)


def check_trace(trace, canary):
    """No descriptor that the program got leads to the canary. How many files it opened safely."""
    lines = trace.read_text(errors="replace").splitlines()
    assert [line for line in lines if f"<{canary}" in line] == []
    return sum("openat2(" in line for line in lines)
