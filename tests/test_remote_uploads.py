"""Uploads to a landing area on a server A."""

import os

from ferry_harness import (eventually, kill_upload_at, put, relative_files, same_tree,
                           server_with)
from line_proxy import Line
from remote_site import Remote


def source(remote, name, content):
    put(remote.folder / "outside" / name, content)
    return remote.folder / "outside" / name


def dot_files(area):
    return [path for path in area.rglob(".*") if path.is_file()]


def test_an_upload_to_a_is_registered_here_once(remote, watcher):
    content = os.urandom(5 << 20)
    ended = remote.upload("--as", "new/deep/", source(remote, "big", content),
                   source(remote, "empty", b""))
    assert ended.code == 0, ended.stderr
    assert (remote.area / "new/deep/big").read_bytes() == content
    typed = remote.upload("--as", "typed", "-", stdin="typed")
    assert typed.json["source"] == "upload", typed.stderr
    put(remote.area / "the last", b"x")
    eventually(lambda: remote.states("the last") == ["ready"], what="the last file")
    assert len(remote.rows()) == 4
    assert dot_files(remote.area) == []
    assert remote.transfer().summary["successful"] == 4
    assert same_tree(remote.area, remote.b.root)


def test_no_clobber_and_all_or_none_on_a(remote):
    put(remote.area / "taken", b"old")
    ended = remote.upload("--no-clobber", source(remote, "free", b"new"),
                   source(remote, "taken", b"new"))
    assert ended.code == 1 and "taken" in ended.stderr, ended.stderr
    assert relative_files(remote.area) == ["taken"]
    assert (remote.area / "taken").read_bytes() == b"old"
    assert remote.upload(source(remote, "taken", b"new")).code == 0
    assert (remote.area / "taken").read_bytes() == b"new"
    assert remote.upload("--as", "../out", "-", stdin="x").code == 2
    wrong = remote.upload("--expect-checksum", "0" * 64, source(remote, "x", b"x"))
    assert wrong.code == 1, wrong.stderr
    assert relative_files(remote.area) == ["taken"]


def test_none_stays_on_a_where_there_is_no_room_for_another_name(remote, folder):
    a = server_with(folder / "full", "fill rename")
    try:
        full = Remote(folder / "full", a, remote.b)
        ended = full.upload("--as", "up/", source(remote, "x", b"x"), source(remote, "y", b"y"))
        assert ended.code == 1 and "up/y" in ended.stderr
        assert full.register() == 0 and relative_files(full.area) == []
    finally:
        a.stop()


def test_an_upload_to_a_that_is_down_fails_clearly(remote):
    file = source(remote, "x", b"x")
    remote.a.stop()
    ended = remote.upload(file)
    assert ended.code == 3, ended.stderr


def test_a_line_to_a_that_falls_silent_is_given_up_when_the_configuration_says(remote, folder):
    file = source(remote, "big", os.urandom(4 << 20))
    with Line(folder, remote.a.port, "--stall-random", "200000:400000") as line:
        remote.reach_a_by(line)
        with open(remote.config, "a", encoding="utf-8") as config:
            config.write('stall_timeout = "1s"\n')
        ended = remote.upload(file, timeout=40)
    assert ended.code == 3, ended.stderr


def test_an_upload_says_whose_trouble_it_is(remote, ferry, folder):
    """What cannot be read here is no trouble of A's."""
    unreadable = "/proc/self/mem"
    here = folder / "here"
    here.mkdir()
    local = ferry("upload", "--as", "x", unreadable, "--landing", here, "--metastore", folder / "other")
    ended = remote.upload("--as", "x", unreadable)
    assert (ended.code, local.code) == (1, 1), ended.stderr + local.stderr
    assert relative_files(remote.area) == []


def test_an_upload_to_a_killed_wherever_it_is(remote):
    content = os.urandom(4 << 20)
    file = source(remote, "big", content)
    for tenths in range(11):
        kill_upload_at(remote.area, len(content) * tenths // 10, "--config", remote.config, file)
        for path in remote.area.iterdir():
            if path.name == "big":
                assert path.read_bytes() == content
            else:
                assert path.name.startswith(".upload-") and path.name.endswith(".part")
    remote.register()
    assert dot_files(remote.area) == []
    there = relative_files(remote.area)
    assert there in ([], ["big"])
    assert sorted(row["path"] for row in remote.rows()) == there
