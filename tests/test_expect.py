"""Files that should come every day: `ferry expect`, and what status tells of them."""

import datetime
import json
import re
import zoneinfo

import pytest

from ferry_harness import put

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def clock(minutes):
    """The time of day so many minutes from now, in the zone that the test's configuration names."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)).strftime("%H:%M")


def is_near_midnight():
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.hour * 60 + now.minute in (*range(0, 10), *range(24 * 60 - 70, 24 * 60))


@pytest.fixture
def expecting(configured):
    """Writes a configuration whose expectation has these keys."""
    if is_near_midnight():
        pytest.skip("the day is about to end, or has just begun")

    def write(keys, more=""):
        configured.write(f'[route.all]\nto = ["b"]\n{more}[expect.orders]\n{keys}\n')
        configured.file.write_text('timezone = "UTC"\n' + configured.file.read_text())
        configured.register()  # there is a metastore
        return configured

    return write


def state(configured, *options):
    ended = configured.run("expect", "--json", *options)
    (day,) = ended.json_lines
    assert ended.code == (1 if day["state"] == "late" else 0)
    return day["state"], day["landed"], day["arrived"]


LATE, SOON = 'by = "00:01"', f'by = "{clock(60)}"'


def test_from_awaited_to_arrived(expecting, landing):
    configured = expecting(SOON + '\nmatch = ["orders-*.csv"]\ncount = 2')
    assert state(configured) == ("awaited", 0, 0)
    put(landing / "orders-1.csv", b"1")
    put(landing / "other.csv", b"1")
    configured.register()
    assert state(configured) == ("awaited", 1, 0)
    put(landing / "orders-2.csv", b"2")
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    assert state(configured) == ("arrived", 2, 2)
    text = configured.run("expect").stdout
    assert re.search(r"orders +\d{4}-\d\d-\d\d .*UTC +2/2 +2/2 arrived", text), text


def test_what_is_late_and_comes_after_all(expecting, landing):
    configured = expecting(LATE)
    assert state(configured) == ("late", 0, 0)
    put(landing / "orders.csv", b"1")
    configured.register()
    assert state(configured) == ("late", 1, 0)
    assert configured.transfer("--to", "b").code == 0
    assert state(configured) == ("came late", 1, 1)


def test_a_new_version_is_no_second_file(expecting, landing):
    configured = expecting(SOON + "\ncount = 2")
    for content in (b"1", b"22"):
        put(landing / "orders.csv", content)
        configured.register()
        assert configured.transfer("--to", "b").code == 0
    assert state(configured) == ("awaited", 1, 1)


def test_small_files_and_other_areas_do_not_count(expecting, landing):
    configured = expecting(SOON + '\nmin_size = "10"\nlanding = ["in"]')
    put(landing / "small", b"1")
    put(landing / "large", b"1" * 10)
    configured.register()
    assert state(configured)[1] == 1


def test_every_destination_has_to_have_it(expecting, landing):
    configured = expecting(LATE)
    configured.file.write_text(configured.file.read_text().replace('to = ["b"]', 'to = ["b", "c"]'))
    put(landing / "orders.csv", b"1")
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    assert state(configured) == ("late", 1, 0)
    assert configured.transfer("--to", "c").code == 0
    assert state(configured) == ("came late", 1, 1)


def test_days(expecting):
    today = datetime.datetime.now(datetime.timezone.utc).weekday()
    configured = expecting(LATE + f'\ndays = "{DAYS[(today + 1) % 7]}"')
    ended = configured.run("expect", "--json")
    assert (ended.code, ended.stdout) == (0, "")
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    assert state(configured, "--date", tomorrow.strftime("%Y-%m-%d"))[0] == "awaited"
    # Of last week's nothing came: nobody is told that all is well until the next.
    assert configured.run("status", "--check").code == 2


def test_rows_of_old_files_that_came_after_it(expecting, landing):
    configured = expecting(LATE)
    put(landing / "orders.csv", b"1")
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    assert configured.run("status", "--check").code == 0
    row = {"id": "old", "path": "old.csv", "updated_date": "2020-01-01T00:00:00Z",
           "checksum": "sha256:" + "0" * 64, "landing": "in"}
    ended = configured.run("import", "-", stdin=json.dumps(row) + "\n")
    assert ended.code == 0, ended.stderr
    assert state(configured) == ("came late", 1, 1)
    assert configured.run("status", "--json").json["late"] == []


def test_what_status_tells(expecting, landing):
    configured = expecting(LATE + '\nmatch = ["orders*"]')
    text = configured.run("status")
    assert text.code == 0
    assert "late         orders   by " in text.stdout
    (late,) = configured.run("status", "--json").json["late"]
    assert (late["name"], late["landed"]) == ("orders", 0)
    assert 'ferry_late{expectation="orders"} 1' in configured.run("status", "--prometheus").stdout
    checked = configured.run("status", "--check")
    assert checked.code == 2
    assert checked.stdout.startswith("FERRY CRITICAL: 1 late | ")
    put(landing / "orders.csv", b"1")
    configured.register()
    assert configured.transfer("--to", "b").code == 0
    checked = configured.run("status", "--check")
    assert (checked.code, checked.stdout.split(":")[0]) == (0, "FERRY OK")
    assert 'ferry_late{expectation="orders"} 0' in configured.run("status", "--prometheus").stdout


def test_the_check_warns_of_what_has_failed(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\n')
    put(landing / "a/x.csv", b"1")
    (server.root / "a").touch()
    configured.register()
    assert configured.transfer("--to", "b").code == 1
    checked = configured.run("status", "--check")
    assert checked.code == 1
    assert checked.stdout.startswith("FERRY WARNING: 1 failed | ")


# Zones of their own.

ZONES = ["Pacific/Kiritimati", "Etc/GMT+12"]  # in which it is never the same day


@pytest.fixture
def in_zones(configured):
    """Writes what is expected in which zone at which time; the configuration's own zone is another."""

    def write(expected, **keys):
        more = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
        configured.write('[route.all]\nto = ["b"]\n' + "".join(
            f'[expect.{name}]\nby = "{by}"\ntimezone = "{zone}"\n{more}' for name, (zone, by) in expected.items()))
        configured.file.write_text('timezone = "America/New_York"\n' + configured.file.read_text())
        configured.register()
        return configured

    return write


