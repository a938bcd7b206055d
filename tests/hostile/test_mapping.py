"""An uploader who writes through a shared mapping: no time tells of it, and where ferry may not take
leases, nobody does."""

import contextlib
import mmap
import multiprocessing

import pytest

from ferry_harness import make_big_file
from landing_site import checksum_of
from uploader import IS_ROOT, give_to_uploader

# Without the right to take leases of other accounts' files.
WITHOUT_LEASES = ("setpriv", "--bounding-set=-lease", "--inh-caps=-lease")


@contextlib.contextmanager
def mapped(path):
    """Writes to each page of the file, now; and other bytes after each call of what it yields."""
    def work(ready, change, done):
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
            def write(byte):
                for page in range(0, len(mapping), mmap.PAGESIZE):
                    mapping[page] = byte
            write(1)
            ready.set()
            for turn in range(2, 250):
                if done.wait(0.02):
                    return
                if change.is_set():
                    write(turn)

    context = multiprocessing.get_context("fork")
    ready, change, done = context.Event(), context.Event(), context.Event()
    writer = context.Process(target=work, args=(ready, change, done), daemon=True)
    writer.start()
    try:
        assert ready.wait(30)
        yield change.set
    finally:
        done.set()
        writer.join()


@pytest.mark.skipif(not IS_ROOT, reason="only root has another account")
def test_bytes_that_change_through_a_mapping_are_not_delivered_as_what_was_registered(site, folder):
    site = site(east='settle = "50ms"')
    path = folder / "east" / "big.bin"
    make_big_file(path, 24 << 20)
    give_to_uploader(path)
    with mapped(path) as change:
        watched = site.start("watch", "--once", "--json", under=WITHOUT_LEASES).wait()
        assert watched.code == 0 and '"registered":1' in watched.stdout, watched.stderr
        change()
        agent = site.start("transfer", "--json", "--bandwidth-limit", "16M",
                           under=WITHOUT_LEASES).wait()
    assert agent.code in (0, 1), agent.stderr
    target = site.server.root / "big.bin"
    if not target.exists():
        assert site.failures()["big.bin"][0]["kind"] == "abnormal"
        return
    (control,) = site.server.control_files()
    assert control["files"][0]["checksum"] == checksum_of(target.read_bytes())
