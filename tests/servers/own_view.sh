#!/bin/sh
# own_view.sh ETC READ_ONLY COMMAND...: runs COMMAND where the files in ETC stand in for those of the same
# names in /etc, and where the directory READ_ONLY can only be read. When this process is killed, COMMAND
# and all that it started end, too.
set -e
[ -n "$FERRY_OWN_VIEW" ] || FERRY_OWN_VIEW=1 exec \
  unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$0" "$@"
unset FERRY_OWN_VIEW
etc=$1 read_only=$2
shift 2
for file in "$etc"/*; do
  mount --bind "$file" "/etc/$(basename "$file")"
done
mount --bind "$read_only" "$read_only"
mount -o remount,bind,ro "$read_only"
# Not exec: the signal that --kill-child sends would be lost where COMMAND changes its user.
"$@" &
wait $!
