"""Directories that are not there, not ours, or that nobody can write to; and who looks at them."""

import os

from ferry_harness import make_files
from sftp_server import UID


def test_missing_directory(cell):
    make_files(cell.landing / "sub" / "folder", 5, 100)
    cell.deliver_to(cell.root / "made" / "for us")
    cell.register()
    cell.transfer()
    cell.check_delivered()


def refused(cell):
    """The destination is there, and nobody may write to it."""
    cell.ferry("doctor", wanted=3)
    ended = cell.run("transfer", "--json")
    assert ended.code in (1, 3), ended.stderr
    assert str(cell.server.remote_path(cell.root)) in ended.stderr
    assert list(cell.root.iterdir()) == []


def test_denied_directory(cell):
    make_files(cell.landing, 3, 100)
    cell.register()
    os.chown(cell.root, 0, 0)
    refused(cell)
    os.chown(cell.root, UID, UID)
    cell.transfer()
    cell.check_delivered()


def test_read_only_file_system(cell):
    make_files(cell.landing, 3, 100)
    own = cell.root
    cell.deliver_to(cell.server.tree / "read-only")
    cell.register()
    refused(cell)
    cell.deliver_to(own)
    cell.register()
    cell.transfer()
    cell.check_delivered()


def test_doctor(cell, record_property):
    """All is well, and nothing of it is left."""
    ended = cell.ferry("doctor", "--json")
    assert list(cell.root.iterdir()) == []
    found = [one for one in ended.json["findings"] if one["subject"].startswith("destination")]
    assert found and [one for one in ended.json["findings"] if one["health"] == "trouble"] == []
    record_property("findings", found)


def test_verify(cell):
    make_files(cell.landing, 20, 3000)
    cell.put_big("large.bin", 9 << 20)
    cell.register()
    (batch,) = [one["batch_id"] for one in cell.transfer().json["destinations"]]
    cell.check_delivered()
    verify = ("verify", batch, "--destination", "b")
    cell.ferry(*verify)
    cell.ferry(*verify, "--readback")
    cell.is_tampered_with = True
    with open(cell.root / "large.bin", "r+b") as changed:
        changed.seek(5 << 20)
        changed.write(b"changed")
    (cell.root / "file-00003.dat").unlink()
    ended = cell.run(*verify, "--readback")
    assert ended.code == 1
    assert "large.bin" in ended.stdout and "file-00003.dat" in ended.stdout
