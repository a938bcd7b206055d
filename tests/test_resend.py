"""ferry resend: what a destination lost is delivered to it again."""

import pytest

from ferry_harness import make_files, put, read_table, same_tree


@pytest.fixture
def delivered(ferry, server, landing, register, transfer):
    make_files(landing, 3, 100)
    register()
    assert transfer().summary["successful"] == 3
    return server


def test_a_file_that_was_deleted_there(ferry, delivered, landing, metastore, transfer, status):
    (delivered.root / "file-00001.dat").unlink()
    assert transfer("file-00001.dat").summary["selected"] == 0
    ended = ferry("resend", "file-00001.dat", "--metastore", metastore)
    assert ended.code == 0, ended.stderr
    assert "file-00001.dat is to be delivered" in ended.stdout
    assert (metastore / "pending").exists()
    assert status()["pending"] == 1
    summary = transfer().summary
    assert (summary["selected"], summary["successful"]) == (1, 1)
    assert same_tree(landing, delivered.root)
    assert not (metastore / "pending").exists()
    # Told as it was: delivered, asked for again, delivered, with a control file of its own.
    (only,) = {row["id"] for row in read_table(metastore, "file_registry")
               if row["path"] == "file-00001.dat"}
    rows = [row for row in read_table(metastore, "transfer_logs") if row["id"] == only]
    assert [(row["transfer_status"], row["attempt"]) for row in rows] == [
        ("in_progress", 1), ("successful", 1), ("failed", 0), ("in_progress", 1), ("successful", 1)]
    assert rows[2]["error"]["kind"] == "resend"
    assert rows[1]["batch_id"] != rows[4]["batch_id"]
    last = [control for control in delivered.control_files()
            if control["batch_id"] == rows[4]["batch_id"]]
    assert [file["path"] for file in last[0]["files"]] == ["file-00001.dat"]


def test_a_whole_batch_and_one_by_its_id(ferry, delivered, landing, metastore, transfer):
    row = read_table(metastore, "transfer_logs")[-1]
    for path in delivered.root.iterdir():
        path.unlink()
    by_id = ferry("resend", row["id"], "--json", "--metastore", metastore).json
    assert (by_id["resent"], by_id["left"]) == (1, [])
    assert by_id["files"][0]["id"] == row["id"]
    # What is pending already needs no help; the rest of the batch does.
    ended = ferry("resend", row["batch_id"], "--json", "--metastore", metastore)
    assert ended.json["resent"] == 2
    assert transfer().summary["successful"] == 3
    assert same_tree(landing, delivered.root)


def test_only_to_one_destination(configured, landing, server, other_server):
    configured.write("")
    make_files(landing, 1, 10)
    configured.register()
    assert configured.transfer().code == 0
    for one in (server, other_server):
        (one.root / "file-00000.dat").unlink()
    assert configured.run("resend", "file-00000.dat", "--destination", "c").code == 0
    assert configured.transfer().code == 0
    assert (server.files(), other_server.files()) == ([], ["file-00000.dat"])


def test_a_batch_goes_to_its_own_destination(configured, landing, metastore, server, other_server):
    configured.write("")
    make_files(landing, 2, 10)
    configured.register()
    assert configured.transfer().code == 0
    for one in (server, other_server):
        for name in one.files():
            (one.root / name).unlink()
    (batch,) = {row["batch_id"] for row in read_table(metastore, "transfer_logs")
                if row["destination"] == "b"}
    ended = configured.run("resend", batch, "--json")
    assert {file["destination"] for file in ended.json["files"]} == {"b"}
    assert configured.transfer().code == 0
    assert (len(server.files()), other_server.files()) == (2, [])


def test_what_cannot_be_sent_again_says_why(ferry, delivered, landing, metastore, register,
                                            transfer):
    old = next(row for row in read_table(metastore, "file_registry")
               if row["path"] == "file-00000.dat")
    put(landing / old["path"], b"a newer version")
    (landing / "file-00002.dat").unlink()
    put(landing / "waits.dat", b"x")
    register()
    before = (metastore / "transfer_logs.jsonl").read_bytes()
    for name, reason in ((old["id"], "a newer version"), ("file-00002.dat", "its source is gone"),
                         ("waits.dat", "it is pending"), (old["path"], "it is pending")):
        ended = ferry("resend", name, "--metastore", metastore)
        assert ended.code == 1, name
        assert reason in ended.stdout
    assert (metastore / "transfer_logs.jsonl").read_bytes() == before
    unknown = ferry("resend", "no-such.dat", "--metastore", metastore)
    assert (unknown.code, unknown.stdout) == (2, "")
    assert ferry("resend", "--metastore", metastore).code == 2


def test_a_path_means_its_latest_version(ferry, delivered, landing, metastore, register, transfer):
    put(landing / "file-00000.dat", b"a newer version")
    register()
    assert transfer().summary["successful"] == 1
    (delivered.root / "file-00000.dat").unlink()
    ended = ferry("resend", "file-00000.dat", "--json", "--metastore", metastore)
    assert (ended.code, ended.json["resent"], ended.json["left"]) == (0, 1, [])
    assert transfer().summary["successful"] == 1
    assert (delivered.root / "file-00000.dat").read_bytes() == b"a newer version"


def test_where_no_route_leads_any_more(configured, landing):
    configured.write('[route.all]\nto = ["b"]\n')
    make_files(landing, 1, 10)
    configured.register()
    assert configured.transfer().code == 0
    configured.write('[route.all]\nto = ["c"]\n')
    ended = configured.run("resend", "file-00000.dat")
    assert ended.code == 1
    assert "no route leads it there any more" in ended.stdout
    assert configured.standings()["file-00000.dat", "b"] == "successful"
