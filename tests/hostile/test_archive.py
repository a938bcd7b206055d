"""An uploader and the archive: he puts links and FIFOs in the place of what is archived."""

import os
import pathlib
import shutil
import stat
import tempfile

import pytest

from uploader import Uploader, give_to_uploader, land, until_time_is_up


@pytest.fixture(params=["the same file system", "another file system"])
def archive(request, folder):
    if request.param == "the same file system":
        yield folder / "archive"
        return
    path = pathlib.Path(tempfile.mkdtemp(prefix="ferry-test-", dir="/var/tmp"))
    if path.stat().st_dev == folder.stat().st_dev:
        pytest.skip("there is one file system only")
    yield path / "archive"
    shutil.rmtree(path)


def things_in(directory):
    return [path for path in directory.rglob("*") if not path.is_dir() or path.is_symlink()]


def exchange_hidden_names(area, secret):
    """Watches for the names that ferry gives to files on their way, and exchanges them."""
    def work(turn):
        for entry in os.scandir(area):
            if not entry.name.endswith(".delivered"):
                continue
            aside = area / f".aside-{turn}"
            os.rename(entry.path, aside)
            if turn % 3 == 0:
                os.symlink(secret, entry.path)
            elif turn % 3 == 1:
                os.mkfifo(entry.path)
            else:
                pathlib.Path(entry.path).write_bytes(b"not what was delivered")
    return work


def exchange_names(area, secret):
    """Exchanges the files themselves, as often as possible."""
    def work(turn):
        for entry in os.scandir(area):
            if entry.name.startswith("."):
                continue
            aside = area / f".aside-{turn}"
            os.rename(entry.path, aside)
            if turn % 2 == 0:
                os.symlink(secret, entry.path)
                os.unlink(entry.path)
            else:
                os.mkfifo(entry.path)
                os.unlink(entry.path)
            os.rename(aside, entry.path)
    return work


@pytest.mark.parametrize("attack", [exchange_hidden_names, exchange_names])
def test_an_archive_gets_what_was_delivered_and_nothing_else(site, folder, archive, attack):
    site = site(east="")
    area, canary = folder / "east", folder / "canary"
    with open(site.config, "a", encoding="utf-8") as config:
        config.write(f'[route.all]\nto = "b"\nafter = "archive"\narchive = "{archive}"\n')
    folder.chmod(0o711)
    canary.mkdir(mode=0o700)
    (canary / "secret").write_bytes(b"CANARY")
    give_to_uploader(area)
    with Uploader(attack(area, canary / "secret")) as uploader:
        for turn in until_time_is_up():
            for number in range(20):
                land(area / f"{number:02}.csv", f"lawful {turn} {number}".encode())
            site.ferry("watch", "--once", timeout=60)
            ended = site.ferry("transfer", "--json", timeout=60)
            assert ended.code in (0, 1), ended.stderr
        assert uploader.turns > 50
    assert [path.name for path in canary.iterdir()] == ["secret"]
    assert (canary / "secret").read_bytes() == b"CANARY"
    for path in things_in(archive):
        assert stat.S_ISREG(path.lstat().st_mode), path
        assert path.read_bytes().startswith(b"lawful"), path
    for name in site.server.files():
        assert (site.server.root / name).read_bytes().startswith(b"lawful")
