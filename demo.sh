#!/bin/sh
# Builds everything and shows it: two MariaDB servers and a HAProxy on this machine, clients that
# write all the time, and the role of the active master moving there and back.
# Options are those of `active-master-lab demo`, e.g. ./demo.sh --gate --switchovers 10
set -eu
cd "$(dirname "$0")"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Shows a command's output only if it fails.
quietly() {
  echo "$1 ..."
  shift
  if ! "$@" >"$log" 2>&1; then
    cat "$log"
    echo "Failed: $*" >&2
    exit 1
  fi
}

quietly "Installing what is needed to build and run" ./setup.sh
quietly "Configuring the build" cmake --preset release
quietly "Building (this takes some minutes the first time)" \
  cmake --build --preset release --target active-master active-master-agent active-master-lab active_master
build/release/client/lab/active-master-lab demo "$@"
