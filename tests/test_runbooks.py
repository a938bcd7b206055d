"""The steps that docs/operations.md tells operators to take."""

import shutil
import subprocess

from ferry_harness import bytes_of_tables, make_files, make_key, put, tables


def test_a_new_host_key_is_accepted_by_hand(ferry, server, landing, metastore, register, status):
    make_files(landing, 1, 10)
    register()
    server.stop()
    for half in ("host_key", "host_key.pub"):
        (server.folder / half).unlink()
    make_key(server.folder / "host_key")
    trusted = server.known_hosts.read_text()
    server.start()
    server.known_hosts.write_text(trusted.replace(trusted.split()[0],
                                                  f"[127.0.0.1]:{server.port}"))

    def transfer():
        return ferry("transfer", "--landing", landing, "--metastore", metastore,
                     *server.options())

    refused = transfer()
    assert refused.code == 3
    assert "HAS CHANGED" in refused.stderr
    assert server.files() == []
    assert status()["pending"] == 1

    subprocess.run(["ssh-keygen", "-R", f"[127.0.0.1]:{server.port}", "-f", server.known_hosts],
                   capture_output=True, check=True, timeout=60)
    offered = subprocess.run(["ssh-keyscan", "-p", str(server.port), "127.0.0.1"],
                             capture_output=True, text=True, check=True, timeout=60).stdout
    with open(server.known_hosts, "a", encoding="utf-8") as known_hosts:
        known_hosts.write(offered)
    examined = ferry("doctor", "--landing", landing, "--metastore", metastore, *server.options())
    assert "host key known" in examined.stdout
    assert transfer().code == 0
    assert len(server.files()) == 1


def test_a_moved_metastore_knows_what_was_delivered(ferry, server, landing, metastore, folder,
                                                    register, transfer, status):
    make_files(landing, 3, 10)
    register()
    transfer()
    before = status()
    moved = folder / "moved"
    shutil.copytree(metastore, moved)
    shutil.rmtree(metastore)
    assert ferry("status", "--json", "--metastore", moved).json == before
    again = ferry("transfer", "--json", "--landing", landing, "--metastore", moved,
                  *server.options())
    assert again.summary["selected"] == 0


def test_a_backup_that_cut_a_row_is_mended(ferry, landing, metastore, folder, register):
    make_files(landing, 3, 10)
    register()
    backup = folder / "backup"
    shutil.copytree(metastore, backup)
    table = backup / "file_registry.jsonl"
    table.write_bytes(table.read_bytes()[:-20])
    restored = ferry("watch", "--once", "--json", "--landing", landing, "--metastore", backup)
    assert restored.json["registered"] == 1
    assert ferry("status", "--json", "--metastore", backup).json["pending"] == 3
    assert len(list((backup / "damaged").iterdir())) == 1


def test_a_damaged_row_that_is_taken_out_is_made_up_for(server, landing, metastore, register,
                                                        transfer, status):
    make_files(landing, 2, 10)
    put(landing / "late.csv", b"late")
    register()
    transfer()
    table = metastore / "file_registry.jsonl"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([lines[0], "broken\n", *lines[2:]]))
    assert status()["damaged_rows"] == 1
    table.write_text("".join([lines[0], *lines[2:]]))
    assert status()["damaged_rows"] == 0
    assert register() == 1
    assert transfer().summary["successful"] == 1
    assert len(tables(metastore)[0]) == 3
    assert all(content.endswith(b"\n") for content in bytes_of_tables(metastore))
