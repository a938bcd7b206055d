"""ferry verify, and the example for consumers without ferry: what arrived is checked at both ends."""

import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest

from ferry_harness import REPOSITORY, make_files, put, tables

DOCUMENT = REPOSITORY / "docs" / "control-file.md"
SCHEMA = json.loads((REPOSITORY / "docs" / "control-file.schema.json").read_text())
NAMES = ["a.csv", "in/b b.csv", "in/deeper/Grüße.csv", "-n", "quote'\"$HOME.csv"]


@pytest.fixture
def delivered(server, landing, register, transfer):
    """A batch at the server."""
    for name in NAMES:
        put(landing / name, name.encode() * 1000)
    put(landing / "empty", b"")
    register()
    ended = transfer()
    assert ended.code == 0, ended.stderr
    (path,) = server.root.glob("*.control.json")
    server.control = path
    server.batch_id = ended.summary["batch_id"]
    return server


@pytest.fixture
def on_b(ferry, delivered):
    """ferry verify, as a consumer runs it: no configuration, no metastore."""

    def run(*options):
        return ferry("verify", delivered.control, "--root", delivered.root, *options)

    return run


@pytest.fixture
def from_a(ferry, delivered, metastore):
    def run(*options, what=None):
        return ferry("verify", what or delivered.control, *delivered.options(), *options)

    return run


@pytest.fixture
def shell(delivered, folder):
    """The document's example."""
    (script,) = re.findall(r"^```bash\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    path = folder / "check-batch.sh"
    path.write_text(script)

    def run(control=delivered.control):
        return subprocess.run(["bash", path, control, delivered.root], capture_output=True,
                              text=True, check=False)

    return run


def flip_a_byte(path):
    with open(path, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def append(path):
    with open(path, "ab") as file:
        file.write(b"x")


DAMAGES = {"missing": (pathlib.Path.unlink, "missing"), "flipped": (flip_a_byte, "changed"),
           "truncated": (truncate, "short"), "appended": (append, "changed")}


def findings(ended):
    return {(finding["path"], finding["verdict"]) for finding in ended.json["findings"]}


def test_control_files_match_their_schema(delivered):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(delivered.control.read_text()), SCHEMA)


def test_all_is_right(on_b, from_a, shell, delivered):
    ended = on_b("--json", "--strict")
    assert ended.code == 0, ended.stderr
    size = sum(len(name.encode()) for name in NAMES) * 1000
    assert ended.json == {
        "batch_id": delivered.batch_id, "root": str(delivered.root), "ok": True,
        "files": 6, "right": 6, "missing": 0, "short": 0, "changed": 0, "extra": 0,
        "unreadable": 0, "bytes_read": size, "findings": []}
    assert on_b().stdout.startswith(f"{delivered.batch_id}: 6 of 6 files are right")
    ended = from_a("--json")
    assert (ended.code, ended.json["right"], ended.json["bytes_read"]) == (0, 6, 0)
    ended = from_a("--json", "--readback")
    assert (ended.code, ended.json["right"], ended.json["bytes_read"]) == (0, 6, size)
    assert shell().returncode == 0


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NAMES[1:4])
def test_one_wrong_file_is_found(on_b, from_a, shell, delivered, damage, name):
    act, verdict = DAMAGES[damage]
    act(delivered.root / name)
    for ended in (on_b("--json"), from_a("--json", "--readback")):
        assert ended.code == 1
        assert not ended.json["ok"]
        assert findings(ended) == {(name, verdict)}
        assert (ended.json["right"], ended.json[verdict]) == (5, 1)
    text = on_b()
    assert text.code == 1
    assert re.match(rf"{verdict} +{re.escape(name)} ", text.stdout)
    by_size = from_a("--json")
    assert findings(by_size) == (set() if damage == "flipped" else {(name, verdict)})
    script = shell()
    assert script.returncode == 1
    assert script.stdout.splitlines() == [
        {"missing": "missing: ", "flipped": "changed: "}.get(damage, "wrong size: ") + name]


def test_everything_wrong_at_once_in_the_lists_order(on_b, delivered):
    (delivered.root / "a.csv").unlink()
    truncate(delivered.root / "in" / "b b.csv")
    flip_a_byte(delivered.root / "-n")
    ended = on_b("--json")
    listed = [file["path"] for file in json.loads(delivered.control.read_text())["files"]]
    found = [finding["path"] for finding in ended.json["findings"]]
    assert found == [path for path in listed if path in {"a.csv", "in/b b.csv", "-n"}]
    assert ended.json["right"] == 3


