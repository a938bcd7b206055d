"""Two Airflow DAGs for the landing area `partners` and the destination `warehouse`: change them.

The names are those of [landing.partners] and [destination.warehouse] in ferry's configuration.
"""

from datetime import datetime

from ferry_airflow import interval_dag, pending_dag

# Yesterday's files, in Amsterdam's days, shortly after midnight there.
interval_dag(
    "ferry_partners_daily",
    landing="partners",
    destination="warehouse",
    start_date=datetime(2026, 1, 1),
    timezone="Europe/Amsterdam",
)

# Everything that is pending, all day long.
pending_dag("ferry_partners_pending", landing="partners", destination="warehouse")
