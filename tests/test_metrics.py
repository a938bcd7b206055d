"""What a monitoring system gets to see."""

import datetime
import json
import re
import subprocess

import pytest

from ferry_harness import REPOSITORY, make_files, tool

RULES = REPOSITORY / "docs/prometheus"


@pytest.fixture
def scrape(ferry, metastore):
    """Samples by their name with labels, as a page that promtool finds well-formed has them."""

    def run(*options):
        ended = ferry("status", "--prometheus", "--metastore", metastore, *options)
        assert ended.code == 0, ended.stderr
        checked = subprocess.run([tool("promtool"), "check", "metrics"], input=ended.stdout,
                                 capture_output=True, text=True, timeout=60, check=False)
        assert checked.returncode == 0 and checked.stderr == "", checked.stderr
        lines = [line for line in ended.stdout.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    return run


@pytest.fixture
def history(ferry, metastore):
    """Enters files whose ids are given, registered at noon of 2026-01-01, and rows about them."""

    def enter(ids, *transfers):
        files = "".join(json.dumps({"id": name, "path": f"{name}.csv", "checksum": "0" * 32,
                                    "updated_date": "2026-01-01T12:00:00Z"}) + "\n"
                        for name in ids)
        assert ferry("import", "-", "--metastore", metastore, stdin=files).code == 0
        with open(metastore / "transfer_logs.jsonl", "a", encoding="utf-8") as table:
            for row in transfers:
                table.write(json.dumps({"transfer_date": "2026-01-01T12:05:00Z", **row}) + "\n")

    return enter


def delivered(name, destination="b", **columns):
    return {"id": name, "transfer_status": "successful", "destination": destination, **columns}


def failed(name, kind, attempt=1):
    return {"id": name, "transfer_status": "failed", "destination": "b", "attempt": attempt,
            "error": {"kind": kind, "message": "m", "retryable": False}}


def test_a_delivery_shows_in_the_metrics(folder, server, landing, register, transfer, scrape):
    make_files(landing, 3, 100)
    register()
    config = folder / "ferry.toml"
    config.write_text('[destination.somewhere]\nurl = "sftp://somewhere/x"\n')
    before = scrape("--config", config)
    assert before['ferry_files{destination="somewhere",status="pending"}'] == 3
    assert 0 < before['ferry_oldest_pending_age_seconds{destination="somewhere"}'] < 600
    assert before['ferry_last_success_timestamp_seconds{destination="somewhere"}'] == 0
    transfer()
    url = server.url()
    after = scrape()
    assert after[f'ferry_files{{destination="{url}",status="successful"}}'] == 3
    assert after[f'ferry_files{{destination="{url}",status="pending"}}'] == 0
    assert after[f'ferry_delivered_bytes{{destination="{url}"}}'] == 300
    assert after[f'ferry_delivery_duration_seconds_count{{destination="{url}"}}'] == 3
    assert after[f'ferry_oldest_pending_age_seconds{{destination="{url}"}}'] == 0
    now = datetime.datetime.now().timestamp()
    assert now - 600 < after[f'ferry_last_success_timestamp_seconds{{destination="{url}"}}'] <= now


def test_durations_are_counted_by_their_length(history, scrape):
    history("abc", delivered("a", duration_ms=100), delivered("b", duration_ms=5000),
            delivered("c", duration_ms=90_000_000))
    metrics = scrape()
    name = 'ferry_delivery_duration_seconds_{}{{destination="b"{}}}'
    bounds = ["0.1", "1", "10", "60", "300", "1800", "7200", "86400", "+Inf"]
    counts = [metrics[name.format("bucket", f',le="{bound}"')] for bound in bounds]
    assert counts == [1, 1, 2, 2, 2, 2, 2, 2, 3]
    assert metrics[name.format("sum", "")] == 90005.1
    assert metrics['ferry_delivery_latency_seconds_sum{destination="b"}'] == 900


def test_failures_are_counted_by_kind_and_by_who_gives_up(history, scrape):
    history("abcd", failed("a", "denied"), failed("b", "denied", attempt=5),
            failed("c", "remote_full"), failed("d", 'made"up\n'))
    metrics = scrape()
    kinds = {name: value for name, value in metrics.items() if name.startswith("ferry_failed")}
    assert kinds == {'ferry_failed_files{destination="b",kind="denied"}': 2,
                     'ferry_failed_files{destination="b",kind="remote_full"}': 1,
                     'ferry_failed_files{destination="b",kind="other"}': 1}
    assert metrics['ferry_given_up_files{destination="b"}'] == 1


def test_hostile_names_cannot_forge_samples(history, scrape):
    history("a", delivered("a", destination='x"} 1\nferry_files{destination="y\\'))
    (name,) = [name for name in scrape() if name.startswith("ferry_delivered_bytes")]
    assert name == (r'ferry_delivered_bytes{destination="x\"} 1\\x0aferry_files'
                    r'{destination=\"y\\"}')


def test_configured_destinations_have_metrics_from_the_start(ferry, folder, history, scrape):
    history("a")
    config = folder / "ferry.toml"
    config.write_text('[destination.warehouse]\nurl = "sftp://u@b/x"\n')
    assert scrape("--config", config)['ferry_files{destination="warehouse",status="pending"}'] == 1


def test_damaged_rows_are_counted(metastore, history, scrape):
    history("a")
    with open(metastore / "transfer_logs.jsonl", "a", encoding="utf-8") as table:
        table.write("no row\n")
    assert scrape()["ferry_damaged_rows"] == 1


def test_one_form_at_a_time(ferry, metastore):
    ended = ferry("status", "--json", "--prometheus", "--metastore", metastore)
    assert ended.code == 2


def test_the_example_rules_raise_the_alarms_that_they_promise(folder, history, scrape):
    for check in (["check", "rules", "ferry.rules.yml"], ["test", "rules", "ferry.rules.test.yml"]):
        ended = subprocess.run([tool("promtool"), *check], cwd=RULES, capture_output=True,
                               text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    history("a", failed("a", "denied"))
    config = folder / "ferry.toml"
    config.write_text('[expect.orders]\nby = "06:00"\n')
    ours = {re.match(r"\w+", name)[0] for name in scrape("--config", config)}
    used = set(re.findall(r"\bferry_\w+", (RULES / "ferry.rules.yml").read_text()))
    assert used <= ours