def test_extra_files_count_only_when_asked_for(on_b, from_a, delivered):
    put(delivered.root / "new" / "uninvited.csv", b"x")
    put(delivered.root / ".hidden", b"x")
    put(delivered.root / "other.control.json", b"{}")
    assert on_b().code == 0
    ended = on_b("--strict", "--json")
    assert ended.code == 1
    assert findings(ended) == {("new/uninvited.csv", "extra")}
    assert from_a().code == 0
    ended = from_a("--strict", "--json")
    assert ended.code == 1
    assert findings(ended) == {("new/uninvited.csv", "extra")}


def test_what_is_not_a_plain_file_is_not_read(on_b, from_a, delivered, folder):
    put(folder / "secret", b"a.csv" * 1000)
    (delivered.root / "a.csv").unlink()
    (delivered.root / "a.csv").symlink_to(folder / "secret")
    (delivered.root / "-n").unlink()
    os.mkfifo(delivered.root / "-n")
    (delivered.root / "empty").unlink()
    (delivered.root / "empty").mkdir()
    (delivered.root / "in").rename(folder / "in")
    (delivered.root / "in").symlink_to(folder / "in")
    ended = on_b("--json")
    assert ended.code == 1
    assert findings(ended) == {(name, "changed") for name in
                               ("a.csv", "-n", "empty", "in/b b.csv", "in/deeper/Grüße.csv")}
    assert {("-n", "changed"), ("empty", "changed")} == findings(from_a("--json"))


def test_a_file_that_may_not_be_read(on_b, delivered):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (delivered.root / "a.csv").chmod(0)
    assert findings(on_b("--json")) == {("a.csv", "unreadable")}


def test_a_batch_is_known_by_its_id(ferry, from_a, delivered, metastore):
    ended = from_a("--metastore", metastore, "--json", what=delivered.batch_id)
    assert ended.code == 0, ended.stderr
    assert ended.json["right"] == 6
    (metastore / "batches" / f"{delivered.batch_id}.control.json").unlink()
    for name in (delivered.batch_id, f"{delivered.batch_id}.control.json"):
        ended = from_a("--metastore", metastore, "--json", what=name)
        assert (ended.code, ended.json["right"]) == (0, 6), ended.stderr
    ended = from_a("--metastore", metastore, what="nonsense")
    assert ended.code == 2
    assert "nonsense.control.json" in ended.stderr


def test_configured_destinations_and_their_control_directory(
        ferry, server, landing, folder, metastore):
    config = folder / "ferry.toml"
    config.write_text(
        f'metastore = "{metastore}"\n[landing.in]\npath = "{landing}"\n'
        f'[destination.dead]\nurl = "sftp://127.0.0.1:1/x"\n'
        f'[destination.b]\nurl = "{server.url()}"\nidentity = "{server.identity}"\n'
        f'known_hosts = "{server.known_hosts}"\ncontrol_dir = "{folder}/control"\n')
    make_files(landing, 3, 10)
    assert ferry("watch", "--once", "--config", config).code == 0
    ended = ferry("transfer", "--json", "--config", config, "--to", "b")
    batch_id = ended.summary["batch_id"]
    for path in (metastore / "batches").iterdir():
        path.unlink()
    ended = ferry("verify", batch_id, "--config", config, "--destination", "b", "--json")
    assert (ended.code, ended.json["right"]) == (0, 3), ended.stderr
    assert ferry("verify", batch_id, "--config", config, "--destination", "dead").code == 3
    assert ferry("verify", batch_id, "--config", config, "--destination", "bb").code == 2


def test_nothing_is_made_at_the_destination(ferry, delivered, folder):
    missing = folder / "not" / "there"
    ended = ferry("verify", delivered.control, *delivered.options(missing))
    assert ended.code == 2
    assert str(missing) in ended.stderr
    assert not missing.parent.exists()


def test_standard_input(ferry, delivered):
    ended = ferry("verify", "-", "--root", delivered.root, stdin=delivered.control.read_text())
    assert ended.code == 0


