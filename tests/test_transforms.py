"""Files that are changed on their way: what B gets, and what a kill costs."""

import gzip
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

import pytest

from ferry_harness import (SANITIZED, Process, eventually, make_files, put,
                           relative_files, tables)

GIB = 1 << 30


def sha256sum(path):
    ended = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    return "sha256:" + ended.stdout.split()[0]


def script(folder, name, text):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def spooled(configured):
    spool = configured.metastore / "spool"
    return sorted(spool.iterdir()) if spool.exists() else []


def test_what_transforms_make_is_delivered_and_recorded(configured, landing, metastore, server):
    configured.write(
        '[transform.latin]\ntype = "charset"\nfrom = "ISO-8859-1"\nto = "UTF-8"\n'
        '[transform.upper]\ncommand = ["tr", "a-z", "A-Z"]\nsuffix = ".up"\n'
        '[route.b]\nmatch = "*.csv"\nto = "b"\n'
        'transforms = ["latin", "line-endings", "upper", "gzip"]\n'
        '[route.plain]\nto = "b"\n')
    put(landing / "in" / "a.csv", b"caf\xe9\r\n")
    put(landing / "b.txt", b"as it is\r\n")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert server.files() == ["b.txt", "in/a.csv.up.gz"]
    result = server.root / "in" / "a.csv.up.gz"
    assert gzip.decompress(result.read_bytes()) == "CAFé\n".encode()
    (control,) = server.control_files()
    by_path = {file["path"]: file for file in control["files"]}
    sent = by_path["in/a.csv.up.gz"]
    assert sent["checksum"] == sha256sum(result)
    assert sent["size"] == result.stat().st_size
    assert sent["source_checksum"] == sha256sum(landing / "in" / "a.csv")
    assert "source_checksum" not in by_path["b.txt"]
    registry, logs = tables(metastore)
    (log,) = [row for row in logs if row["id"] == sent["id"]
              and row["transfer_status"] == "successful"]
    assert log["checksum"] == sent["checksum"]
    assert log["bytes"] == sent["size"]
    assert log["remote_path"] == str(result)
    assert {row["path"]: row["checksum"] for row in registry}["in/a.csv"] == sent["source_checksum"]
    assert spooled(configured) == []


def test_failure_fails_that_file_alone_and_tells_why(configured, folder, landing, server):
    check = script(folder, "check", 'grep -v bad || { echo "$FERRY_PATH: bad" >&2; exit 3; }\n')
    configured.write(f'[transform.check]\ncommand = ["{check}"]\n'
                     '[route.b]\nto = "b"\ntransforms = ["check"]\n')
    make_files(landing, 20, 100)
    put(landing / "x.csv", b"bad\n")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 1
    assert len(server.files()) == 20
    (failed,) = configured.run("list", "--status", "failed", "--json").json_lines
    assert failed["path"] == "x.csv"
    assert failed["error"]["kind"] == "failed"
    assert failed["error"]["message"].endswith("check: exit status 3: x.csv: bad")
    assert "exit status 3" in ended.stderr
    assert len(server.control_files()[0]["files"]) == 20


def test_exit_status_75_is_tried_again(configured, folder, landing, server):
    flaky = script(folder, "flaky", f'[ -e "{folder}/once" ] || {{ : > "{folder}/once"; exit 75; }}\n'
                                    'cat\n')
    configured.write(f'[transform.flaky]\ncommand = ["{flaky}"]\n'
                     '[route.b]\nto = "b"\ntransforms = ["flaky"]\n')
    put(landing / "a", b"content")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert (server.root / "a").read_bytes() == b"content"


def test_a_command_that_hangs_is_ended_with_its_children(configured, folder, landing, server):
    hangs = script(folder, "hangs", f'sleep 300 & echo $! > "{folder}/pid"; wait\n')
    configured.write(f'[transform.hangs]\ncommand = ["{hangs}"]\ntime_limit = "500ms"\n'
                     '[route.b]\nto = "b"\ntransforms = ["hangs"]\n')
    put(landing / "a", b"content")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 1
    assert "ran longer than 0.5 s" in ended.stderr
    child = pathlib.Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat")
    eventually(lambda: not child.exists() or " Z " in child.read_text(), what="the child's end")


