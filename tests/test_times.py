"""Days and times as people mean them: in a time zone, with days of 23 and 25 hours."""

import datetime
import json
import os
import zoneinfo

import pytest

from ferry_harness import put

BERLIN = "Europe/Berlin"
HAVANA = "America/Havana"  # where clocks are set at midnight: days begin at 1:00, or have two midnights


@pytest.fixture
def imported(ferry, metastore):
    """A file registered each half hour around the days when clocks were set."""

    def registered(*days, zone=BERLIN):
        rows = []
        for day in days:
            midnight = datetime.datetime.combine(day, datetime.time(), zoneinfo.ZoneInfo(zone))
            start = midnight.astimezone(datetime.UTC)
            for number in range(-4, 56):
                time = start + datetime.timedelta(minutes=30 * number)
                rows.append({"id": f"{day}-{number}", "path": f"{day}/{number}.csv",
                             "updated_date": time.isoformat().replace("+00:00", "Z"),
                             "checksum": "0" * 32})
        ended = ferry("import", "-", "--metastore", metastore,
                      stdin="".join(json.dumps(row) + "\n" for row in rows))
        assert ended.code == 0, ended.stderr

    return registered


@pytest.mark.parametrize("zone, day, hours, begins", [
    (BERLIN, "2026-03-28", 24, "00:00:00 CET"), (BERLIN, "2026-03-29", 23, "00:00:00 CET"),
    (BERLIN, "2026-10-25", 25, "00:00:00 CEST"), (HAVANA, "2026-03-08", 23, "01:00:00 CDT"),
    (HAVANA, "2026-11-01", 25, "00:00:00 CDT")])
def test_a_day_has_its_own_hours(ferry, metastore, imported, zone, day, hours, begins):
    imported(datetime.date.fromisoformat(day), zone=zone)
    listed = ferry("list", "--json", "--date", day, "--timezone", zone, "--metastore", metastore)
    assert listed.code == 0, listed.stderr
    assert len(listed.json_lines) == 2 * hours
    assert f'since="{day} {begins}"' in listed.stderr


def test_the_host_s_zone_is_the_default(ferry, metastore, imported):
    imported(datetime.date(2026, 3, 29))

    def ids(*words, **env):
        return [row["id"] for row in ferry("list", "--json", *words, "--metastore", metastore,
                                           env=env).json_lines]

    by_zone = ids("--date", "2026-03-29", "--timezone", "Europe/Berlin")
    assert ids("--date", "2026-03-29", TZ="Europe/Berlin") == by_zone
    assert ids("--date", "2026-03-29", TZ="UTC") != by_zone
    assert ids("--since", "2026-03-29", "--until", "2026-03-30", TZ="Europe/Berlin") == by_zone
    assert ids("--since", "2026-03-28 23:00", "--until", "2026-03-29 22:00", TZ="UTC") == by_zone
    assert ids("--since", "2026-03-28T23:00:00Z", "--until", "2026-03-29T22:00:00Z",
               TZ="Asia/Tokyo") == by_zone


def test_the_configuration_s_zone_is_that_of_names(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\nrename = "{date:%Y%m%dT%H}/{name}"\n')
    zone = "Pacific/Kiritimati"
    configured.file.write_text(f'timezone = "{zone}"\n' + configured.file.read_text())
    put(landing / "a.csv", b"a")

    def hour():
        return datetime.datetime.now(zoneinfo.ZoneInfo(zone)).strftime("%Y%m%dT%H")

    before = hour()
    configured.register()
    after = hour()
    assert configured.transfer().code == 0
    assert server.files()[0] in (f"{before}/a.csv", f"{after}/a.csv")
    mistaken = configured.run("list", "--timezone", "Europe/Berlim")
    assert mistaken.code == 2
    assert "'Europe/Berlim' is not a time zone that this host knows" in mistaken.stderr


def test_sizes_and_durations_as_people_write_them(ferry, folder):
    config = folder / "ferry.toml"
    config.write_text('metastore = "m"\n[landing.in]\npath = "in"\nmin_size = "1.5K"\n'
                      'max_size = "2 GB"\n[transfer]\ndeadline = "1h30m"\nwindow = "0.5M"\n')
    shown = ferry("config", "show", "--config", config)
    assert shown.code == 0, shown.stderr
    for line in ('min_size = "1536"', 'max_size = "1953125KiB"', 'deadline = "90m"',
                 'window = "512KiB"'):
        assert line in shown.stdout
    config.write_text(config.read_text().replace("1h30m", "30m1h"))
    checked = ferry("config", "check", "--config", config)
    assert checked.code == 2
    assert "is not a duration" in checked.stdout


def test_a_file_s_own_time_in_its_name(configured, landing, server):
    configured.write('[route.all]\nto = ["b"]\nrename = "{mtime:%Y/%m}/{name}"\n')
    part = landing / "old.csv.part"
    part.write_bytes(b"old")
    os.utime(part, (1_000_000_000, 1_000_000_000))  # 2001-09-09
    part.rename(landing / "old.csv")
    configured.register()
    assert configured.transfer().code == 0
    assert server.files() == ["2001/09/old.csv"]
