#!/bin/bash
# What the plugin costs an active master in the steady state: sysbench against one server, by turns with
# and without the plugin, as medians over the pairs.
#   client/lab/cost.sh [PAIRS [SECONDS [THREADS]]]
# Needs the Debian package sysbench, and a release build.
set -euo pipefail
cd "$(dirname "$0")/../.."

pairs=${1:-7} seconds=${2:-8} threads=${3:-16}
build=${ACTIVE_MASTER_BUILD:-build/release}
command -v sysbench >/dev/null || { echo "cost.sh: install the Debian package sysbench" >&2; exit 1; }

work=$(mktemp -d /tmp/active-master-cost.XXXXXX)
server=
stop() {
  [[ -z $server ]] || { kill "$server" && wait "$server" || true; }
  rm -rf "$work"
}
trap stop EXIT

mkdir "$work/plugins"
cp "$build/plugin/active_master.so" "$work/plugins/"
mariadb-install-db --no-defaults --auth-root-authentication-method=normal --datadir="$work/data" \
  --user="$(id -un)" >"$work/install.log" 2>&1
mariadbd --no-defaults --user="$(id -un)" --datadir="$work/data" --plugin-dir="$work/plugins" --skip-networking \
  --socket="$work/socket" --server-id=1 --log-bin --log-slave-updates --sync-binlog=1 --innodb-buffer-pool-size=512M \
  --loose-active-master-node-name=node1 --loose-active-master-port=0 >"$work/log" 2>&1 &
server=$!
sql() { mariadb --no-defaults -u root -S "$work/socket" -N "$@"; }
for _ in $(seq 100); do sql -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.2; done
sql -e 'CREATE DATABASE sbtest'
sql <sql/install.sql

bench() {
  sysbench "$1" --db-driver=mysql --mysql-socket="$work/socket" --mysql-user=root --tables=4 --table-size=20000 \
    --threads="$threads" --time="$seconds" "$2"
}
bench oltp_write_only prepare >/dev/null
rate() { bench "$1" run | sed -n 's/.*transactions:.*(\([0-9.]*\) per sec.*/\1/p'; }

# Beside the load, as each session is told of the plugin at its first statement.
load() {
  sql -e "INSTALL SONAME 'active_master'"
  for _ in $(seq 100); do
    role=$(sql -e 'SELECT ROLE FROM information_schema.ACTIVE_MASTER_STATE')
    [[ $role != NEW ]] || sql -e 'CALL active_master.bootstrap()' >/dev/null || true
    [[ $role == ACTIVE ]] && return
    sleep 0.1
  done
  echo "cost.sh: the node does not become active" >&2
  exit 1
}

echo "$(nproc) CPUs, $(mariadbd --version | grep -o '[0-9.]*-MariaDB'), $threads threads, $pairs pairs of $seconds s"
for test in oltp_write_only oltp_point_select; do
  rate $test >/dev/null  # warms up
  for ((i = 0; i < pairs; ++i)); do
    without=$(rate $test)
    load
    with=$(rate $test)
    sql -e "UNINSTALL SONAME 'active_master'" 2>/dev/null
    echo "$without $with"
  done >"$work/$test"
  awk -v test=$test '{ r[NR] = $2 / $1; a[NR] = $1; b[NR] = $2 }
    END { n = asort(r); asort(a); asort(b); m = int((n + 1) / 2)
      printf "%-18s without %8.0f tx/s, with %8.0f tx/s; with/without %.4f (median of pairs; %.4f to %.4f)\n",
        test, a[m], b[m], r[m], r[1], r[n] }' "$work/$test"
done
