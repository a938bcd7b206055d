"""Runs in Airflow's Python: prints what importing the DAGs folder gives, as JSON.

Airflow's own modules warn too, when they are first imported; what is reported are the warnings of
a second import of the DAG files alone.
"""

import json
import pathlib
import sys
import warnings

from airflow.configuration import conf

folder = pathlib.Path(conf.get("core", "dags_folder"))
sys.path.insert(0, str(folder))
modules = sorted(path.stem for path in folder.glob("*.py"))
for _ in range(2):
    for module in modules:
        sys.modules.pop(module, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for module in modules:
            __import__(module)

print(json.dumps([f"{warning.category.__name__}: {warning.message}" for warning in caught]))
