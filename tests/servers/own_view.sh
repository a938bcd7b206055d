#!/bin/sh
# own_view.sh LAYER READ_ONLY COMMAND...: runs COMMAND where LAYER/etc lies over /etc, and LAYER/usr/sbin over
# /usr/sbin, and where the directory READ_ONLY can only be read. When this process is killed, COMMAND and
# all that it started end, too.
set -e
[ -n "$FERRY_OWN_VIEW" ] || FERRY_OWN_VIEW=1 exec \
  unshare --mount --propagation private --ipc --pid --fork --kill-child --mount-proc "$0" "$@"
unset FERRY_OWN_VIEW
layer=$1 read_only=$2
shift 2
for folder in /etc /usr/sbin; do
  mount -t overlay -o "ro,lowerdir=$layer$folder:$folder" overlay "$folder"
done
mount --bind "$read_only" "$read_only"
mount -o remount,bind,ro "$read_only"
# Not exec: the signal that --kill-child sends would be lost where COMMAND changes its user.
"$@" &
wait $!
