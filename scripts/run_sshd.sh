#!/bin/bash
# Runs the OpenSSH server that `make tools` took out of its package: installing that one would start
# a server on port 22. The options are those of sshd(8).
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/tools
[ -x "$tools/sshd" ] || { echo "$tools/sshd is missing: run make tools" >&2; exit 1; }

if [ "$(id -u)" -eq 0 ]; then
  # Root's sshd separates its privileges in this directory, as a user that only the package makes.
  mkdir -p /run/sshd
  if ! getent passwd sshd > /dev/null; then
    accounts=$(getent passwd; echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin')
    groups=$(getent group)
    # Not changed while others use it: another content has another name.
    files=$tools/accounts/$(printf '%s' "$accounts$groups" | sha256sum | cut -c1-16)
    if [ ! -e "$files" ]; then
      mkdir -p "$tools/accounts"
      new=$(mktemp -d "$tools/accounts/XXXXXX")
      chmod 755 "$new"
      printf '%s\n' "$accounts" > "$new/passwd"
      printf '%s\n' "$groups" > "$new/group"
      mv -T "$new" "$files" 2> /dev/null || rm -r "$new"  # somebody else was faster
    fi
    export LD_PRELOAD=libnss_wrapper.so
    export NSS_WRAPPER_PASSWD=$files/passwd NSS_WRAPPER_GROUP=$files/group NSS_WRAPPER_SHADOW=/etc/shadow
  fi
fi
exec "$tools/sshd" "$@"
