"""What the service tells of files that should come every day, and of what else needs somebody."""

import datetime
import json

import pytest

from ferry_harness import eventually, put


@pytest.fixture
def running(configured, serve):
    """A service whose configuration expects orders at the first minute of each day of UTC, and reports at its last."""
    configured.write('[route.all]\nto = ["b"]\n'
                     '[expect.orders]\nby = "00:00"\nmatch = ["orders-*.csv"]\nlanding = ["in"]\ncount = 2\n'
                     '[expect.reports]\nby = "23:59"\nmatch = ["report-*"]\n')
    configured.file.write_text('timezone = "UTC"\n' + configured.file.read_text())
    return serve("--config", configured.file, places=False)


def late(service, name="orders"):
    return [one for one in service.get("/v1/status").json["late"] if one["name"] == name]


def test_what_is_late_is_told_with_what_it_lacks_until_it_has_come(running, configured, landing):
    (orders,) = late(running)
    assert (orders["name"], orders["landed"], orders["count"]) == ("orders", 0, 2)
    assert (orders["match"], orders["landing"], orders["lacking"]) == (["orders-*.csv"], ["in"], [])
    for number in (1, 2):
        put(landing / f"orders-{number}.csv", b"1")
    configured.register()
    assert eventually(lambda: late(running)[0]["landed"] == 2, what="the orders") and late(running)[0]["lacking"] == ["b"]
    assert configured.transfer("--to", "b").code == 0
    eventually(lambda: not late(running), what="the end of the delay")


def test_a_day_of_expectations_is_told_as_the_command_tells_it(running, configured):
    today = datetime.datetime.now(datetime.timezone.utc).date()
    answer = running.get("/v1/expectations").json
    assert {one["date"] for one in answer["expectations"]} == {str(today)}
    assert answer["expectations"] == configured.run("expect", "--json").json_lines
    assert [one["state"] for one in answer["expectations"]] == ["late", "awaited"]
    tomorrow = str(today + datetime.timedelta(days=1))
    answer = running.get(f"/v1/expectations?date={tomorrow}").json
    assert {one["date"] for one in answer["expectations"]} == {tomorrow}
    assert [one["state"] for one in answer["expectations"]] == ["awaited", "awaited"]
    answer = running.get("/v1/expectations?date=yesterday").json
    assert {one["date"] for one in answer["expectations"]} == {str(today - datetime.timedelta(days=1))}
    refused = running.get("/v1/expectations?date=soon")
    assert refused.status == 400 and "'soon' is not a day" in refused.json["detail"]


def test_without_expectations_nothing_is_late(service):
    assert late(service) == []
    assert service.get("/v1/expectations").json["expectations"] == []
    assert service.get("/v1/expectations?date=soon").status == 400


def test_a_destination_that_is_away_is_told(running, configured, server, landing):
    put(landing / "orders-1.csv", b"1")
    configured.register()
    server.stop()
    assert configured.transfer("--to", "b").code == 3
    (outage,) = running.get("/v1/status").json["unreachable"]
    assert (outage["destination"], outage["kind"], outage["next_try"]) == ("b", "unreachable", None)


def test_what_was_delivered_and_not_archived_is_told_until_it_is(configured, serve, landing, folder):
    archive = folder / "archive"
    archive.write_bytes(b"not a directory")
    configured.write(f'[route.all]\nto = ["b"]\nafter = "archive"\narchive = "{archive}"\n')
    service = serve("--config", configured.file, places=False)
    assert service.get("/v1/status").json["untaken"] is None
    put(landing / "a.csv", b"a")
    configured.register()
    assert configured.transfer("--to", "b").code == 1
    untaken = service.get("/v1/status").json["untaken"]
    assert (untaken["files"], untaken["path"]) == (1, "a.csv") and str(archive) in untaken["message"]
    archive.unlink()
    archive.mkdir()
    assert configured.transfer("--to", "b").code == 0
    assert service.get("/v1/status").json["untaken"] is None


def test_rows_that_are_damaged_or_without_their_files_are_told(service, metastore):
    assert service.put("landing/a").status == 201
    status = service.get("/v1/status").json
    assert (status["damaged_rows"], status["orphaned_rows"]) == (0, 0)
    with open(metastore / "transfer_logs.jsonl", "a", encoding="utf-8") as logs:
        logs.write("garbage\n" + json.dumps({"id": "lost", "transfer_status": "successful",
                                             "transfer_date": "2026-11-01T00:00:00.000Z"}) + "\n")
    status = service.get("/v1/status").json
    assert (status["damaged_rows"], status["orphaned_rows"]) == (1, 1)
