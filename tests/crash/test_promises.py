"""Each promise notices when it is broken: what an undisturbed round leaves is tampered with."""

import json
import shutil

import pytest

from crash import promises
from crash.bench import Bench
from ferry_harness import SANITIZED, put
from crash.rounds import bring_to_rest, what_is_still_to_do
from crash.scenarios import SCENARIOS
from crash.running import Ended
from crash.world import World

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers and LD_PRELOAD do not go together")


@pytest.fixture(scope="module")
def bench():
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def played(bench):
    """Plays a scenario without any fault, until the world is at rest."""
    worlds = []

    def play(name):
        world = World(bench)
        worlds.append(world)
        steps = SCENARIOS[name](world)
        for _ in range(3):
            next(steps, None)
        assert bring_to_rest(world) == []
        return world

    yield play
    for world in worlds:
        world.close()


def broken(world):
    return {name for name, _ in promises.broken(world)}


def log(world, **changes):
    """Appends the last row of transfer_logs once more, with changes."""
    table = world.metastore / "transfer_logs.jsonl"
    row = json.loads(table.read_text().splitlines()[-1]) | changes
    with open(table, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def register(world, **changes):
    table = world.metastore / "file_registry.jsonl"
    row = json.loads(table.read_text().splitlines()[-1]) | changes
    with open(table, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def control_file(world):
    return next((world.folder / "b").glob("*.control.json"))


def rewrite_control_file(world, change):
    path = control_file(world)
    content = json.loads(path.read_text())
    change(content)
    put(path, json.dumps(content).encode())


def write_under_final_name(world):
    (world.folder / "b" / "a.csv").write_bytes(world.files[0].content)


def give_half_the_name(world):
    put(world.folder / "b" / "a.csv", world.files[0].content[:100])


def deliver_again(world):
    put(world.folder / "b" / "a.csv", world.files[0].content)


def list_again(world):
    shutil.copy(control_file(world), world.folder / "b" / ".copy")
    (world.folder / "b" / ".copy").rename(world.folder / "b" / "again.control.json")


def list_what_is_not_there(world):
    rewrite_control_file(world, lambda content: content["files"][0].update(path="nowhere"))


def list_another_checksum(world):
    rewrite_control_file(world, lambda content: content["files"][0].update(
        checksum="sha256:" + "0" * 64))


def succeed_again(world):
    log(world)


def fail_afterwards(world):
    log(world, transfer_status="failed", attempt=1,
        error={"kind": "failed", "message": "it is said", "retryable": True})


def register_again(world):
    register(world, id="0198-another")


def tear_a_row(world):
    with open(world.metastore / "transfer_logs.jsonl", "a", encoding="utf-8") as file:
        file.write('{"id":"')


def forget_a_row(world):
    table = world.metastore / "transfer_logs.jsonl"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))


def leave(path):
    def leave_it(world):
        (world.folder / path).parent.mkdir(exist_ok=True)
        (world.folder / path).touch()
    leave_it.__name__ = f"leave {path}"
    return leave_it


def take_away_at_b(world):
    (world.folder / "b" / "a.csv").unlink()


def keep_the_marker(world):
    (world.metastore / "pending").touch()


@pytest.mark.parametrize("tamper, promise", [
    (write_under_final_name, "whole"),
    (give_half_the_name, "whole"),
    (deliver_again, "delivered once"),
    (succeed_again, "delivered once"),
    (list_again, "listed once"),
    (list_another_checksum, "listed once"),
    (list_what_is_not_there, "control file last"),
    (fail_afterwards, "recorded"),
    (tear_a_row, "recorded"),
    (register_again, "registered once"),
    (forget_a_row, "nothing forgotten"),
    (take_away_at_b, "stays there"),
    (keep_the_marker, "told alike"),
    (leave("b/.a.csv.0198.part"), "nothing left over"),
    (leave("landing/.upload-0198.part"), "nothing left over"),
    (leave("metastore/journals/0198.b"), "nothing left over"),
    (leave("metastore/uploads/0198"), "nothing left over"),
    (leave("metastore/agents/host-1-1.lock"), "nothing left over"),
    (leave("metastore/batches/0198.control.json"), "nothing left over"),
    (leave("metastore/compaction.json"), "nothing left over"),
], ids=lambda value: getattr(value, "__name__", value))
def test_it_is_noticed(played, tamper, promise):
    world = played("transfer")
    tamper(world)
    assert promise in broken(world)


def test_a_source_that_is_taken_away_early_is_noticed(played):
    world = played("delete")
    late = world.land("late.csv", b"late", after="delete")
    (world.landing / late.path).unlink()
    world.undisturbed("watch", "--once")
    assert "taken away last" in broken(world)


def test_two_copies_in_the_archive_are_noticed(played):
    world = played("archive")
    shutil.copy(world.archive / "a.csv", world.archive / "a.csv.again")
    assert "taken away last" in broken(world)


def test_an_older_version_over_a_newer_one_is_noticed(played):
    world = played("new-version")
    put(world.folder / "b" / "a.csv", world.files[0].content)
    assert "newest" in broken(world)


def test_what_should_have_been_kept_out_is_noticed(played):
    world = played("held")
    put(world.folder / "b" / "empty.csv", b"")
    assert "kept out" in broken(world)


def test_a_file_that_is_lost_from_quarantine_is_noticed(played):
    world = played("held")
    held = next((world.landing / ".quarantine").glob("*/empty.csv"))
    held.unlink()
    assert "held once" in broken(world)


def test_half_an_upload_is_noticed(played):
    world = played("upload")
    world.all_or_none.append(world.expect("up/z.csv", b"never", fate="open"))
    assert "all or none" in broken(world)


def test_something_left_to_do_is_noticed(played):
    world = played("transfer")
    world.land("late.csv", b"late")
    world.undisturbed("watch", "--once")
    assert "stubborn" in broken(world)
    assert {name for name, _ in what_is_still_to_do(world)} == {"at rest"}


def test_a_wrong_exit_code_is_noticed(played):
    world = played("transfer")
    world.land("late.csv", b"late")
    said = Ended(("watch", "--once"), 0, "", "")
    assert promises.judge_exit_code(world, said, (world.tables(), world.files))
    world.undisturbed("watch", "--once")
    said.args = ("transfer",)
    assert promises.judge_exit_code(world, said, (world.tables(), world.files))


def test_a_signal_and_a_hang_are_noticed(played):
    world = played("transfer")
    world.story[0].code = -11
    assert "exit codes" in broken(world)
    world.story[0].code, world.story[0].hung = 0, True
    assert "exit codes" in broken(world)
