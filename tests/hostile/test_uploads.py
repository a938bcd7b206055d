"""An uploader and `ferry upload` into the same area: he exchanges its part files."""

import os
import pathlib

from ferry_harness import tables
from landing_site import checksum_of
from uploader import Uploader, give_to_uploader, until_time_is_up


def exchange_parts(area, secret):
    def work(turn):
        for entry in os.scandir(area):
            if not entry.name.startswith(".upload-"):
                continue
            os.rename(entry.path, area / f".aside-{turn}")
            if turn % 3 == 0:
                os.symlink(secret, entry.path)
            elif turn % 3 == 1:
                os.mkfifo(entry.path)
            else:
                pathlib.Path(entry.path).write_bytes(b"forged")
    return work


def test_what_an_upload_registers_is_what_was_uploaded(site, folder):
    site = site(east='magic = ["6c6177"]')
    area, secret = folder / "east", folder / "secret"
    folder.chmod(0o711)
    secret.write_bytes(b"CANARY")
    secret.chmod(0o600)
    give_to_uploader(area)
    sent = {}
    with Uploader(exchange_parts(area, secret)) as uploader:
        for turn in until_time_is_up():
            content = f"lawful {turn}".encode() * 1000
            (folder / "source").write_bytes(content)
            ended = site.ferry("upload", "--as", f"{turn}.csv", folder / "source", timeout=60)
            assert ended.code in (0, 1, 4), ended.stderr
            if ended.code == 0:
                sent[f"{turn}.csv"] = checksum_of(content)
    assert uploader.turns > 20
    assert secret.read_bytes() == b"CANARY"
    registry, _ = tables(site.metastore)
    uploaded = {row["path"]: row["checksum"] for row in registry if row.get("source") == "upload"}
    assert {path: uploaded[path] for path in sent} == sent
    for path, checksum in uploaded.items():
        turn = path.removesuffix(".csv")
        assert checksum == checksum_of(f"lawful {turn}".encode() * 1000)
