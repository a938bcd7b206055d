"""Old control files at the destination: control_keep = …"""

import os
import time
import uuid

import pytest

from ferry_harness import put

DAY = 86_400


def batch_id(age):
    """A UUID of version 7 from so many seconds ago."""
    milliseconds = int((time.time() - age) * 1000)
    bits = milliseconds << 80 | 7 << 76 | 0b10 << 62 | uuid.uuid4().int & (1 << 62) - 1
    return str(uuid.UUID(int=bits))


def leave(folder, name, age, content=b"{}"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def deliver(configured, landing, name="new.csv"):
    put(landing / name, name.encode())
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == 0, ended.stderr
    return ended


@pytest.fixture(params=["", "control"], ids=["beside the files", "in control_dir"])
def control(request, server):
    place = server.root / request.param
    return place, f'control_dir = "{place}"\n' if request.param else ""


def test_old_ones_go_and_nothing_else(configured, landing, server, control):
    place, keys = control
    configured.write('[route.all]\nto = ["b"]\n', b=keys + 'control_keep = "30d"')
    old, young = 40 * DAY, 20 * DAY
    gone = [leave(place, f"{batch_id(old)}.control.json", old),
            leave(place, f"{batch_id(old)}.control.json.sig", old),
            leave(place, f".{batch_id(old)}.control.json.0123456789abcdef.part", old)]
    stay = [leave(place, f"{batch_id(young)}.control.json", young),
            leave(place, f"{batch_id(young)}.control.json", old),  # the server's clock is wrong
            leave(place, f"{batch_id(old)}.control.json", young),  # somebody has written to it
            leave(place, f"{batch_id(old)}.json", old),
            leave(place, f"{batch_id(old)}.SHA256SUMS", old),  # of another form than ours
            leave(place, f"{batch_id(old)}.csv", old),
            leave(place, "report.control.json", old),
            leave(place, f"{batch_id(old)}-{batch_id(old)}.control.json", old),
            leave(place, ".big.bin.0123456789abcdef.part", old),
            leave(place, "old.csv", old),
            leave(place / "deep", f"{batch_id(old)}.control.json", old)]
    link = place / f"{batch_id(old)}.control.json"
    link.symlink_to(stay[0])
    os.utime(link, (1, 1), follow_symlinks=False)
    directory = place / f"{batch_id(old)}.control.json"
    directory.mkdir()
    os.utime(directory, (1, 1))
    ended = deliver(configured, landing)
    assert [path.name for path in gone if path.exists()] == []
    assert [path.name for path in stay if not path.exists()] == []
    assert link.is_symlink() and directory.is_dir()
    assert "old control files removed" in ended.stderr


@pytest.mark.parametrize("keys, refused", [
    ("", (".control.json", ".control.json.sig")),
    ('control = "sha256sums"\n', (".SHA256SUMS", ".SHA256SUMS.sig")),
    ('control = "none"\n', ()),
    ('control_name = "{batch_id}.list"\n', (".list", ".list.sig"))])
def test_what_was_delivered_stays_whatever_its_name(configured, landing, server, control, keys,
                                                    refused):
    place, where = control
    configured.write('[route.all]\nto = ["b"]\npreserve = ["mtime"]\n',
                     b=where + keys + 'control_keep = "1d"')
    inside = landing / place.relative_to(server.root)
    put(landing / "plain.csv", b"x")
    names = [batch_id(40 * DAY) + suffix for suffix in
             (".control.json", ".control.json.sig", ".SHA256SUMS", ".SHA256SUMS.sig", ".list",
              ".list.sig")]
    for name in names:
        put(inside / name, b"another sender's")
        os.utime(inside / name, (time.time() - 40 * DAY,) * 2)
    configured.register()
    configured.transfer("--to", "b")
    configured.transfer("--to", "b")
    standings = {path.rpartition("/")[2]: status
                 for (path, _), status in configured.standings("b").items()}
    delivered = {name for name in names if standings[name] == "successful"}
    assert delivered == {name for name in names if name[36:] not in refused}
    assert {name for name in names if (place / name).exists()} == delivered


def test_a_version_gets_no_name_of_control_files(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\nexisting = "version"\n',
                     b='control_name = "{batch_id}.1.json"')
    name = f"{batch_id(0)}.json"
    (server.root / name).write_bytes(b"theirs")
    put(landing / name, b"ours")
    configured.register()
    ended = configured.transfer("--to", "b")
    assert ended.code == 1 and "is one of control files" in ended.stderr
    assert configured.standings("b")[name, "b"] == "failed"
    assert len(list(server.root.glob("*.1.json"))) == 0


def test_by_default_all_stay(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\n')
    old = leave(server.root, f"{batch_id(400 * DAY)}.control.json", 400 * DAY)
    deliver(configured, landing)
    assert old.exists()


def test_names_of_ones_own(configured, landing, server):
    keys = 'control_keep = "1d"\ncontrol_name = "list-{batch_id}.txt"'
    configured.write('[route.all]\nto = ["b"]\n', b=keys)
    old = leave(server.root, f"list-{batch_id(2 * DAY)}.txt", 2 * DAY)
    other = leave(server.root, f"notes-{batch_id(2 * DAY)}.txt", 2 * DAY)
    deliver(configured, landing)
    assert not old.exists() and other.exists()


def test_very_many_of_them(configured, landing, server):
    place = server.root / "control"
    configured.write('[route.all]\nto = ["b"]\n',
                     b=f'control_keep = "1d"\ncontrol_dir = "{place}"')
    deliver(configured, landing)
    for number in range(100):
        leave(place, f"{batch_id(2 * DAY + number)}.control.json", 2 * DAY)
    deliver(configured, landing, "second.csv")
    assert len(list(place.glob("*.control.json"))) == 2


def test_names_have_to_tell_their_age(configured):
    configured.write('[route.all]\nto = ["b"]\n',
                     b='control_keep = "1d"\ncontrol_name = "{date}.json"')
    ended = configured.run("config", "check")
    assert ended.code == 2 and "{batch_id}" in ended.stderr + ended.stdout
