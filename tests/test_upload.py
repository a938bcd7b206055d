"""ferry upload: placed in one step, registered once, all files or none, whenever it is killed."""

import hashlib
import os
import subprocess

import pytest

from ferry_harness import (FERRY, SANITIZED, Process, command, environment, eventually,
                           kill_upload_at, put, read_table, relative_files)

BIG = os.urandom(1 << 20) * 3


@pytest.fixture
def upload(ferry, landing, metastore):
    def run(*words, **keywords):
        return ferry("upload", "--json", "--landing", landing, "--metastore", metastore, *words,
                     **keywords)

    return run


@pytest.fixture
def outside(folder):
    """A file elsewhere, by its name and content."""

    def make(name="a.csv", content=b"content"):
        put(folder / "outside" / name, content)
        return folder / "outside" / name

    return make


def checksum(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def records(metastore):
    """The last row of each id."""
    return {row["id"]: row for row in read_table(metastore, "file_registry")}


def dot_files(landing):
    return [path for path in landing.rglob(".*") if path.is_file()]


def nothing_there(landing, metastore):
    return list(landing.iterdir()) == [] and records(metastore) == {}


def test_a_file_is_placed_and_registered(upload, outside, landing, metastore):
    ended = upload(outside())
    assert ended.code == 0, ended.stderr
    assert (landing / "a.csv").read_bytes() == b"content"
    (record,) = ended.json_lines
    assert record["path"] == "a.csv" and record["source"] == "upload"
    assert record["checksum"] == checksum(b"content")
    (row,) = records(metastore).values()
    assert {**row, "updated_date": ""} == {**record, "updated_date": ""}
    assert dot_files(landing) == [] and list((metastore / "uploads").iterdir()) == []


def test_standard_input_gets_the_name_that_as_says(upload, landing):
    ended = upload("--as", "new/deep/from stdin.txt", "-", stdin="typed")
    assert ended.code == 0, ended.stderr
    assert (landing / "new/deep/from stdin.txt").read_text() == "typed"
    assert upload("-", stdin="typed").code == 2


def test_several_files_go_into_a_directory_together(upload, outside, landing):
    ended = upload("--as", "in/", outside("a"), outside("b", b""))
    assert ended.code == 0, ended.stderr
    assert [record["path"] for record in ended.json_lines] == ["in/a", "in/b"]
    assert relative_files(landing) == ["in/a", "in/b"]
    assert upload("--as", "one", outside("a"), outside("b")).code == 2


def test_all_or_none(upload, outside, folder, landing, metastore):
    assert upload(outside("a"), folder / "not there", outside("b")).code == 2
    assert nothing_there(landing, metastore)
    (landing / "sub" / "b").mkdir(parents=True)
    put(landing / "sub" / "a", b"old")
    ended = upload("--as", "sub/", outside("a"), outside("c"), outside("b"))
    assert ended.code == 1 and "sub/b" in ended.stderr
    assert relative_files(landing) == ["sub/a"]
    assert (landing / "sub" / "a").read_bytes() == b"old"
    assert records(metastore) == {}


def test_no_clobber_refuses_and_without_it_the_file_is_replaced(upload, outside, landing,
                                                                metastore):
    upload(outside())
    ended = upload("--no-clobber", outside("a.csv", b"other"))
    assert ended.code == 1 and "a.csv" in ended.stderr
    assert (landing / "a.csv").read_bytes() == b"content"
    assert upload(outside("a.csv", b"other")).code == 0
    assert (landing / "a.csv").read_bytes() == b"other"
    assert [row["state"] for row in records(metastore).values()] == ["superseded", "ready"]


def test_an_expected_checksum_is_held_against_the_bytes(upload, outside, landing, metastore):
    wrong = upload("--expect-checksum", "0" * 64, outside())
    assert wrong.code == 1 and "checksum" in wrong.stderr
    assert nothing_there(landing, metastore)
    for right in (checksum(b"content"), "md5:" + hashlib.md5(b"content").hexdigest()):
        assert upload("--expect-checksum", right, outside()).code == 0


def test_what_the_landing_area_does_not_take_is_refused(upload, outside, landing, metastore):
    for options in (["--max-size", "3"], ["--empty", "quarantine"], ["--magic", "504b0304"]):
        name = outside("empty.csv", b"") if "--empty" in options else outside()
        ended = upload(name, *options)
        assert ended.code == 1, ended.stderr
        assert "the landing area takes no such file" in ended.stderr
        assert nothing_there(landing, metastore)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a//b", "./a", "a/./b", ".hidden", "a/.git/b",
                                  "x.tmp", "x.part", "tab\there", "a/" + "n" * 256, "sub/"])
def test_a_name_that_no_watcher_would_register_is_refused(upload, landing, metastore, path):
    ended = upload("--as", path, "-", stdin="typed")
    assert ended.code == 2, ended.stderr
    assert nothing_there(landing, metastore)


