"""ferry upload while the system refuses this or that: the exit code and what is there agree."""

import shutil
import subprocess

import pytest

from ferry_harness import SANITIZED, Run, command, environment, put, read_table, relative_files
from landing_site import checksum_of

pytestmark = pytest.mark.skipif(SANITIZED or shutil.which("strace") is None,
                                reason="strace interrupts the system calls")


@pytest.fixture
def upload_under(folder, landing, metastore):
    """Runs an upload of "new" to in/a.csv, with a system call that fails at its NUMBER-th time."""
    put(folder / "a.csv", b"new")

    def run(call, error, number):
        ended = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
             "-e", f"inject={call}:error={error}:when={number}",
             *command("upload", "--as", "in/", "--landing", landing, "--metastore", metastore,
                      folder / "a.csv")],
            env=environment(), capture_output=True, text=True, check=False, timeout=120)
        return Run(ended.returncode, ended.stdout, ended.stderr)

    return run


def rows(metastore):
    return {row["id"]: row for row in read_table(metastore, "file_registry")}


@pytest.mark.parametrize("call, error", [("fdatasync", "EIO"), ("openat2", "EMFILE"),
                                         ("openat2", "EIO"), ("renameat2", "EIO"),
                                         ("newfstatat", "EIO"), ("unlinkat", "EIO")])
def test_what_it_says_is_what_is_there(upload_under, ferry, landing, metastore, call, error):
    codes = []
    for number in range(1, 60):
        put(landing / "in" / "a.csv", b"old")
        ferry("watch", "--once", "--landing", landing, "--metastore", metastore)
        before = rows(metastore)
        ended = upload_under(call, error, number)
        content = (landing / "in" / "a.csv").read_bytes()
        codes.append(ended.code)
        if ended.code == 0:
            assert content == b"new" and len(rows(metastore)) > len(before)
        elif content == b"new":
            assert ended.code == 4, ended.stderr
            assert "the files are in their places" in ended.stderr
        else:
            assert ended.code in (1, 2, 4, 127), ended.stderr  # 127: of the loader
            assert content == b"old"
        assert "taken away" not in ended.stderr
        again = ferry("watch", "--once", "--landing", landing, "--metastore", metastore)
        assert again.code == 0, again.stderr
        assert relative_files(landing) == ["in/a.csv"]
        assert list(rows(metastore).values())[-1]["checksum"] == checksum_of(content)
        if codes[-2:] == [0, 0]:
            break
    assert codes[-1] == 0, codes
