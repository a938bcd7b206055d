"""Deliveries with an impatient Airflow: the factories' own defaults wait for minutes."""

from datetime import datetime, timedelta

from ferry_airflow import BashOperator, interval_dag, pending_dag

second = timedelta(seconds=1)
options = {
    "landing": "partners",
    "destination": "warehouse",
    "wait": 3 * second,
    "poke_interval": second,
    "retries": 1,
    "retry_delay": second,
}

interval_dag(
    "daily",
    start_date=datetime(2026, 1, 1),
    timezone="Europe/Amsterdam",
    catchup=False,
    **options,
)
pending_dag("unverified", cron=None, verify=False, **options)
# Airflow 2 may count a killed task twice: as failed, and as a zombie.
with pending_dag("drain", cron=None, **{**options, "retries": 3}) as drain:
    drain.get_task("delivered") >> BashOperator(task_id="load", bash_command="echo 'loading'")
