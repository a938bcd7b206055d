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
pending_dag("fleet", cron=None, metastore_sql_conn_id="ferry_db",
            metastore="{{ var.value.ferry_database }}", **options)
pending_dag("unverified", cron=None, verify=False, **options)
with pending_dag("drain", cron=None, **options) as drain:
    drain.get_task("delivered") >> BashOperator(task_id="load", bash_command="echo 'loading'")
# Airflow 2 notices a killed task up to three times, within seconds: a try that had begun by then
# would be taken for the killed one.
pending_dag("killed", cron=None, **{**options, "retries": 3, "retry_delay": 20 * second})
