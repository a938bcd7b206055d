#!/bin/bash
# Shows ferry at work: an OpenSSH server of its own on 127.0.0.1 plays service B, a folder plays
# the landing area on A. Everything lives in a temporary folder and is gone at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ferry=${FERRY:-$PWD/build/ferry}
big_mib=${DEMO_BIG_MIB:-1024}
parent=/tmp
if [ -w /dev/shm ] && [ "$(df --output=avail -m /dev/shm | tail -1)" -gt $((3 * big_mib + 512)) ]; then
  parent=/dev/shm
fi
work=$(mktemp -d "$parent/ferry-demo-XXXXXX")
landing=$work/landing
metastore=$work/metastore
b=$work/b
sshd_pid=
watch_pid=

clean_up() {
  [ -z "$watch_pid" ] || kill "$watch_pid" 2> /dev/null || true
  [ -z "$sshd_pid" ] || kill "$sshd_pid" 2> /dev/null || true
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$(printf '\033[1m'); plain=$(printf '\033[0m'); else bold= plain=; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '  $ %s\n' "${*//$work/\$DEMO}"; }
run() { show "${@/#$ferry/ferry}"; "$@" | sed "s|$work|\$DEMO|g; s/^/  /"; }
fail() { echo "demo: $*" >&2; exit 1; }

wait_until() {  # wait_until SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "$what did not happen"
    sleep 0.1
  done
}

free_port() {
  local port
  for port in $(shuf -i 20000-60000 -n 50); do
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo "$port"; return; }
  done
  fail "no free port"
}

answers() { [[ $(timeout 2 head -c 4 < "/dev/tcp/127.0.0.1/$port" 2> /dev/null) == SSH- ]]; }

step "1. Service B: an OpenSSH server on 127.0.0.1, with throw-away keys (DEMO=$work)"
mkdir -p "$landing" "$b" "$work/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/user_key"
port=$(free_port)
# Without PAM sshd refuses keys too where the account's password is locked.
pam=no
[[ $(getent shadow "$(id -un)" | cut -d: -f2) != !* ]] || pam=yes
cat > "$work/ssh/sshd_config" << CONFIG
ListenAddress 127.0.0.1:$port
HostKey $work/ssh/host_key
AuthorizedKeysFile $work/ssh/user_key.pub
PidFile none
StrictModes no
UsePAM $pam
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
CONFIG
show "sshd -f $work/ssh/sshd_config   # port $port"
scripts/run_sshd.sh -D -e -f "$work/ssh/sshd_config" 2> "$work/ssh/log" &
sshd_pid=$!
wait_until 20 "the server's greeting" answers
read -r key_type key _ < "$work/ssh/host_key.pub"
echo "[127.0.0.1]:$port $key_type $key" > "$work/ssh/known_hosts"

step "2. ferry watches the landing area"
show "ferry watch --landing $landing --metastore $metastore &"
"$ferry" watch --landing "$landing" --metastore "$metastore" 2> "$work/watch.log" &
watch_pid=$!
wait_until 20 "the watcher's start" grep -q ' ready' "$work/watch.log"

step "3. While it watches, files land: hundreds of small ones, odd names, an empty one, one of $big_mib MiB"
find src include tests -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.py' \) -print0 |
  xargs -0 cp --parents -t "$landing"
mkdir -p "$landing/orders/2026"
for n in $(seq 400); do echo "order $n" > "$landing/orders/2026/order-$n.csv"; done
echo 'with spaces' > "$landing/monthly report (final).txt"
echo 'with UTF-8' > "$landing/Grüße aus 東京.txt"
: > "$landing/empty"
head -c "${big_mib}M" /dev/urandom > "$landing/big.bin.part"
mv "$landing/big.bin.part" "$landing/big.bin"
count=$(find "$landing" -type f | wc -l)
echo "  $count files, $(du -sh --apparent-size "$landing" | cut -f1)"

registered() {
  [ "$("$ferry" status --metastore "$metastore" --json | jq .pending)" -eq "$count" ]
}
wait_until 300 "the registration of all $count files" registered
echo "  all of them are registered: complete, with their SHA-256"
run "$ferry" status --metastore "$metastore"

step "4. ferry delivers what is pending"
show "ferry transfer --landing $landing --metastore $metastore --to sftp://$(id -un)@127.0.0.1:$port$b" \
  "--identity $work/ssh/user_key --known-hosts $work/ssh/known_hosts"
"$ferry" transfer --landing "$landing" --metastore "$metastore" \
  --to "sftp://$(id -un)@127.0.0.1:$port$b" --no-agent --log-level warning \
  --identity "$work/ssh/user_key" --known-hosts "$work/ssh/known_hosts" |
  sed "s|$work|\$DEMO|g; s/^/  /"

step "5. Every byte at B is compared"
show "diff -r --exclude='*.control.json' $landing $b"
diff -r --exclude='*.control.json' "$landing" "$b" || fail "B differs from A"
echo "  no difference in $count files"

step "6. The control file, pushed last, proves to B that the batch is complete"
control=$(find "$b" -maxdepth 1 -name '*.control.json')
show "jq . $control | head -20"
jq . "$control" | head -20 | sed "s|$work|\$DEMO|g; s/^/  /" || true

step "7. What the metastore says"
run "$ferry" status --metastore "$metastore"
show "head -1 $metastore/file_registry.jsonl | jq ."
head -1 "$metastore/file_registry.jsonl" | jq . | sed "s|$work|\$DEMO|g; s/^/  /"
show "tail -1 $metastore/transfer_logs.jsonl | jq ."
tail -1 "$metastore/transfer_logs.jsonl" | jq . | sed "s|$work|\$DEMO|g; s/^/  /"

step "Done: $count files delivered, compared, and recorded."