def hostile(control):
    """Control files that must be refused, by what is wrong with them."""
    whole = json.loads(control.read_text())

    def changed(**members):
        return json.dumps({**whole, **members})

    def with_path(path):
        return changed(files=[{**whole["files"][0], "path": path}, *whole["files"][1:]])

    yield "cut", control.read_text()[:-100]
    yield "no JSON", "hello"
    yield "nothing", ""
    yield "count", changed(count=1 << 62)
    yield "negative", changed(count=-1)
    yield "total", changed(total_bytes=1)
    yield "huge size", changed(total_bytes=1e308, files=[{**whole["files"][0], "size": 1e308}, *(
        {**file, "size": 0} for file in whole["files"][1:])])
    yield "version", changed(version=2)
    yield "up", with_path("../a.csv")
    yield "absolute", with_path("/etc/passwd")
    yield "twice", with_path(whole["files"][1]["path"])
    yield "types", changed(files="all of them")


def test_hostile_control_files_are_refused(ferry, delivered, folder):
    for name, text in hostile(delivered.control):
        path = folder / "hostile.control.json"
        path.write_text(text)
        for place in (["--root", delivered.root], delivered.options()):
            ended = ferry("verify", path, *place)
            assert ended.code == 2, (name, ended)
            assert str(path) in ended.stderr
            assert ended.stdout == ""


def test_the_shell_example_refuses_what_it_cannot_use(shell, delivered, folder):
    for name, text in hostile(delivered.control):
        path = folder / "hostile.control.json"
        path.write_text(text)
        assert shell(path).returncode == 2, name


def test_the_shell_example_follows_no_links(shell, delivered, folder):
    file = delivered.root / NAMES[1]
    file.rename(folder / "elsewhere")
    file.symlink_to(folder / "elsewhere")
    ended = shell()
    assert (ended.returncode, "link" in ended.stdout) == (1, True)


@pytest.mark.parametrize("arguments", [
    (), ("--root", "/", "--to", "sftp://h/"), ("--root", "/", "--readback"),
    ("--destination", "x")])
def test_wrong_usage(ferry, folder, arguments):
    path = folder / "x.control.json"
    path.write_text("{}")
    assert ferry("verify", path, *arguments).code == 2
    assert ferry("verify", "--root", folder).code == 2


def test_files_that_are_not_there(ferry, delivered, folder):
    ended = ferry("verify", folder / "none.control.json", "--root", delivered.root)
    assert (ended.code, "none.control.json" in ended.stderr) == (2, True)
    assert ferry("verify", delivered.root, "--root", delivered.root).code == 2
    ended = ferry("verify", delivered.control, "--root", folder / "none")
    assert (ended.code, str(folder / "none") in ended.stderr) == (2, True)


@pytest.fixture
def from_log(ferry, delivered, metastore):
    """ferry verify of what the metastore selects."""

    def run(*options):
        return ferry("verify", *delivered.options(), "--metastore", metastore, *options)

    return run


def test_batches_are_selected_by_the_dates_of_their_files_or_of_their_delivery(
        from_log, delivered, metastore):
    (updated,) = {row["updated_date"] for row in tables(metastore)[0][:1]}
    for flags in (["--since", updated], ["--date", "today"], ["--delivered-since", updated]):
        ended = from_log("--json", *flags)
        assert ended.code == 0, ended.stdout + ended.stderr
        assert [line["batch_id"] for line in ended.json_lines] == [delivered.batch_id]


def test_nothing_selected_is_nothing_to_do(from_log, landing):
    assert from_log("--until", "2020-01-01").code == 0
    assert from_log("--until", "2020-01-01", "--idle-exit-code", "99").code == 99
    assert from_log("--date", "today", "--landing", landing.parent, "--idle-exit-code",
                    "99").code == 99
    assert from_log("--date", "today", "--landing", landing, "--idle-exit-code", "99").code == 0


def test_every_selected_batch_is_verified(from_log, delivered, landing, register, transfer):
    put(landing / "late.csv", b"late\n")
    register()
    assert transfer().code == 0
    (delivered.root / NAMES[0]).unlink()
    ended = from_log("--date", "today", "--json")
    assert ended.code == 1
    assert [line["ok"] for line in ended.json_lines] == [False, True]


def test_a_selected_file_that_was_tried_in_vain_is_wrong(
        from_log, delivered, landing, register, transfer):
    put(landing / "blocked", b"blocked\n")
    register()
    (delivered.root / "blocked").mkdir()
    assert transfer().code == 1
    ended = from_log("--date", "today")
    assert ended.code == 1
    assert "not delivered blocked" in ended.stdout


def test_a_selection_needs_bounds_and_a_metastore(from_log, ferry, delivered):
    assert "say what to verify" in from_log().stderr
    assert ferry("verify", "--date", "today", *delivered.options()).code == 2
    assert ferry("verify", "--date", "today", "--root", delivered.root).code == 2
