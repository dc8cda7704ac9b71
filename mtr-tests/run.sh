#!/bin/bash
# Runs the suite active_master in the server's own mysql-test-run: mtr-tests/run.sh [OPTION... TEST...]
# Options go to mysql-test-run, for example --record or --start-and-exit.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/base.sh"
base=$build/mtr
make_base "$base"

# The path of a socket may have about 100 characters, the build directory's may have more.
sockets=$(mktemp -d /tmp/mtr.XXXXXX)
trap 'rm -rf "$sockets"' EXIT

# mysql-test-run may write to a worker that has just ended; that shall not end it without a summary.
trap '' PIPE

export ACTIVE_MASTER_SQL=$source/sql
cd "$suites"
perl mysql-test-run.pl --suite=active_master --force --parallel=2 --retry=0 \
  --testcase-timeout=2 --suite-timeout=20 --vardir="$base/var" --tmpdir="$sockets" "$@"
