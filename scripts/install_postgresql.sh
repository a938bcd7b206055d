#!/bin/bash
# Installs PostgreSQL's programs for the tests, without the server of the system's own that the
# package would make, and start, on its way.
set -euo pipefail

compgen -G '/usr/lib/postgresql/*/bin/postgres' > /dev/null && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"$(dirname "$0")"/install_packages.sh postgresql-common
folder=/etc/postgresql-common/createcluster.d
note=$folder/ferry-tests.conf
"${as_root[@]}" mkdir -p "$folder"
trap '"${as_root[@]}" rm -f "$note"' EXIT
echo 'create_main_cluster = false' | "${as_root[@]}" tee "$note" > /dev/null
"$(dirname "$0")"/install_packages.sh postgresql
