#!/bin/bash
# Builds everything and runs the tests: ./test.sh [GROUP...], ./test.sh --list
# All output goes to build/release/test-logs and is shown only of a group that fails; the last lines
# are each runner's own summary.
# shellcheck disable=SC2016,SC2317  # the groups, and fuzz_one, are called by their names
set -uo pipefail
cd "$(dirname "$0")" || exit

groups=(unit simulator mtr e2e faults asan fuzz)
on_request=(sanitizers tidy)  # they take long and run with the same result on every machine
declare -A about=(
  [unit]="formatting, and every unit test (ctest)"
  [simulator]="the protocol through a million simulated schedules of crashes, losses and delays"
  [mtr]="the plugin in a real server, as SQL sees it (mysql-test-run)"
  [e2e]="real clusters and proxies: switchovers under load (lab)"
  [faults]="real clusters and proxies: processes killed, frozen and made to fail in every phase (lab)"
  [asan]="the tests of what the network can reach, and the simulator, with the address and undefined behaviour sanitizers"
  [fuzz]="each fuzzer for 30 s, from the corpora in the repository (libFuzzer), with the same sanitizers"
  [sanitizers]="all unit tests, the simulator and the plugin in real servers with the address, undefined behaviour and thread sanitizers, and valgrind"
  [tidy]="clang-tidy over all our files, with the list in .clang-tidy"
)
# The lines in which each group's runners sum up.
declare -A summary=(
  [unit]='tests passed.* out of'
  [simulator]='^Simulator  '
  [mtr]='All [0-9]+ tests were successful|Failed [0-9]+/[0-9]+ tests|^mysql-test-run: \*\*\* ERROR'
  [e2e]='^(Load|Switchovers|Result|SKIPPED)  |[0-9]+ passed, [0-9]+ failed'
  [faults]='^SKIPPED  |^[0-9]+ passed, [0-9]+ failed'
  [asan]='tests passed.* out of|^Simulator  '
  [fuzz]='^fuzzed |SUMMARY'
  [sanitizers]='tests passed.* out of|^Simulator  |All [0-9]+ tests were successful|Failed [0-9]+/[0-9]+ tests|^valgrind looked|^(asan|valgrind) found'
  [tidy]='(warning|error): '
)

logs=build/release/test-logs

# build PRESET [TARGET...]
build() { cmake --preset "$1" && cmake --build --preset "$1" --target "${@:2}"; }

group_unit() {
  local failed=0
  ./format.sh --check || failed=1
  { build release all && ctest --preset release; } || failed=1
  return "$failed"
}

# The fixed seeds are the same everywhere; the random one, which is printed, finds what they don't.
group_simulator() {
  local simulator=build/release/plugin/simulator failed=0
  build release simulator || return
  $simulator --seed 1 --schedules 950000 || failed=1
  $simulator --schedules 50000 || failed=1
  return "$failed"
}

group_mtr() { build release all && mtr-tests/run.sh; }

group_e2e() {
  local lab=build/release/client/lab/active-master-lab proxies failed=0
  build release all || return
  $lab run --switchovers 100 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via gate --watch-read-only || failed=1
  $lab run --switchovers 100 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via haproxy || failed=1
  for proxies in 'proxysql --via proxysql' maxscale; do  # if they are here; two ProxySQL are a ProxySQL cluster
    # shellcheck disable=SC2086  # words
    $lab run --switchovers 10 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via $proxies || failed=1
  done
  # Standbys that must change their master each time
  $lab run --nodes 3 --star --switchovers 20 --writers 8 --think-us 5000 --set active_master_approach_max_lag=1000 --via gate || failed=1
  $lab mixed || failed=1
  return "$failed"
}

group_faults() { build release all && build/release/client/lab/active-master-lab faults; }

group_asan() {
  local tests=(core_test plugin_test protocol_test network_test daemon_test subscriber_test) failed=0
  build asan "${tests[@]}" simulator || return
  ctest --preset asan -L "^($(IFS='|' && echo "${tests[*]}"))\$" || failed=1
  build/asan/plugin/simulator --seed 1 --schedules 10000 || failed=1
  return "$failed"
}

group_sanitizers() {
  local fault failed=0
  { build asan unit_tests simulator && ctest --preset asan; } || failed=1
  # Nearly all of simulator_test plays on one thread, where there is nothing to see, and slowly; the simulator plays
  # on all.
  { build tsan unit_tests simulator && ctest --preset tsan -LE simulator_test; } || failed=1
  build/asan/plugin/simulator --seed 1 --schedules 20000 || failed=1
  build/tsan/plugin/simulator --seed 1 --schedules 1000 || failed=1
  { build asan active_master && mtr-tests/run.sh --under asan; } || failed=1
  { build release active_master && mtr-tests/run.sh --under valgrind cycle; } || failed=1
  # What the tools must find, or the two lines before prove nothing.
  { build asan active_master_faults && mtr-tests/run.sh --under asan --planted overrun; } || failed=1
  build release active_master_faults || return
  for fault in overrun leak; do mtr-tests/run.sh --under valgrind --planted $fault || failed=1; done
  return "$failed"
}

# fuzz_one PROGRAM: from the corpus in the repository, which grows below build/asan/corpus. What it finds
# is kept in build/asan/found. FUZZ_SECONDS and FUZZ_RUNS are for longer runs.
fuzz_one() {
  local name log seeds
  name=$(basename "$1")
  log=$logs/$name.log
  seeds=$(ls -d ./*/*/fuzz/corpus/"$name")
  mkdir -p "build/asan/corpus/$name" build/asan/found
  if "$1" -max_total_time="${FUZZ_SECONDS:-30}" -runs="${FUZZ_RUNS:--1}" -max_len=4096 -print_final_stats=1 \
    -artifact_prefix="build/asan/found/$name-" "build/asan/corpus/$name" "$seeds" >"$log" 2>&1; then
    echo "fuzzed $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions"
  else
    cat "$log"
    return 1
  fi
}

group_fuzz() {
  build asan fuzzers || return
  export -f fuzz_one
  export logs
  find build/asan -name '*_fuzz' -type f -executable -print0 | sort -z |
    xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz_one "$0"'
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
