#!/bin/bash
# What the plugin costs an active master in the steady state: sysbench against two servers, one with
# the plugin and one without, by turns.
#   client/lab/cost.sh [PAIRS [SECONDS [THREADS]]]
# Needs the Debian package sysbench, and a release build. Prints the medians over all pairs of the
# throughput's ratio and of the ratio of the server's CPU time per transaction, with their quartiles:
# the throughput is what is asked for, CPU time is what a noisy machine disturbs least. Halfway the
# servers change their parts, as two processes are never equally fast. The data is in memory
# (/dev/shm): a disk would hide the cost in its own noise.
set -euo pipefail
cd "$(dirname "$0")/../.."

pairs=${1:-20} seconds=${2:-3} threads=${3:-16}
build=${ACTIVE_MASTER_BUILD:-build/release}
tests=${ACTIVE_MASTER_COST_TESTS:-oltp_write_only oltp_point_select oltp_read_write}
command -v sysbench >/dev/null || { echo "cost.sh: install the Debian package sysbench" >&2; exit 1; }

work=$(mktemp -d /dev/shm/active-master-cost.XXXXXX)
declare -A server
stop() {
  local name
  for name in "${!server[@]}"; do kill "${server[$name]}" && wait "${server[$name]}" || true; done
  rm -rf "$work"
}
trap stop EXIT

sql() { mariadb --no-defaults -u root -S "$work/$1.socket" -N "${@:2}"; }
bench() {
  sysbench "$2" --db-driver=mysql --mysql-socket="$work/$1.socket" --mysql-user=root --tables=4 --table-size=20000 \
    --threads="$threads" --time="$seconds" "$3"
}

mkdir "$work/plugins"
cp "$build/plugin/active_master.so" "$work/plugins/"
for name in a b; do
  mariadb-install-db --no-defaults --auth-root-authentication-method=normal --datadir="$work/$name" \
    --user="$(id -un)" >"$work/install.log" 2>&1
  mariadbd --no-defaults --user="$(id -un)" --datadir="$work/$name" --plugin-dir="$work/plugins" --skip-networking \
    --socket="$work/$name.socket" --server-id=1 --log-bin --log-slave-updates --innodb-buffer-pool-size=512M \
    --expire-logs-days=0 --max-binlog-size=64M --innodb-flush-log-at-trx-commit=0 \
    --loose-active-master-node-name=$name --loose-active-master-port=0 >"$work/$name.log" 2>&1 &
  server[$name]=$!
  for _ in $(seq 100); do sql $name -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.2; done
  sql $name -e 'CREATE DATABASE sbtest'
  sql $name <sql/install.sql
  bench $name oltp_write_only prepare >/dev/null
done

load() {
  local role=
  sql "$1" -e "INSTALL SONAME 'active_master'"
  for _ in $(seq 100); do
    role=$(sql "$1" -e 'SELECT ROLE FROM information_schema.ACTIVE_MASTER_STATE')
    [[ $role != NEW ]] || sql "$1" -e 'CALL active_master.bootstrap()' >/dev/null || true
    [[ $role == ACTIVE ]] && return
    sleep 0.1
  done
  echo "cost.sh: the node does not become active" >&2
  exit 1
}

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/${server[$1]}/stat"; }
# "transactions/s ticks/transaction"
measure() {
  local before count
  before=$(cpu_ticks "$1")
  count=$(bench "$1" "$2" run | awk '/transactions:/ { print $2 }')
  echo "$count $(($(cpu_ticks "$1") - before))" | awk -v s="$seconds" '{ print $1 / s, $2 / $1 }'
  sql "$1" -e 'RESET MASTER'
}

echo "$(nproc) CPUs, $(mariadbd --version | grep -o '[0-9.]*-MariaDB'), $threads threads, $pairs pairs of $seconds s"
for test in $tests; do
  with=a without=b
  load $with
  for ((i = 0; i < pairs; ++i)); do
    if ((i == pairs / 2)); then
      sql $with -e "UNINSTALL SONAME 'active_master'" 2>/dev/null
      with=b without=a
      load $with
    fi
    if ((i == 0 || i == pairs / 2)); then measure $with "$test" >/dev/null; measure $without "$test" >/dev/null; fi
    if ((i % 2)); then
      x=$(measure $without "$test") y=$(measure $with "$test")
    else
      y=$(measure $with "$test") x=$(measure $without "$test")
    fi
    echo "$x $y"
  done >"$work/$test"
  sql $with -e "UNINSTALL SONAME 'active_master'" 2>/dev/null
  awk -v test="$test" '{ a[NR] = $1; b[NR] = $3; r[NR] = $3 / $1; c[NR] = $4 / $2 }
    function at(values, share) { return values[int(1 + (n - 1) * share + 0.5)] }
    END { n = asort(r); asort(a); asort(b); asort(c)
      printf "%-18s without %6.0f tx/s, with %6.0f tx/s; throughput with/without %.4f (quartiles %.4f, %.4f); " \
             "CPU time per transaction with/without %.4f (%.4f, %.4f)\n", test, at(a, .5), at(b, .5),
             at(r, .5), at(r, .25), at(r, .75), at(c, .5), at(c, .25), at(c, .75) }' "$work/$test"
done
