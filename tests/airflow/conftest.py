import shutil

import pytest

import ferry_harness
from airflow_harness import Airflow, Delivery


@pytest.fixture(scope="session")
def airflow():
    folder = ferry_harness.temporary_directory()
    yield Airflow(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def delivery(airflow, folder, landing, metastore, server, ferry):
    return Delivery(airflow, folder, landing, metastore, server, ferry)
