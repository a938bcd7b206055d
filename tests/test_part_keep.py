"""Part files at the destination that nobody goes on with: part_keep = …"""

import contextlib
import glob
import os
import shutil
import time

import pytest

from ferry_harness import Process, eventually, put
from test_control_keep import DAY, deliver, leave

TOKEN = "0123456789abcdef"


def parts(server):
    return sorted(path.name for path in server.root.rglob(".*.part"))


def let_a_day_pass(metastore):
    (stamp,) = metastore.rglob("*.swept")
    os.utime(stamp, (time.time() - DAY - 60,) * 2)


@pytest.fixture
def keeping(configured):
    configured.write('[route.all]\nto = ["b"]\n', b='part_keep = "30d"')
    return configured


def test_old_ones_go_wherever_they_are_and_nothing_else(keeping, landing, server):
    old, young = 40 * DAY, 20 * DAY
    gone = [leave(server.root, f".big.bin.{TOKEN}.part", old), leave(server.root / "deep/er", f".big.bin.{TOKEN}.part", old),
            leave(server.root / ".hidden", f".big.bin.{TOKEN}.part", old)]
    stay = [leave(server.root, f".young.bin.{TOKEN}.part", young), leave(server.root, ".big.bin.part", old),
            leave(server.root, f"big.bin.{TOKEN}.part", old), leave(server.root, f".big.bin.{TOKEN[1:]}.part", old),
            leave(server.root, f".big.bin.{TOKEN.upper()}.part", old), leave(server.root, f".{TOKEN}.part", old),
            leave(server.root.parent, f".outside.bin.{TOKEN}.part", old), leave(server.root, "old.csv", old)]
    link = server.root / f".link.{TOKEN}.part"
    link.symlink_to(stay[-2])
    os.utime(link, (1, 1), follow_symlinks=False)
    (server.root / f".directory.{TOKEN}.part").mkdir()
    os.utime(server.root / f".directory.{TOKEN}.part", (1, 1))
    ended = deliver(keeping, landing)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stay if not path.exists()] == []
    assert link.is_symlink() and (server.root / f".directory.{TOKEN}.part").is_dir()
    assert "old part files removed" in ended.stderr and "files=3" in ended.stderr


def test_by_default_all_stay(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\n')
    old = leave(server.root, f".big.bin.{TOKEN}.part", 400 * DAY)
    deliver(configured, landing)
    assert old.exists()


def test_it_is_looked_through_once_a_day(keeping, landing, server, metastore):
    deliver(keeping, landing)
    old = leave(server.root, f".big.bin.{TOKEN}.part", 40 * DAY)
    deliver(keeping, landing, "second.csv")
    assert old.exists()
    let_a_day_pass(metastore)
    deliver(keeping, landing, "third.csv")
    assert not old.exists()


def is_open(path):
    """By a process that we may look at."""
    for fd in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(fd) == str(path):
                return True
    return False


def test_what_a_run_may_go_on_with_stays_and_goes_once_nobody_knows_of_it(keeping, landing, server, metastore, folder):
    put(landing / "big.bin", os.urandom(64 << 20))
    keeping.register()
    agent = Process(folder, "transfer", "--to", "b", "--bandwidth-limit", "16MiB",
                    env={"FERRY_CONFIG": str(keeping.file)})
    eventually(lambda: any("end" in path.read_text() for path in metastore.glob("journals/*")), what="a journal")
    agent.kill()
    (part,) = server.root.rglob(".big.bin.*.part")
    eventually(lambda: not is_open(part), what="the end of what the server still had to write")
    os.utime(part, (time.time() - 40 * DAY,) * 2)
    put(landing / "small.csv", b"small")
    keeping.register()
    assert keeping.transfer("--to", "b", "small.csv").code == 0
    assert list(metastore.rglob("*.swept")) and part.exists()
    # The host is made anew, and the file with it.
    shutil.rmtree(metastore)
    (landing / "big.bin").unlink()
    deliver(keeping, landing, "again.csv")
    assert not part.exists()


def test_a_span_in_which_others_may_still_be_at_work_is_refused(configured):
    configured.write('[route.all]\nto = ["b"]\n', b='part_keep = "23h"')
    checked = configured.run("config", "check")
    assert checked.code == 2 and "at least 1d" in checked.stdout


def test_no_delivered_file_gets_the_name_of_a_part(configured, landing, server):
    configured.write(f'[route.all]\nto = ["b"]\nrename = ".{{name}}.{TOKEN}.part"\n', b='part_keep = "30d"')
    put(landing / "a.csv", b"a")
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == 1 and "is one of part files" in ended.stderr
    assert parts(server) == []