def test_a_command_has_ended_whoever_keeps_its_input(configured, folder, landing, server):
    program = script(folder, "leaves", "exec 3<&0\nsleep 60 <&3 > /dev/null 2>&1 &\n"
                     f"echo $! > {folder}/pid\necho done\n")
    configured.write(f'[transform.x]\ncommand = ["{program}"]\ntime_limit = "30s"\n'
                     '[route.b]\nto = "b"\ntransforms = ["x"]\n')
    put(landing / "a", b"x" * 3_000_000)
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert (server.root / "a").read_text() == "done\n"
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def test_after_a_stop_what_is_delivered_is_listed_without_turning_in_vain(configured, folder, landing, server):
    """A transform that hangs costs the connection; what is left to do takes another one."""
    configured.write('[transform.hangs]\ncommand = ["sh", "-c", "cat > /dev/null; sleep 300"]\n'
                     '[route.hangs]\nmatch = "h*"\nto = "b"\ntransforms = ["hangs"]\n[route.rest]\nto = "b"\n')
    put(landing / "a", b"a")
    put(landing / "hang", b"h")
    configured.register()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    agent = Process(folder, "transfer", "--to", "b", env={"FERRY_CONFIG": str(configured.file)})
    eventually(lambda: server.files() == ["a"], what="the other file")
    agent.popen.send_signal(signal.SIGTERM)
    assert agent.wait().code == 130
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert [file["path"] for control in server.control_files() for file in control["files"]] == ["a"]
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4  # it turned for 15 s


def test_many_small_files(configured, landing, server):
    configured.write('[route.b]\nto = "b"\ntransforms = ["zstd"]\n')
    make_files(landing, 500, 3000)
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert server.files() == [name + ".zst" for name in relative_files(landing)]
    assert spooled(configured) == []


def test_all_or_nothing_with_a_spool_that_holds_one_file_only(configured, folder, landing, server):
    configured.write('[transfer]\nbatch = "all-or-nothing"\nspool_limit = "5MiB"\n'
                     '[route.b]\nto = "b"\ntransforms = ["copy"]\n'
                     '[transform.copy]\ncommand = ["cat"]\n')
    make_files(landing, 6, 4 << 20)
    configured.register()
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert len(server.files()) == 6


def test_a_file_that_the_spool_cannot_hold(configured, landing, server):
    configured.write('[transfer]\nspool_limit = "1MiB"\n[route.b]\nto = "b"\ntransforms = ["copy"]\n'
                     '[transform.copy]\ncommand = ["cat"]\n')
    make_files(landing, 2, 1000)
    put(landing / "big", os.urandom(3 << 20))
    configured.register()
    ended = configured.transfer()
    assert ended.code == 1
    assert "raise spool_limit" in ended.stderr
    assert len(server.files()) == 2
    assert spooled(configured) == []


def test_two_destinations_share_what_was_made_once(configured, folder, landing, server,
                                                   other_server):
    counts = script(folder, "counts", f'echo x >> "{folder}/runs"; cat\n')
    configured.write(f'[transform.counts]\ncommand = ["{counts}"]\n'
                     '[route.both]\nto = ["b", "c"]\ntransforms = ["counts"]\n')
    put(landing / "a", b"content")
    configured.register()
    assert configured.transfer().code == 0
    assert server.files() == other_server.files() == ["a"]
    assert (folder / "runs").read_text() == "x\n"
    assert spooled(configured) == []


def measured(folder, configured):
    """A run, and its maximum resident set in KiB, without its children's."""
    report = folder / "rss"
    process = Process(folder, "transfer", "--json", env={"FERRY_CONFIG": str(configured.file)},
                      under=["/usr/bin/time", "-f", "%M", "-o", report])
    return process.wait(), int(report.read_text().split()[-1])


def test_a_gibibyte_through_gzip_and_a_command_in_little_memory(configured, folder, landing,
                                                                 server):
    configured.write('[transform.rot]\ncommand = ["tr", "a-z", "b-za"]\n'
                     '[transform.gzip]\nlevel = 1\n'
                     '[route.b]\nto = "b"\ntransforms = ["rot", "gzip"]\n')
    size = GIB // 8 if SANITIZED else GIB
    with open(landing / "big.txt.part", "wb") as out:
        out.write(b"some text\n" * 1000)
        out.truncate(size)
    (landing / "big.txt.part").rename(landing / "big.txt")
    configured.register()
    run, rss_kib = measured(folder, configured)
    assert run.code == 0, run.stderr
    if not SANITIZED:
        assert rss_kib <= 64 * 1024
    (control,) = server.control_files()
    (sent,) = control["files"]
    assert sent["checksum"] == sha256sum(server.root / "big.txt.gz")
    assert sent["source_checksum"] == sha256sum(landing / "big.txt")
    with gzip.open(server.root / "big.txt.gz") as back:
        assert back.read(10) == b"tpnf ufyu\n"


