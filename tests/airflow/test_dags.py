"""The DAGs in a real Airflow, one run at a time."""

import json
import pathlib

from ferry_harness import make_key, put, same_tree

HERE = pathlib.Path(__file__).parent


def test_the_dags_are_imported_without_errors_or_warnings(airflow):
    assert json.loads(airflow.python(HERE / "report_imports.py").splitlines()[-1]) == []
    airflow.run("dags", "reserialize")
    found = {dag_id for (dag_id,) in airflow.rows("SELECT dag_id FROM serialized_dag")}
    assert found == {"ferry_partners_daily", "ferry_partners_pending", "daily", "drain",
                     "fleet", "killed", "unverified"}
    assert airflow.rows("SELECT * FROM import_error") == []
    tasks = airflow.run("tasks", "list", "unverified").stdout.splitlines()
    assert {"pending", "transfer", "delivered"} <= set(tasks)
    assert "verify" not in tasks


def test_a_day_of_the_time_zone_is_delivered_and_verified(airflow, delivery):
    put(delivery.landing / "first of the day.csv", b"first\n")
    delivery.register(updated="2026-11-20T23:00:00Z")  # midnight in Amsterdam
    put(delivery.landing / "last of the day.csv", b"last\n")
    delivery.register(updated="2026-11-21T22:59:59.999Z")
    delivered = {path.name for path in delivery.landing.iterdir()}
    put(delivery.landing / "next day's.csv", b"next\n")
    delivery.register(updated="2026-11-21T23:00:00Z")

    ended = delivery.test_dag("daily", "2026-11-22")

    assert ended.returncode == 0, ended.stdout
    assert set(delivery.server.files()) == delivered
    assert "2 of 2 files are right" in ended.stdout
    assert airflow.task_states("daily") == dict.fromkeys(
        ("pending", "transfer", "verify", "delivered"), "success")


def test_everything_pending_is_delivered(airflow, delivery):
    put(delivery.landing / "old.csv", b"old\n")
    delivery.register(updated="2020-01-01T00:00:00Z")
    put(delivery.landing / "$(touch new) 'quoted'.csv", b"new\n")
    delivery.register()
    ended = delivery.test_dag("drain")
    assert ended.returncode == 0, ended.stdout
    assert same_tree(delivery.landing, delivery.server.root)
    assert set(airflow.task_states("drain").values()) == {"success"}


def test_a_day_without_files_is_skipped(airflow, delivery):
    put(delivery.landing / "other day's.csv", b"other\n")
    delivery.register(updated="2026-11-22T23:00:00Z")
    ended = delivery.test_dag("daily", "2026-11-22")
    assert ended.returncode == 0, ended.stdout
    assert delivery.server.files() == []
    assert airflow.task_states("daily") == {
        "pending": "success", "transfer": "skipped", "verify": "skipped", "delivered": "skipped"}


def test_nothing_pending_is_skipped_when_the_wait_is_over(airflow, delivery):
    delivery.register()
    ended = delivery.test_dag("drain")
    assert ended.returncode == 0, ended.stdout
    assert set(airflow.task_states("drain").values()) == {"skipped"}


def test_a_metastore_in_a_database_is_asked_by_its_reader(airflow, delivery, postgres):
    delivery.metastore = postgres.make_database("fleet")
    delivery.configure()
    delivery.ferry("watch", "--once")
    postgres.sql("CREATE ROLE ferry_reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ferry_reader",
                 "fleet")
    reader = {"conn_type": "postgres", "host": "127.0.0.1", "port": postgres.port, "schema": "fleet",
              "login": "ferry_reader"}
    env = {"AIRFLOW_CONN_FERRY_DB": json.dumps(reader), "AIRFLOW_VAR_FERRY_DATABASE": delivery.metastore}
    ended = delivery.test_dag("fleet", env=env)
    assert ended.returncode == 0, ended.stdout
    assert set(airflow.task_states("fleet").values()) == {"skipped"}

    put(delivery.landing / "new.csv", b"new\n")
    delivery.ferry("watch", "--once")
    ended = delivery.test_dag("fleet", env=env)
    assert ended.returncode == 0, ended.stdout
    assert same_tree(delivery.landing, delivery.server.root)
    assert set(airflow.task_states("fleet").values()) == {"success"}


def test_a_wrong_host_key_fails_the_task_and_is_named(airflow, delivery, folder):
    make_key(folder / "other_key")
    kind, key = (folder / "other_key.pub").read_text().split()[:2]
    delivery.server.known_hosts.write_text(f"[127.0.0.1]:{delivery.server.port} {kind} {key}\n")
    put(delivery.landing / "secret.csv", b"secret\n")
    delivery.register()
    ended = delivery.test_dag("unverified")
    assert ended.returncode != 0, ended.stdout
    assert "HOST KEY OF" in ended.stdout, ended.stdout
    assert str(delivery.server.known_hosts) in ended.stdout
    assert airflow.task_states("unverified")["transfer"] == "failed"
    assert delivery.server.files() == []


def test_a_metastore_that_is_not_there_is_no_empty_day(airflow, delivery):
    ended = delivery.test_dag("drain")
    assert ended.returncode != 0, ended.stdout
    assert airflow.task_states("drain") == {
        "pending": "skipped", "transfer": "skipped", "verify": "failed",
        "delivered": "upstream_failed", "load": "upstream_failed"}
