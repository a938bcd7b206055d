"""SIGHUP makes a running ferry read its configuration again."""

import functools
import os
import signal

import ferry_harness
from ferry_harness import Process, put, read_table

eventually = functools.partial(ferry_harness.eventually, deadline=60)


def write_configuration(folder, *areas, extra=""):
    """The landing areas are directories of FOLDER."""
    lines = [f'metastore = "{folder}/metastore"', extra]
    for area in areas:
        (folder / area).mkdir(exist_ok=True)
        lines += [f"[landing.{area}]", f'path = "{folder}/{area}"']
    put(folder / "ferry.toml", "\n".join(lines).encode())


def start_watching(folder):
    watcher = Process(folder, "watch", "--config", folder / "ferry.toml")
    eventually(lambda: " ready" in watcher.log(), what="the watcher")
    return watcher


def registered(folder):
    return {row["path"] for row in read_table(folder / "metastore", "file_registry")}


def reload(watcher, outcome):
    watcher.popen.send_signal(signal.SIGHUP)
    eventually(lambda: outcome in watcher.log(), what=outcome)


def test_a_new_landing_area_is_watched_while_files_keep_landing_in_the_old_one(folder):
    write_configuration(folder, "old")
    watcher = start_watching(folder)
    for number in range(300):
        put(folder / "old" / f"{number}", os.urandom(2000))
        if number == 100:
            write_configuration(folder, "old", "new")
            put(folder / "new" / "early", b"before the reload")
            watcher.popen.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration reloaded" in watcher.log(), what="the reload")
    put(folder / "new" / "late", b"after the reload")
    wanted = {str(number) for number in range(300)} | {"early", "late"}
    eventually(lambda: registered(folder) == wanted, what="all files in the registry")
    assert watcher.stop().code == 0
    assert len(read_table(folder / "metastore", "file_registry")) == len(wanted)


def test_a_configuration_with_mistakes_changes_nothing_and_is_named(folder):
    write_configuration(folder, "old")
    watcher = start_watching(folder)
    write_configuration(folder, "old", extra="[watch]\nhash_thread = 2")
    reload(watcher, "configuration not reloaded")
    assert "hash_thread" in watcher.log()
    put(folder / "old" / "after", b"x")
    eventually(lambda: registered(folder) == {"after"}, what="the file in the registry")
    assert watcher.stop().code == 0


def test_a_landing_area_that_is_not_there_changes_nothing(folder):
    write_configuration(folder, "old")
    watcher = start_watching(folder)
    write_configuration(folder, "old", "new")
    (folder / "new").rmdir()
    reload(watcher, "configuration not reloaded")
    put(folder / "old" / "after", b"x")
    eventually(lambda: registered(folder) == {"after"}, what="the file in the registry")
    assert watcher.stop().code == 0
