#!/bin/bash
# extract_program.sh PACKAGE FILE TARGET: takes FILE out of a Debian package without installing it, for
# packages that would start a service.
set -euo pipefail
package=$1 file=$2 target=$(realpath -m "$3")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
apt-get download -q "$package" 2> errors ||
  { "${as_root[@]}" apt-get update -q && apt-get download -q "$package"; }
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x ".$file"
install -D "./$file" "$target"
