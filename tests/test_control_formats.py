"""What the receiver gets beside the files: lists as JSON or sums, sidecars, signatures."""

import subprocess

import pytest

from ferry_harness import put

ALL = '[route.all]\nto = ["b"]\n'
FILES = {"a.csv": b"one", "in/b b.csv": b"two", "in/back\\slash.csv": b"three"}


@pytest.fixture
def deliver(configured, landing):
    """Delivers FILES with these keys of the destination; the batch as `transfer --json` tells it."""

    def run(keys, code=0):
        configured.write(ALL, b=keys)
        for name, content in FILES.items():
            if not (landing / name).exists():
                put(landing / name, content)
        configured.register()
        ended = configured.transfer("--to", "b")
        assert ended.code == code, ended.stderr
        return ended

    return run


def sums_are_right(path, directory):
    checked = subprocess.run(["sha256sum", "--check", "--strict", path], cwd=directory, text=True,
                             capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout.count(": OK")


def key(folder, name):
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def controls(server, suffix):
    return sorted(path.name for path in server.root.glob(f"*{suffix}"))


def test_sums_that_sha256sum_reads(deliver, server):
    deliver('control = "sha256sums"')
    (name,) = controls(server, ".SHA256SUMS")
    assert sums_are_right(name, server.root) == len(FILES)
    assert not controls(server, ".control.json")


def test_sums_notice_a_change(deliver, server):
    deliver('control = "sha256sums"')
    (server.root / "a.csv").write_bytes(b"two")
    (name,) = controls(server, ".SHA256SUMS")
    assert subprocess.run(["sha256sum", "--check", "--quiet", name], cwd=server.root,
                          capture_output=True, check=False).returncode == 1


def test_no_list_at_the_destination(deliver, configured, server):
    ended = deliver('control = "none"')
    assert sorted(server.files()) == sorted(FILES)
    assert not ended.summary["control_file"]
    checked = configured.run("verify", ended.summary["batch_id"], "--destination", "b", "--readback")
    assert checked.code == 0, checked.stderr


def test_a_file_may_be_called_like_a_list_that_is_never_sent(deliver, landing, server):
    put(landing / "x.control.json", b"{}")
    deliver('control = "none"')
    assert (server.root / "x.control.json").exists()


def test_sums_beside_each_file(deliver, configured, server):
    ended = deliver('sidecar = "sha256"')
    for name in FILES:
        path = server.root / f"{name}.sha256"
        assert sums_are_right(path.name, path.parent) == 1
    checked = configured.run("verify", ended.summary["batch_id"], "--destination", "b",
                             "--strict")
    assert checked.code == 0, checked.stdout
    control = next(server.root.glob("*.control.json"))
    checked = configured.run("verify", str(control), "--root", str(server.root), "--strict")
    assert checked.code == 0, checked.stdout


def test_a_marker_beside_each_file(deliver, server):
    deliver('sidecar = "done"')
    assert all((server.root / f"{name}.done").read_bytes() == b"" for name in FILES)


def test_a_file_must_not_pass_for_a_sidecar(deliver, configured, landing, server):
    put(landing / "b.csv.SHA256", b"forged")
    ended = deliver('sidecar = "sha256"', code=1)
    assert "would be taken for one" in ended.stderr
    assert configured.standings("b")["b.csv.SHA256", "b"] == "failed"
    assert not (server.root / "b.csv.SHA256").exists()
    assert (server.root / "a.csv").exists()


def test_what_would_be_in_the_way_of_a_sidecar_is_refused(deliver, configured, landing, server):
    put(landing / "a.csv.sha256/x", b"1")
    put(landing / ("n" * 250), b"1")
    ended = deliver('sidecar = "sha256"', code=1)
    assert ended.summary["failed"] == 2 and ended.summary["successful"] == len(FILES)
    assert sums_are_right("a.csv.sha256", server.root) == 1
    assert len(controls(server, ".control.json")) == 1


def test_the_list_comes_after_the_sidecars(deliver, configured, server):
    (server.root / "a.csv.sha256").mkdir()
    (server.root / "a.csv.sha256" / "in-the-way").touch()
    ended = deliver('sidecar = "sha256"', code=1)
    assert "sidecar" in ended.stderr
    assert not controls(server, ".control.json")
    before = (server.root / "a.csv").stat()
    (server.root / "a.csv.sha256" / "in-the-way").unlink()
    (server.root / "a.csv.sha256").rmdir()
    again = configured.transfer("--to", "b")
    assert again.code == 0, again.stderr
    assert len(controls(server, ".control.json")) == 1
    assert sums_are_right("a.csv.sha256", server.root) == 1
    assert (server.root / "a.csv").stat().st_ino == before.st_ino, "it was sent again"
    assert not [path for path in server.root.rglob(".*")], "parts are left"


@pytest.mark.parametrize("content", [b"precious\n", b"0" * 64 + b"  b.csv\n", b""])
@pytest.mark.parametrize("existing, delivered, code", [
    ("fail", [], 1), ("skip", [], 0), ("version", ["a.1.csv"], 0), ("replace", ["a.csv"], 0)])
def test_a_file_that_is_called_like_a_sidecar_is_another_file(configured, landing, server, content,
                                                              existing, delivered, code):
    configured.write(f'[route.all]\nto = ["b"]\nexisting = "{existing}"\n', b='sidecar = "sha256"')
    theirs = server.root / "a.csv.sha256"
    theirs.write_bytes(content)
    put(landing / "a.csv", b"ours")
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == code, ended.stderr
    assert [name for name in server.files() if name.endswith(".csv")] == delivered
    for name in delivered:
        assert sums_are_right(f"{name}.sha256", server.root) == 1
    assert existing == "replace" or theirs.read_bytes() == content


@pytest.mark.parametrize("sidecar", ["sha256", "done"])
def test_an_earlier_sidecar_is_in_nobodys_way(configured, landing, server, sidecar):
    configured.write('[route.all]\nto = ["b"]\nexisting = "fail"\n', b=f'sidecar = "{sidecar}"')
    name = "back\\slash.csv"
    for content in (b"one", b"two, of another size"):
        put(landing / name, content)
        configured.register()
        ended = configured.transfer("--to", "b")
        assert ended.code == 0, ended.stderr
        assert (server.root / name).read_bytes() == content
        if sidecar == "sha256":
            assert sums_are_right(f"{name}.sha256", server.root) == 1
        (server.root / name).unlink()  # the receiver took it, and left the sidecar


@pytest.mark.parametrize("form, suffix", [("json", ".control.json"), ("sha256sums", ".SHA256SUMS")])
def test_who_made_the_list(deliver, configured, server, folder, form, suffix):
    ours, theirs = key(folder, "ours"), key(folder, "theirs")
    deliver(f'control = "{form}"\ncontrol_sign = "{ours}"')
    (name,) = controls(server, suffix)
    allowed = folder / "allowed"
    allowed.write_text(f"ferry@a {ours.with_suffix('.pub').read_text()}")
    with open(server.root / name, "rb") as content:
        subprocess.run(["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "ferry@a", "-n",
                        "ferry-control-file", "-s", server.root / f"{name}.sig"],
                       stdin=content, check=True, capture_output=True)
    if form != "json":
        return

    def verify():
        return configured.run("verify", str(server.root / name), "--root", str(server.root),
                              "--allowed-signers", str(allowed), "--strict")

    good = verify()
    assert good.code == 0, good.stdout + good.stderr
    assert "ferry@a" in good.stderr
    signature = server.root / f"{name}.sig"
    kept = signature.read_bytes()
    signature.unlink()
    assert verify().code == 1
    signature.write_bytes(kept)
    allowed.write_text(f"ferry@a {theirs.with_suffix('.pub').read_text()}")
    assert verify().code == 1
    allowed.write_text(f"ferry@a {ours.with_suffix('.pub').read_text()}")
    control = server.root / name
    control.write_bytes(control.read_bytes().replace(b'"count":3', b'"count":4'))
    changed = verify()
    assert changed.code == 1
    assert "is not a signature of this control file" in changed.stderr


def test_a_key_that_is_not_there_sends_nothing_twice(deliver, configured, server, folder):
    ended = deliver(f'control_sign = "{folder}/no-such"', code=1)
    assert "control_sign" in ended.stderr
    assert not controls(server, ".control.json")
    before = (server.root / "a.csv").stat()
    key(folder, "no-such")
    assert configured.transfer("--to", "b").code == 0
    assert len(controls(server, ".sig")) == 1
    assert (server.root / "a.csv").stat().st_ino == before.st_ino


def test_contradictions_are_found(configured):
    for keys, word in (('control = "none"\ncontrol_sign = "/k"', "control_sign"),
                       ('control = "md5"', "md5"), ('sidecar = "x"', "sidecar")):
        configured.write(ALL, b=keys)
        checked = configured.run("config", "check")
        assert checked.code == 2
        assert word in checked.stdout
