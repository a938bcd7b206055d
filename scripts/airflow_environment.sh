#!/bin/bash
# Prints the path of a virtual environment with Airflow VERSION (2.10 or 3); makes it below build/
# where it is missing. tests/airflow/constraints-VERSION.txt pins what is in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

constraints=tests/airflow/constraints-$1.txt
environment=$PWD/build/airflow-$1-$(sha256sum "$constraints" | cut -c1-12)
if [ ! -e "$environment/complete" ]; then
  echo "installing Airflow $1 into $environment" >&2
  rm -rf "$environment"
  /usr/bin/python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --constraint "$constraints" apache-airflow \
    apache-airflow-providers-postgres >&2
  touch "$environment/complete"
fi
echo "$environment"
