#!/bin/bash
# Builds everything and runs the tests: ./test.sh [GROUP...], ./test.sh --list
# All output goes to build/release/test-logs and is shown only of a group that fails; the last lines
# are each runner's own summary.
# shellcheck disable=SC2317  # the groups are called by their names
set -uo pipefail
cd "$(dirname "$0")" || exit

groups=(unit simulator mtr e2e)
on_request=(sanitizers fuzz tidy)  # they take long and run with the same result on every machine
declare -A about=(
  [unit]="formatting, and every unit test (ctest)"
  [simulator]="the protocol through half a million simulated schedules of crashes, losses and delays"
  [mtr]="the plugin in a real server, as SQL sees it (mysql-test-run)"
  [e2e]="real clusters and proxies: switchovers under load, and faults (lab)"
  [sanitizers]="the unit tests with GCC's address, undefined behaviour and thread sanitizers"
  [fuzz]="each fuzzer for 30 s, from the corpora in the repository (libFuzzer)"
  [tidy]="clang-tidy over all our files, with the list in .clang-tidy"
)
# The lines in which each group's runners sum up.
declare -A summary=(
  [unit]='tests passed.* out of'
  [simulator]='^Simulator  '
  [mtr]='All [0-9]+ tests were successful|Failed [0-9]+/[0-9]+ tests'
  [e2e]='^(Load|Switchovers|Result|SKIPPED)  |[0-9]+ passed, [0-9]+ failed'
  [sanitizers]='tests passed.* out of'
  [fuzz]='^fuzzed |SUMMARY'
  [tidy]='(warning|error): '
)

logs=build/release/test-logs

# build PRESET [TARGET]
build() { cmake --preset "$1" && cmake --build --preset "$1" --target "${2:-all}"; }

group_unit() {
  local failed=0
  ./format.sh --check || failed=1
  { build release && ctest --preset release; } || failed=1
  return "$failed"
}

# The fixed seeds are the same everywhere; the random one, which is printed, finds what they don't.
group_simulator() {
  local simulator=build/release/plugin/simulator failed=0
  build release simulator || return
  $simulator --seed 1 --schedules 500000 || failed=1
  $simulator --schedules 20000 || failed=1
  return "$failed"
}

group_mtr() { build release && mtr-tests/run.sh; }

group_e2e() {
  local lab=build/release/client/lab/active-master-lab proxy failed=0
  build release || return
  $lab run --switchovers 100 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via gate --watch-read-only || failed=1
  $lab run --switchovers 100 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via haproxy || failed=1
  for proxy in proxysql maxscale; do  # if they are here
    $lab run --switchovers 10 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via $proxy || failed=1
  done
  $lab mixed || failed=1
  $lab faults || failed=1
  return "$failed"
}

group_sanitizers() {
  local preset failed=0
  for preset in asan tsan; do
    { build "$preset" unit_tests && ctest --preset "$preset"; } || failed=1
  done
  return "$failed"
}

# What a fuzzer finds is kept below build/fuzz/found; FUZZ_SECONDS is for longer runs.
group_fuzz() {
  local fuzzer name failed=0
  build fuzz fuzzers || return
  mkdir -p build/fuzz/found
  for fuzzer in build/fuzz/{client,plugin}/*_fuzz build/fuzz/client/*/*_fuzz; do
    [[ -x $fuzzer ]] || continue
    name=$(basename "$fuzzer")
    mkdir -p "build/fuzz/corpus/$name"
    # The first corpus grows, the second one is the repository's.
    if "$fuzzer" -max_total_time="${FUZZ_SECONDS:-30}" -max_len=4096 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/found/$name-" "build/fuzz/corpus/$name" ./*/*/fuzz/corpus/"$name"; then
      echo "fuzzed $name"
    else
      failed=1
    fi
  done
  return "$failed"
}

group_tidy() { build release tidy; }

list() {
  local group
  for group in "${groups[@]}"; do printf '%-10s  %s\n' "$group" "${about[$group]}"; done
  for group in "${on_request[@]}"; do printf '%-10s  %s; only when named\n' "$group" "${about[$group]}"; done
}

wanted=()
for word in "$@"; do
  if [[ $word == --list ]]; then
    list
    exit 0
  elif [[ -n ${about[$word]-} ]]; then
    wanted+=("$word")
  else
    echo "test.sh: there is no group '$word'; the groups are: ${groups[*]} ${on_request[*]}" >&2
    exit 2
  fi
done
[[ ${#wanted[@]} -gt 0 ]] || wanted=("${groups[@]}")

./setup.sh || exit
mkdir -p $logs

declare -A verdict
failed=0
for group in "${wanted[@]}"; do
  echo "=== $group: ${about[$group]}"
  since=$SECONDS
  if "group_$group" >"$logs/$group.log" 2>&1; then
    verdict[$group]=passed
  else
    verdict[$group]=FAILED
    failed=1
    cat "$logs/$group.log"
  fi
  verdict[$group]+=" in $((SECONDS - since)) s"
done

echo "=== verdicts"
for group in "${wanted[@]}"; do printf '%-10s  %s\n' "$group" "${verdict[$group]}"; done
for group in "${wanted[@]}"; do grep -E "${summary[$group]}" "$logs/$group.log"; done
exit "$failed"
