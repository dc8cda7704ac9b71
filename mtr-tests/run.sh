#!/bin/bash
# Runs the suite active_master in the server's own mysql-test-run: mtr-tests/run.sh [OPTION... TEST...]
# Options go to mysql-test-run, for example --record or --start-and-exit.
set -euo pipefail

source=$(cd "$(dirname "$0")/.." && pwd)
build=${ACTIVE_MASTER_BUILD:-$source/build/release}
plugin=$build/plugin/active_master.so
if [[ ! -e $plugin ]]; then
  echo "mtr-tests/run.sh: $plugin is missing: build it, or set ACTIVE_MASTER_BUILD" >&2
  exit 1
fi

# mysql-test-run knows suites and plugins only below the directory that it finds the server in.
# So make one of links: the installed server and its test suites, plus ours.
base=$build/mtr
rm -rf "$base/root"
plugins=$base/root/lib/mysql/plugin
suites=$base/root/mysql-test
mkdir -p "$plugins" "$suites/plugin/active_master"
ln -s /usr/bin /usr/sbin /usr/share "$base/root/"
for directory in /usr/lib/*/libmariadb3; do  # plugins of the client library
  mkdir -p "$base/root/lib/$(basename "$(dirname "$directory")")"
  ln -s "$directory" "$base/root/lib/$(basename "$(dirname "$directory")")/"
done
ln -s /usr/lib/mysql/plugin/* "$plugin" "$plugins/"
for entry in /usr/share/mysql/mysql-test/*; do
  [[ $(basename "$entry") == plugin ]] || ln -s "$entry" "$suites/"
done
ln -s "$source/mtr-tests/active_master" "$suites/plugin/active_master/active_master"

# The path of a socket may have about 100 characters, the build directory's may have more.
sockets=$(mktemp -d /tmp/mtr.XXXXXX)
trap 'rm -rf "$sockets"' EXIT

# mysql-test-run may write to a worker that has just ended; that shall not end it without a summary.
trap '' PIPE

export ACTIVE_MASTER_SQL=$source/sql
cd "$suites"
perl mysql-test-run.pl --suite=active_master --force --parallel=2 --retry=0 \
  --testcase-timeout=2 --suite-timeout=20 --vardir="$base/var" --tmpdir="$sockets" "$@"