def test_after_a_kill_during_the_push_the_spool_and_the_parts_are_used_again(
        configured, folder, landing, server):
    counts = script(folder, "counts", f'echo x >> "{folder}/runs"; cat\n')
    configured.write(f'[transform.counts]\ncommand = ["{counts}"]\n'
                     '[route.b]\nto = "b"\ntransforms = ["counts"]\n', b="connections = 1")
    put(landing / "big.bin", os.urandom(96 << 20))
    configured.register()
    victim = Process(folder, "transfer", "--bandwidth-limit", "32M",
                     env={"FERRY_CONFIG": str(configured.file)})

    def sent():
        return sum(path.stat().st_size for path in server.leftovers())

    eventually(lambda: sent() > 16 << 20 or victim.popen.poll() is not None, deadline=60,
               what="some of it sent")
    victim.kill()
    assert server.files() == []
    assert len(spooled(configured)) == 1
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert (folder / "runs").read_text() == "x\n"
    assert sha256sum(server.root / "big.bin") == sha256sum(landing / "big.bin")
    assert server.leftovers() == []
    assert spooled(configured) == []


@pytest.mark.parametrize("change", ["source", "transform"])
def test_after_a_change_nothing_old_is_used(configured, folder, landing, server, change):
    upper = script(folder, "change", "tr a-z A-Z\n")
    configured.write(f'[transform.change]\ncommand = ["{upper}"]\n'
                     '[route.b]\nto = "b"\ntransforms = ["change"]\n', b="connections = 1")
    put(landing / "big", b"old content\n" * (8 << 20))
    configured.register()
    victim = Process(folder, "transfer", "--bandwidth-limit", "32M",
                     env={"FERRY_CONFIG": str(configured.file)})
    eventually(lambda: sum(path.stat().st_size for path in server.leftovers()) > 16 << 20
               or victim.popen.poll() is not None, deadline=60, what="some of it sent")
    victim.kill()
    if change == "source":
        put(landing / "big", b"new content\n" * (4 << 20))
        configured.register()
        expected = b"NEW CONTENT\n" * (4 << 20)
    else:
        script(folder, "change", "head -c 5000000 | tr a-z b-za\n")
        expected = (b"pme dpoufou\n" * 500000)[:5000000]
    ended = configured.transfer()
    assert ended.code == 0, ended.stderr
    assert hashlib.sha256((server.root / "big").read_bytes()).digest() == \
        hashlib.sha256(expected).digest()
    assert server.leftovers() == []
    assert spooled(configured) == []


def test_a_source_that_changes_while_it_is_transformed_is_not_sent(configured, folder, landing,
                                                                   server):
    slow = script(folder, "slow", f': > "{folder}/started"; '
                                  f'while [ ! -e "{folder}/go" ]; do sleep 0.05; done; cat\n')
    configured.write(f'[transform.slow]\ncommand = ["{slow}"]\n'
                     '[route.b]\nto = "b"\ntransforms = ["slow"]\n')
    put(landing / "a", b"x" * (8 << 20))
    configured.register()
    process = Process(folder, "transfer", env={"FERRY_CONFIG": str(configured.file)})
    eventually((folder / "started").exists, deadline=60)
    with open(landing / "a", "r+b") as source:
        source.seek(7 << 20)
        source.write(b"changed")
    (folder / "go").touch()
    ended = process.wait()
    assert ended.code == 1
    assert server.files() == []
    assert spooled(configured) == []


def test_a_spool_in_the_landing_area_is_refused(configured, landing):
    configured.write(f'[transfer]\nspool = "{landing}/spool"\n')
    ended = configured.run("transfer")
    assert ended.code == 2
    assert "lies in the landing area" in ended.stderr


@pytest.mark.skipif(SANITIZED or shutil.which("strace") is None, reason="needs strace")
def test_what_waits_in_the_spool_is_for_nobody_else(configured, folder, landing, server):
    configured.write('[route.b]\nto = "b"\ntransforms = ["gzip"]\n')
    put(landing / "secret", b"secret")
    configured.register()
    calls = folder / "calls"
    traced = Process(folder, "transfer", "--config", configured.file,
                     under=("strace", "-f", "-o", str(calls), "-e",
                            "trace=open,openat,openat2,mkdir,mkdirat"))
    assert traced.wait().code == 0
    assert server.files() == ["secret.gz"]
    made = [line for line in calls.read_text().splitlines()
            if "spool" in line and ("O_CREAT" in line or "mkdir" in line) and "= -1" not in line]
    assert len(made) == 2
    assert all(re.search(r", (0700|0600)\)", line) for line in made), made


@pytest.mark.skipif(SANITIZED or shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("call", ["unlink", "unlinkat", "link", "renameat2"])
def test_a_spool_that_fails_once_costs_nothing(configured, folder, landing, server, call):
    configured.write('[route.b]\nto = "b"\ntransforms = ["gzip"]\n')
    put(landing / "a", b"content")
    configured.register()
    traced = Process(folder, "transfer", "--config", configured.file, "--retry-delay", "10ms",
                     under=("strace", "-f", "-o", "/dev/null", "-e",
                            f"inject={call}:error=EIO:when=1"))
    ended = traced.wait()
    assert "changed" not in ended.stderr
    configured.transfer()
    assert gzip.decompress((server.root / "a.gz").read_bytes()) == b"content"
    assert len(server.control_files()) == 1
