"""The recipes of docs/routes.md for PGP and age, as they are printed."""

import os
import re
import subprocess

import pytest

from ferry_harness import REPOSITORY, put, tool

CONTENT = b"order 1\n" * 1000


def recipes(paths):
    """Both blocks, with the files of PATHS."""
    section = (REPOSITORY / "docs/routes.md").read_text().partition("\n### PGP and age\n")[2].partition("\n### ")[0]
    blocks = re.findall(r"```toml\n(.*?)```", section, re.S)
    assert len(blocks) == 2
    text = "".join(blocks).replace('to = ["warehouse"]', 'to = ["b"]')
    for printed, real in paths.items():
        assert printed in text
        text = text.replace(printed, str(real))
    return text


def gpg(home, *words):
    return subprocess.run(["gpg", "--batch", "--quiet", "--homedir", home, *words], check=True,
                          capture_output=True, timeout=60).stdout


@pytest.fixture
def keys(tmp_path):
    """Of the partner and ours, one pair for both; in a short path, as gpg-agent's socket lies there."""
    tool("gpg"), tool("age")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg(home, "--passphrase", "", "--quick-generate-key", "Partner <p@example.org>", "default", "default", "never")
    (tmp_path / "partner.asc").write_bytes(gpg(home, "--armor", "--export", "p@example.org"))
    subprocess.run(["age-keygen", "-o", tmp_path / "ours.age"], check=True, capture_output=True)
    (tmp_path / "partner.age").write_bytes(
        subprocess.run(["age-keygen", "-y", tmp_path / "ours.age"], check=True, capture_output=True).stdout)
    yield {f"/etc/ferry/{path.name}": path
           for path in (home, *(tmp_path / name for name in ("partner.asc", "partner.age", "ours.age")))}
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, timeout=60)


@pytest.mark.parametrize("kind", ["pgp", "age"])
def test_encrypted_for_a_partner_and_back(configured, landing, server, keys, kind, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    text = recipes(keys).replace('["pgp"]', f'["{kind}"]').replace("*.pgp", f"*.{kind}")
    configured.write(text.replace("from-pgp\"]\nrename", f"from-{kind}\"]\nrename"))
    checked = configured.run("config", "check")
    assert checked.code == 0, checked.stdout
    put(landing / "a.csv", CONTENT)
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == 0, ended.stderr
    assert server.files() == [f"a.csv.{kind}"]
    sent = (server.root / f"a.csv.{kind}").read_bytes()
    assert b"order 1" not in sent

    put(landing / f"b.csv.{kind}", sent)
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == 0, ended.stderr
    assert (server.root / "b.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["pgp", "age"])
def test_what_cannot_be_decrypted_has_failed(configured, landing, server, keys, kind):
    text = recipes(keys).replace("*.pgp", f"*.{kind}").replace("from-pgp\"]\nrename", f"from-{kind}\"]\nrename")
    configured.write(text)
    put(landing / f"a.csv.{kind}", os.urandom(1000))
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == 1
    assert server.files() == []
    (row,) = configured.run("list", "--json").json_lines
    assert row["status"] == "failed" and f"{kind.replace('pgp', 'gpg')}: exit status" in row["error"]["message"], row
