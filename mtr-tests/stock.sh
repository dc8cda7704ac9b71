#!/bin/bash
# Runs the server's own test suites without and with the plugin loaded, and names each test whose verdict
# differs: mtr-tests/stock.sh [SUITE...]  (by default plugins, sys_vars, binlog and rpl; takes hours)
# The verdicts are kept in build/release/stock/SUITE.{without,with}: a run that was made is not made again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/base.sh"

[[ $# -gt 0 ]] || set -- plugins sys_vars binlog rpl
base=$build/stock
make_base "$base"
sockets=$(mktemp -d /tmp/mtr.XXXXXX)  # the path of a socket may have about 100 characters
trap 'rm -rf "$sockets"' EXIT
trap '' PIPE
cd "$suites"

# One line for each test: its name with its combination, a tab, and pass, fail or skipped.
run() {  # run SUITE without|with [OPTION...]
  local suite=$1 verdicts=$base/$1.$2
  [[ ! -e $verdicts ]] || return 0
  perl mysql-test-run.pl --suite="$suite" --force --max-test-fail=0 --parallel=1 --retry=1 --testcase-timeout=10 \
    --suite-timeout=600 --vardir="$base/var" --tmpdir="$sockets" "${@:3}" >"$verdicts.log" 2>&1 </dev/null || true
  grep -q '^Completed: ' "$verdicts.log" || { tail -n 20 "$verdicts.log"; return 1; }
  # A test that failed and then passed counts as passed.
  sed -nE "s/^([a-z_0-9]+\.[^[]*[^ [])( w[0-9]+)? *\[ (pass|fail|skipped|disabled) \].*/\1 \3/p" "$verdicts.log" |
    tac | sort -s -u -k1,1 >"$verdicts.new"
  mv "$verdicts.new" "$verdicts"
}

failed=0
for suite in "$@"; do
  run "$suite" without
  # Configured, as the plugin else complains of it in the server's log, but not listening: the suites'
  # servers know nothing of each other.
  run "$suite" with --mysqld=--plugin-load-add=active_master --mysqld=--loose-active-master-node-name=node \
    --mysqld=--loose-active-master-port=0
  echo "$suite: $(grep -c $'\tpass$' "$base/$suite.without") tests pass without the plugin," \
    "$(grep -c $'\tpass$' "$base/$suite.with") with it"
  diff "$base/$suite.without" "$base/$suite.with" || failed=1
done
exit "$failed"
