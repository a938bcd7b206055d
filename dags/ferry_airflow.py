"""Delivers what lands in a ferry landing area: one DAG for each area and destination.

    pending ──> transfer ──> verify ──> delivered

`pending` waits for the metastore's marker file, or asks the database, `transfer` delivers, `verify` checks at the
destination what was delivered, and `delivered` is where your own tasks follow; it also updates an
asset (a dataset in Airflow 2) that other DAGs can be scheduled on.

Put this file into the DAGs folder, and import it from a DAG file of your own: see ferry_example.py
beside it, and README.md for the connection and the variable that it needs.

Works on Airflow 2.10 and 3. All decisions are ferry's: what is pending, what was delivered before,
what can be resumed. A task may be killed and tried again at any moment.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pendulum

try:  # Airflow 3
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.sensors.filesystem import FileSensor
    from airflow.sdk import DAG, Asset
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.sensors.filesystem import FileSensor

try:  # since Airflow 3.2
    from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable
except ImportError:
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.timetables.trigger import CronTriggerTimetable

CONFIG = "{{ var.value.get('ferry_config', '/etc/ferry/ferry.toml') }}"

# Not the run's start_date: that changes when tasks are cleared. A run that is triggered without a
# logical date has no data interval in Airflow 3.
RUN_BEGAN = "{{ data_interval_end if data_interval_end is defined else dag_run.run_after }}"

# Commands are constants: every value comes through the environment, quoted. `exec` lets a kill
# reach ferry itself.
TRANSFER = (
    'exec "$FERRY" transfer --json --idle-exit-code 99 --deadline "$DEADLINE"'
    ' --landing "$LANDING" --to "$DESTINATION"'
)
VERIFY = (
    'exec "$FERRY" verify --idle-exit-code 99'
    ' --landing "$LANDING" --to "$DESTINATION"'
)
# What a metastore in PostgreSQL says: its view `pending`.
IS_PENDING = "SELECT count(*) FROM (SELECT 1 FROM pending WHERE destination = %(destination)s LIMIT 1) AS found"
WITHIN_INTERVAL = ' --since "$SINCE" --until "$UNTIL"'
SINCE_THE_RUN_BEGAN = ' --delivered-since "$RUN_BEGAN"'


def interval_dag(
    dag_id: str,
    *,
    start_date: datetime,
    cron: str = "0 0 * * *",
    timezone: str = "UTC",
    catchup: bool = True,
    **options,
) -> DAG:
    """Delivers the files that were registered within the run's data interval.

    By default that is the previous day, in TIMEZONE, a little after midnight. Days that were
    missed since START_DATE are made up for, unless CATCHUP is off; a day that is run again
    delivers what is still missing of it.
    """
    return _delivery(
        dag_id,
        transfer_command=TRANSFER + WITHIN_INTERVAL,
        verify_command=VERIFY + WITHIN_INTERVAL,
        dates={"SINCE": "{{ data_interval_start }}", "UNTIL": "{{ data_interval_end }}"},
        schedule=CronDataIntervalTimetable(cron, timezone=timezone),
        start_date=pendulum.instance(start_date, tz=timezone),
        catchup=catchup,
        **options,
    )


def pending_dag(
    dag_id: str, *, cron: str | None = "*/15 * * * *", timezone: str = "UTC", **options
) -> DAG:
    """Delivers everything that is pending, however old: every quarter of an hour by default.

    Without CRON it runs when it is triggered, and only then.
    """
    return _delivery(
        dag_id,
        transfer_command=TRANSFER,
        verify_command=VERIFY + SINCE_THE_RUN_BEGAN,
        dates={"RUN_BEGAN": RUN_BEGAN},
        schedule=CronTriggerTimetable(cron, timezone=timezone) if cron else None,
        start_date=pendulum.datetime(2026, 1, 1, tz=timezone),
        catchup=False,
        **options,
    )


def delivered(landing: str, destination: str) -> Asset:
    """What a run with deliveries updates: schedule=[delivered("partners", "warehouse")]."""
    return Asset(f"ferry://{destination}/{landing}")


def _pending(
    destination: str, metastore_conn_id: str, metastore_sql_conn_id: str | None, **options
):
    """Waits until something is to be delivered."""
    options = {"task_id": "pending", "mode": "reschedule", "soft_fail": True, **options}
    if metastore_sql_conn_id is None:
        return FileSensor(fs_conn_id=metastore_conn_id, filepath="pending", **options)
    # Of apache-airflow-providers-common-sql, which the provider of the database brings.
    from airflow.providers.common.sql.sensors.sql import SqlSensor

    return SqlSensor(
        conn_id=metastore_sql_conn_id, sql=IS_PENDING, parameters={"destination": destination}, **options
    )


def _delivery(
    dag_id: str,
    *,
    transfer_command: str,
    verify_command: str,
    dates: dict[str, str],
    landing: str,
    destination: str,
    config: str = CONFIG,
    metastore_conn_id: str = "ferry_metastore",
    metastore: str | None = None,
    metastore_sql_conn_id: str | None = None,
    ferry: str = "ferry",
    env: dict[str, str] | None = None,
    verify: bool = True,
    wait: timedelta = timedelta(minutes=10),
    poke_interval: timedelta = timedelta(seconds=30),
    deadline: timedelta = timedelta(hours=2),
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=1),
    **dag_options,
) -> DAG:
    """LANDING and DESTINATION are names in ferry's configuration file.

    METASTORE is its location, in place of that in the connection METASTORE_CONN_ID. For one in
    PostgreSQL METASTORE_SQL_CONN_ID is a connection to the same database, as a role that may read.

    ENV adds to the commands' environment, for instance FERRY_PASSWORD from a connection. Without
    VERIFY there is no such task: for a destination whose consumer takes files away at once. WAIT
    is how long a run looks for something pending before it is skipped, DEADLINE how long one
    attempt may take. DAG_OPTIONS go to the DAG: tags, callbacks, default_args.
    """
    environment = {
        "FERRY": ferry,
        "FERRY_CONFIG": config,
        "FERRY_METASTORE": metastore
        or f"{{{{ conn.{metastore_conn_id}.extra_dejson['path'] }}}}",
        "LANDING": landing,
        "DESTINATION": destination,
        "DEADLINE": f"{int(deadline.total_seconds())}s",
        **dates,
        **(env or {}),
    }
    command = {
        "env": environment,
        "append_env": True,
        "retries": retries,
        "retry_delay": retry_delay,
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": deadline + timedelta(minutes=10),
    }
    with DAG(
        dag_id,
        max_active_runs=1,
        **{"description": f"{landing} to {destination}", "tags": ["ferry"], **dag_options},
    ) as dag:
        pending = _pending(
            destination,
            metastore_conn_id,
            metastore_sql_conn_id,
            poke_interval=poke_interval.total_seconds(),
            timeout=wait.total_seconds(),
        )
        transfer = BashOperator(task_id="transfer", bash_command=transfer_command, **command)
        done = EmptyOperator(task_id="delivered", outlets=[delivered(landing, destination)])
        pending >> transfer
        if verify:
            # Also after a transfer that had nothing to do: an attempt before it may have died right
            # after its last file. It skips where there is nothing to verify either.
            check = BashOperator(
                task_id="verify", bash_command=verify_command, trigger_rule="none_failed", **command
            )
            transfer >> check >> done
        else:
            transfer >> done
    return dag
