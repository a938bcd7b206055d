#!/bin/bash
# boot.sh BASE PLACE: becomes systemd, in namespaces of its own that the caller has made. It sees
# BASE, and whatever it changes is kept in memory and gone with it.
set -euo pipefail
base=$1 place=$2

mount -t tmpfs -o size=3G tmpfs "$place"
mkdir "$place"/{changes,work,root}
mount -t overlay overlay "$place/root" \
  -o "lowerdir=$base,upperdir=$place/changes,workdir=$place/work"
cd "$place/root"

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

ip link set lo up
hostname ferry-test
pivot_root . mnt
umount -l mnt
# As a container's manager does it, and credentials need it.
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=ferry-test /lib/systemd/systemd < /dev/null
