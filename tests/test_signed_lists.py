"""ferry verify --allowed-signers: no byte of a list is believed that nobody vouched for."""

import hashlib
import json
import os
import shutil
import subprocess
import time

import pytest

from ferry_harness import command, environment, make_key

GENUINE, FORGED = b"genuine\n", b"forged by somebody else\n"


def make_list(path, content):
    digest = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps({
        "version": 1, "batch_id": "0193a1b2-0000-7000-8000-000000000001",
        "created": "2026-11-22T13:40:00Z", "count": 1, "total_bytes": len(content),
        "files": [{"id": "0193a1b0-0000-7000-8000-000000000000", "path": "p.csv",
                   "size": len(content), "checksum": f"sha256:{digest}"}]}))
    return path


class Drop:
    """A directory that a stranger writes to, too, with a list that is signed."""

    def __init__(self, folder, ferry):
        self.folder, self.ferry = folder, ferry
        self.root = folder / "drop"
        self.root.mkdir()
        make_key(folder / "key")
        self.key = (folder / "key.pub").read_text().strip()
        self.allowed = folder / "allowed"
        self.allowed.write_text(f"ferry@a {self.key}\n")
        self.list = make_list(self.root / "b.control.json", GENUINE)
        (self.root / "p.csv").write_bytes(GENUINE)
        self.sign(self.list)

    def sign(self, path):
        subprocess.run(["ssh-keygen", "-Y", "sign", "-q", "-f", self.folder / "key", "-n",
                        "ferry-control-file", path], check=True)

    def options(self):
        return ["--root", self.root, "--allowed-signers", self.allowed]

    def verify(self, *names, env=None, timeout=30):
        return self.ferry("verify", *(names or [self.list]), *self.options(), env=env, timeout=timeout)


@pytest.fixture
def drop(folder, ferry):
    return Drop(folder, ferry)


def test_what_is_verified_is_what_was_signed(drop, folder):
    """The list is exchanged as soon as its signature has been checked."""
    forged = make_list(folder / "forged", FORGED)
    (drop.root / "p.csv").write_bytes(FORGED)
    programs = folder / "programs"
    programs.mkdir()
    wrapper = programs / "ssh-keygen"
    wrapper.write_text(f'#!/bin/sh\n{shutil.which("ssh-keygen")} "$@"\ncode=$?\n'
                       f'case "$*" in *verify*) mv "{forged}" "{drop.list}" ;; esac\nexit $code\n')
    wrapper.chmod(0o755)
    ended = drop.verify(env={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert not forged.exists()
    assert ended.code == 1, ended.stdout + ended.stderr
    assert "changed" in ended.stdout


def test_each_list_has_to_be_signed(drop):
    unsigned = make_list(drop.root / "unsigned.control.json", GENUINE)
    assert drop.verify().code == 0
    ended = drop.verify(unsigned, drop.list)
    assert ended.code == 1
    assert ended.stderr.count("not signed") == 1 and "unsigned.control.json.sig" in ended.stderr
    assert ended.stdout.count("1 of 1 files are right") == 1


def test_standard_input_has_no_signature(drop):
    trap = drop.root / "-"
    shutil.copy(drop.list, trap)
    drop.sign(trap)
    ended = subprocess.run(command("verify", "-", *drop.options()), cwd=drop.root, text=True, timeout=30,
                           input=drop.list.read_text(), env=environment(), capture_output=True, check=False)
    assert ended.returncode == 2
    assert "NAME.sig" in ended.stderr and not ended.stdout


def test_a_list_that_is_elsewhere_is_not_signed(drop, delivered_batch):
    """Neither the sender's own copy nor the destination's: a signature lies beside a local file."""
    batch, options = delivered_batch
    assert drop.ferry("verify", batch, *options).code == 0
    ended = drop.ferry("verify", batch, *options, "--allowed-signers", drop.allowed)
    assert ended.code == 2 and not ended.stdout, ended.stdout
    ended = drop.ferry("verify", *options, "--since", "1d", "--allowed-signers", drop.allowed)
    assert ended.code == 2 and not ended.stdout, ended.stdout


@pytest.fixture
def delivered_batch(server, landing, metastore, register, transfer):
    (landing / "a.csv").write_text("a")
    register()
    return transfer().summary["batch_id"], [*server.options(), "--metastore", metastore]


def test_no_list_is_as_large_as_that(drop):
    with open(drop.list, "r+b") as file:
        file.truncate((256 << 20) + 1)
    for options in (drop.options(), drop.options()[:2]):
        ended = drop.ferry("verify", drop.list, *options)
        assert ended.code == 2 and "larger than 256 MiB" in ended.stderr, ended.stderr
    with open(drop.list, "rb") as content:
        ended = subprocess.run(command("verify", "-", "--root", drop.root), stdin=content, timeout=120,
                               text=True, env=environment(), capture_output=True, check=False)
    assert ended.returncode == 2 and "larger than 256 MiB" in ended.stderr, ended.stderr


@pytest.mark.parametrize("allowed, code", [
    ('git@a namespaces="git" {key}\nferry@a namespaces="ferry-control-file" {key}', 0),
    ('git@a,x@a namespaces="git" {key}\n"mail@a" namespaces="mail" {key}\n\n# ours:\n"ferry@a,b@a" {key}', 0),
    ('same@a namespaces="git" {key}\nsame@a {key}', 0),
    ("*@a {key}", 0),
    ('git@a namespaces="git" {key}\nmail@a namespaces="mail" {key}', 1),
    ('git@a namespaces="git" {key}\nother@a {other}', 1)])
def test_one_key_has_several_uses(drop, folder, allowed, code):
    make_key(folder / "other")
    other = (folder / "other.pub").read_text().strip()
    drop.allowed.write_text(allowed.format(key=drop.key, other=other) + "\n")
    ended = drop.verify()
    assert ended.code == code, ended.stderr
    assert code == 0 or "namespace" in ended.stderr


@pytest.mark.parametrize("which, code", [("list", 2), ("signature", 1), ("allowed", 2)])
def test_nobody_is_waited_for(drop, which, code):
    fifo = {"list": drop.list, "allowed": drop.allowed,
            "signature": drop.root / "b.control.json.sig"}[which]
    fifo.unlink()
    os.mkfifo(fifo)
    begin = time.monotonic()
    ended = drop.verify(timeout=20)
    assert ended.code == code, ended.stderr
    assert f"{fifo} is not a regular file" in ended.stderr
    assert time.monotonic() - begin < 15