def test_a_directory_that_leads_out_is_not_followed(upload, folder, landing):
    (folder / "elsewhere").mkdir()
    (landing / "link").symlink_to(folder / "elsewhere")
    assert upload("--as", "link/x", "-", stdin="typed").code == 2
    assert list((folder / "elsewhere").iterdir()) == []


def test_the_configured_area_is_found_by_its_name(ferry, folder, landing, metastore, outside):
    (folder / "other").mkdir()
    config = folder / "ferry.toml"
    config.write_text(f'metastore = "{metastore}"\n[landing.in]\npath = "{landing}"\n'
                      f'ignore = ["*.bak"]\n[landing.other]\npath = "{folder}/other"\n')
    unclear = ferry("upload", "--config", config, outside())
    assert unclear.code == 2 and "other" in unclear.stderr
    ignored = ferry("upload", "--config", config, "--landing", "in", outside("x.bak"))
    assert ignored.code == 2, ignored.stderr
    ended = ferry("upload", "--config", config, "--landing", "in", "--json", outside())
    assert ended.json["landing"] == "in"


def test_a_running_watcher_makes_no_second_record(upload, outside, landing, metastore, watching):
    with watching() as watcher:
        for number in range(40):
            assert upload("--as", f"{number % 4}/{number}", outside()).code == 0
        put(landing / "the last", b"last")  # what happened before is dealt with by then
        eventually(lambda: "path=\"the last\"" in watcher.log() or "the last" in watcher.log()
                   and any(row["path"] == "the last" for row in records(metastore).values()),
                   what="the last file registered")
    rows = records(metastore).values()
    assert len(rows) == 41
    assert {row["source"] for row in rows if row["path"] != "the last"} == {"upload"}
    assert {row["state"] for row in rows} == {"ready"}


def settle(ferry, landing, metastore, how, outside):
    """The next start, of a watcher or an upload."""
    area = ("--landing", landing, "--metastore", metastore)
    if how == "watch":
        ended = ferry("watch", "--once", *area)
    else:
        ended = ferry("upload", "--as", "the next one", *area, outside("next"))
    assert ended.code == 0, ended.stderr


def check_whole_or_nothing(landing, metastore, names):
    """After the next start: all of NAMES, registered, or none; and nothing else."""
    assert dot_files(landing) == []
    # One that died with its journal empty made nothing; the journal goes a minute later.
    assert all(path.stat().st_size == 0 for path in (metastore / "uploads").glob("*"))
    there = [name for name in relative_files(landing) if name != "the next one"]
    assert there in ([], names)
    rows = [row for row in records(metastore).values() if row["path"] != "the next one"]
    assert sorted(row["path"] for row in rows) == there
    for row in rows:
        assert row["checksum"] == checksum((landing / row["path"]).read_bytes())
        assert row["state"] == "ready"
    return bool(there)


@pytest.mark.skipif(SANITIZED, reason="sanitizers and ptrace do not go together")
@pytest.mark.parametrize("next_start", ["watch", "upload"])
def test_killed_at_any_of_its_steps(ferry, folder, landing, metastore, outside, next_start):
    """strace(1) kills it at the n-th call of each kind that changes something on disk."""
    files = [outside("a", BIG), outside("b", b"small")]
    outcomes = []
    for call in ("openat", "mkdirat", "write", "fsync", "fdatasync", "renameat2", "unlink",
                 "unlinkat"):
        for number in range(1, 40):
            if call == "openat" and number < 15:
                continue  # the loader's
            traced = subprocess.run(
                ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                 "-e", f"inject={call}:signal=KILL:when={number}",
                 *command("upload", "--as", "in/", "--landing", landing, "--metastore", metastore,
                          *files)], env=environment(), capture_output=True, check=False,
                timeout=120)
            settle(ferry, landing, metastore, next_start, outside)
            outcomes.append(check_whole_or_nothing(landing, metastore, ["in/a", "in/b"]))
            for name in relative_files(landing):
                (landing / name).unlink()
            ferry("watch", "--once", "--landing", landing, "--metastore", metastore)
            for table in metastore.glob("*.jsonl"):
                table.unlink()
            if traced.returncode == 0:
                break
    assert any(outcomes) and not all(outcomes)


def test_killed_wherever_it_is(ferry, landing, metastore, outside):
    source = outside("big", BIG * 4)
    for tenths in range(11):
        kill_upload_at(landing, len(BIG) * 4 * tenths // 10, "--landing", landing, "--metastore",
                       metastore, source)
        for path in landing.iterdir():
            if path.name == "big":
                assert path.read_bytes() == BIG * 4
            else:
                assert path.name.startswith(".upload-") and path.name.endswith(".part")
    settle(ferry, landing, metastore, "watch", outside)
    check_whole_or_nothing(landing, metastore, ["big"])


