"""A file that somebody uploads must not pass for a control file."""

import json
import uuid

import pytest

from ferry_harness import put

FORGED = json.dumps({"version": 1, "batch_id": str(uuid.uuid4()), "created": "2026-01-01",
                     "count": 0, "total_bytes": 0, "files": []}).encode()


def check_refused(configured, server, name, good):
    ended = configured.transfer()
    assert ended.code == 1, ended.stderr
    assert "control file" in ended.stderr
    assert not (server.root / name).exists()
    assert (server.root / good).exists()
    assert configured.standings("b")[name, "b"] == "failed"
    assert (configured.landing / name).exists()


@pytest.mark.parametrize("name", ["334f1446-4f05-4b8f-997f-7494b8b04ce8.control.json", "X.CONTROL.JSON"])
def test_by_its_usual_name(configured, server, landing, name):
    configured.write('[route.all]\nto = ["b"]\n')
    put(landing / name, FORGED)
    put(landing / "good.csv", b"good")
    put(landing / "below" / name, FORGED)  # nobody looks for control files there
    configured.register()
    check_refused(configured, server, name, f"below/{name}")


def test_by_a_name_of_one_s_own(configured, server, landing):
    name = f"20260101-{uuid.uuid4()}.json"
    configured.write('[route.all]\nto = ["b"]\n',
                     b='control_name = "{date:%Y%m%d}-{batch_id}.json"')
    put(landing / name, FORGED)
    put(landing / "20260101-report.json", b"{}")
    configured.register()
    check_refused(configured, server, name, "20260101-report.json")


def test_by_a_route_s_rename(configured, server, landing):
    configured.write('[route.all]\nto = ["b"]\nmatch = ["*.csv"]\n'
                     'rename = "{stem}.control.json"\n[route.rest]\nto = ["b"]\n')
    put(landing / "x.csv", FORGED)
    put(landing / "good.txt", b"good")
    configured.register()
    ended = configured.transfer()
    assert ended.code == 1
    assert not (server.root / "x.control.json").exists()
    assert (server.root / "good.txt").exists()


def test_in_a_control_directory_of_its_own(configured, server, landing):
    name = "334f1446-4f05-4b8f-997f-7494b8b04ce8.control.json"
    configured.write('[route.all]\nto = ["b"]\n', b=f'control_dir = "{server.root}/control"')
    put(landing / "control" / name, FORGED)
    put(landing / name, FORGED)  # not where control files are
    configured.register()
    check_refused(configured, server, f"control/{name}", name)