def expected_on(configured, *options):
    return {day["name"]: day for day in configured.run("expect", "--json", *options).json_lines}


def instant(date, by, zone):
    time = datetime.datetime.fromisoformat(f"{date} {by}").replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_today_and_the_time_of_day_are_those_of_the_expectation_s_zone(in_zones):
    configured = in_zones({"east": (ZONES[0], "00:00"), "west": (ZONES[1], "00:00")})
    while True:
        dates = [str(datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()) for zone in ZONES]
        days = expected_on(configured)
        if dates == [str(datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()) for zone in ZONES]:
            break
    for name, zone, date in zip(["east", "west"], ZONES, dates, strict=True):
        assert (days[name]["date"], days[name]["timezone"]) == (date, zone)
        assert days[name]["deadline"] == instant(date, "00:00", zone)
    text = configured.run("expect").stdout
    assert f"{dates[0]} 00:00:00 +14" in text and f"{dates[1]} 00:00:00 -12" in text
    status = configured.run("status").stdout
    assert "00:00:00 +14" in status and "00:00:00 -12" in status
    assert 'ferry_late{expectation="east"} 1' in configured.run("status", "--prometheus").stdout


def test_days_of_the_week_are_those_of_the_expectation_s_zone(in_zones):
    configured = in_zones({"east": (ZONES[0], "06:00"), "west": (ZONES[1], "06:00")}, days="mon")
    monday = expected_on(configured, "--date", "2026-11-30")
    assert {name: day["deadline"] for name, day in monday.items()} == {
        "east": "2026-11-29T16:00:00.000Z", "west": "2026-11-30T18:00:00.000Z"}
    assert expected_on(configured, "--date", "2026-11-29") == {}


@pytest.mark.parametrize("date, by, deadline, first, last", [
    ("2026-03-29", "02:30", "2026-03-29T01:30:00.000Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z"),
    ("2026-10-25", "02:30", "2026-10-25T00:30:00.000Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z")])
def test_days_on_which_the_clocks_are_set(in_zones, ferry, metastore, date, by, deadline, first, last):
    configured = in_zones({"orders": ("Europe/Berlin", by)})

    def beside(time, seconds):
        return (datetime.datetime.fromisoformat(time) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    rows = [{"id": time, "path": time, "updated_date": time, "checksum": "0" * 32}
            for time in (beside(first, -1), first, last, beside(last, 1))]
    ended = ferry("import", "-", "--metastore", metastore, stdin="".join(json.dumps(row) + "\n" for row in rows))
    assert ended.code == 0, ended.stderr
    (day,) = expected_on(configured, "--date", date).values()
    assert (day["deadline"], day["landed"]) == (deadline, 2)


def test_without_a_zone_of_its_own_it_is_the_configuration_s(configured):
    configured.write('[route.all]\nto = ["b"]\n[expect.orders]\nby = "06:00"\n')
    configured.file.write_text('timezone = "America/New_York"\n' + configured.file.read_text())
    configured.register()
    (day,) = expected_on(configured, "--date", "2026-07-01").values()
    assert (day["deadline"], day["timezone"]) == ("2026-07-01T10:00:00.000Z", "America/New_York")
    configured.file.write_text(configured.file.read_text().partition("\n")[2])
    (day,) = configured.run("expect", "--json", "--date", "2026-07-01", ).json_lines
    assert day["timezone"] is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "leapseconds", "", "../zoneinfo/UTC"])
def test_a_zone_that_there_is_not_is_refused_with_its_line(configured, zone):
    configured.write(f'[route.all]\nto = ["b"]\n[expect.orders]\nby = "06:00"\ntimezone = "{zone}"\n')
    line = configured.file.read_text().splitlines().index(f'timezone = "{zone}"') + 1
    checked = configured.run("config", "check")
    assert checked.code == 2
    assert re.search(rf"ferry.toml:{line}:\d+: .*'{zone}' is not a time zone", checked.stdout), checked.stdout


@pytest.mark.parametrize("keys, word", [
    ('by = "25:00"', "is not a time of day"), ('by = "6"', "is not a time of day"),
    ('match = ["x"]', "'by' is missing"), ('by = "06:00"\ndays = "mon-x"', "days of the week"),
    ('by = "06:00"\nlanding = ["nowhere"]', "unknown landing area"),
    ('by = "06:00"\ncount = 0', "count"), ('by = "06:00"\nwhen = "x"', "unknown key")])
def test_mistakes_are_found(configured, keys, word):
    configured.write(f'[route.all]\nto = ["b"]\n[expect.orders]\n{keys}\n')
    checked = configured.run("config", "check")
    assert checked.code == 2
    assert word in checked.stdout


def test_without_expectations_there_is_nothing_to_show(configured):
    configured.write('[route.all]\nto = ["b"]\n')
    ended = configured.run("expect")
    assert ended.code == 2
    assert "[expect.NAME]" in ended.stderr