def test_the_temporary_file_of_a_living_upload_is_left_alone(ferry, folder, landing, metastore):
    area = ("--landing", landing, "--metastore", metastore)
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    living = Process(folder, "upload", "--as", "slow", *area, pipe)
    with open(pipe, "wb") as writer:
        writer.write(b"half")
        writer.flush()
        eventually(lambda: dot_files(landing), what="the temporary file")
        put(landing / ".upload-of-somebody-else.part", b"not ours")
        assert ferry("watch", "--once", *area).code == 0
        assert ferry("upload", "--as", "quick", *area, "-", stdin="quick").code == 0
        assert len(dot_files(landing)) == 2
        writer.write(b" and half")
    ended = living.wait()
    assert ended.code == 0, ended.stderr
    assert (landing / "slow").read_bytes() == b"half and half"
    assert [path.name for path in dot_files(landing)] == [".upload-of-somebody-else.part"]


def test_interrupted_it_leaves_nothing(folder, landing, metastore):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    running = Process(folder, "upload", "--as", "d/slow", "--landing", landing, "--metastore",
                      metastore, pipe)
    with open(pipe, "wb") as writer:
        writer.write(b"half")
        writer.flush()
        eventually(lambda: dot_files(landing), what="the temporary file")
        ended = running.stop()
    assert ended.code == 130, ended.stderr
    assert nothing_there(landing, metastore)


def test_a_program_may_link_the_api(landing, metastore):
    example = FERRY.with_name("upload_example")
    words = [str(example), str(landing), str(metastore), "d/from a program"]
    ended = subprocess.run(words, input=b"content", capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (row,) = records(metastore).values()
    assert (row["id"], row["source"]) == (ended.stdout.decode().strip(), "upload")
    assert (landing / "d/from a program").read_bytes() == b"content"


def test_what_a_command_writes_is_placed_if_it_ends_well(upload, landing, metastore):
    ended = upload("--as", "dumps/shop.sql", "--", "sh", "-c", "cat; echo -n $WORD", stdin="a dump, ",
                   env={"WORD": "whole"})
    assert ended.code == 0, ended.stderr
    assert (landing / "dumps/shop.sql").read_bytes() == b"a dump, whole"
    (record,) = ended.json_lines
    assert record["checksum"] == checksum(b"a dump, whole")


@pytest.mark.parametrize("script, message", [
    ("echo half; echo no space >&2; exit 3", "exit status 3"),
    ("echo half; kill -9 $$", "killed by signal 9"),
    ("echo half; exec >&-; exit 1", "exit status 1")])
def test_nothing_is_placed_of_a_command_that_fails(upload, landing, metastore, script, message):
    ended = upload("--as", "shop.sql", "--", "sh", "-c", script)
    assert ended.code == 1
    assert message in ended.stderr and "nothing is registered" in ended.stderr
    assert ("no space" in ended.stderr) == ("no space" in script)
    assert nothing_there(landing, metastore)


def test_nobody_waits_for_what_a_failed_command_left_running(folder, upload, landing, metastore):
    os.mkfifo(folder / "never")
    ended = upload("--as", "shop.sql", "--", "sh", "-c", f"cat {folder}/never & exit 3", timeout=60)
    assert ended.code == 1 and "exit status 3" in ended.stderr
    assert nothing_there(landing, metastore)


def test_a_command_that_is_not_there(upload, landing, metastore):
    ended = upload("--as", "shop.sql", "--", "no-such-program")
    assert ended.code == 1
    assert "no-such-program" in ended.stderr
    assert nothing_there(landing, metastore)


@pytest.mark.parametrize("words, message", [
    (["--as", "x", "--"], "no command follows"),
    (["--", "echo"], "what a command writes has no name"),
    (["--as", "dir/", "--", "echo"], "what a command writes has no name"),
    (["--as", "x", "file", "--", "echo"], "either files or a command"),
    ([], "is missing"),
    (["-x"], "is written './-x'")])
def test_command_lines_that_mean_nothing(upload, words, message):
    ended = upload(*words)
    assert ended.code == 2
    assert message in ended.stderr


def test_a_stopped_upload_ends_its_command(folder, landing, metastore):
    process = Process(folder, "upload", "--landing", landing, "--metastore", metastore, "--as", "x",
                      "--", "sh", "-c", f"echo $$ > {folder}/pid; echo half; exec sleep 1000")
    pid = int(eventually(lambda: (folder / "pid").exists() and (folder / "pid").read_text()).strip())
    eventually(lambda: dot_files(landing), what="the half that came")
    process.popen.terminate()
    assert process.wait(timeout=30).code == 130
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert nothing_there(landing, metastore)
