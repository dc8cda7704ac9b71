#!/bin/bash
# Runs the suite active_master in the server's own mysql-test-run:
# mtr-tests/run.sh [--under TOOL [--planted FAULT]] [OPTION... TEST...]
# Options go to mysql-test-run, for example --record or --start-and-exit.
# --under asan: the plugin of build/asan, with the sanitizers' runtime loaded before the server; what they
#   find ends the server, and so the test.
# --under valgrind: the servers below valgrind. Errors and leaks count if the plugin has a part in them, in
#   servers that shut down in order (as in the test `cycle`).
# --planted FAULT: only the test `planted`, with the plugin that has fault points; the tool must find it in there.
set -euo pipefail

under= planted=
if [[ ${1-} == --under ]]; then
  under=${2-}
  shift 2
  if [[ ${1-} == --planted ]]; then
    planted=${2-}
    shift 2
    set -- "$@" planted
  fi
fi
preset=release
[[ $under != asan ]] || preset=asan
source "$(dirname "${BASH_SOURCE[0]}")/base.sh"
base=$build/mtr
reports=$base/reports  # a file for each server below a tool
rm -rf "$reports"
mkdir -p "$reports"
case $under in
  '') server=() ;;
  asan)
    # Leaks are valgrind's: the server's own can't be told from ours once the plugin is unloaded.
    server=(env "LD_PRELOAD=$(clang++ -print-file-name=libclang_rt.asan-x86_64.so)"
      "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:log_path=$reports/asan" "UBSAN_OPTIONS=print_stacktrace=1")
    ;;
  valgrind)
    server=(valgrind "--log-file=$reports/valgrind.%p" --leak-check=full "--show-leak-kinds=definite,possible"
      --keep-debuginfo=yes --num-callers=40 --error-limit=no)
    export MTR_START_TIMEOUT=600
    # Valgrind does not follow io_uring, and has no room for the terabytes that the server reserves.
    set -- --testcase-timeout=20 --suite-timeout=60 --shutdown-timeout=300 --mysqld=--skip-innodb-use-native-aio \
      --mysqld=--loose-innodb-buffer-pool-size-max=64M "$@"
    ;;
  *)
    echo "mtr-tests/run.sh: --under takes asan or valgrind" >&2
    exit 2
    ;;
esac
make_base "$base" "${server[@]}"

# The path of a socket may have about 100 characters, the build directory's may have more.
sockets=$(mktemp -d /tmp/mtr.XXXXXX)
trap 'rm -rf "$sockets"' EXIT

# mysql-test-run may write to a worker that has just ended; that shall not end it without a summary.
trap '' PIPE

export ACTIVE_MASTER_SQL=$source/sql ACTIVE_MASTER_PLANTED=$planted
cd "$suites"
failed=0
perl mysql-test-run.pl --suite=active_master --force --parallel=2 --retry=0 \
  --testcase-timeout=2 --suite-timeout=20 --vardir="$base/var" --tmpdir="$sockets" "$@" || failed=1

# What the tools saw. A paragraph is an error with its stacks.
found=
for report in "$reports"/*; do
  [[ -e $report ]] || continue
  ours=$(sed -E 's/^==[0-9]+== ?//' "$report" |
    awk -v all="$([[ $under == asan ]] && echo 1 || echo 0)" 'BEGIN {RS = ""; ORS = "\n\n"} all || /(at|by) 0x[0-9A-F]+: [^\n]*active_master/')
  [[ -z $ours ]] || { printf '%s:\n%s\n' "$report" "$ours" && failed=1 && found+=$ours; }
done
if [[ -n $planted ]]; then
  [[ $found == *"fault::$planted"* ]] || { echo "$under did not find the planted $planted" && exit 1; }
  echo "$under found the planted $planted"
  exit 0
fi
if [[ $under == valgrind ]]; then
  whole=$(grep -l 'HEAP SUMMARY' "$reports"/* | wc -l)
  echo "valgrind looked for leaks in $whole servers"
  [[ $whole -ge 2 ]] || failed=1
fi
exit "$failed"
