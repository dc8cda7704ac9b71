#!/bin/sh
# Installs the library, and builds the examples against what was installed: package_test.sh BUILD EXAMPLES
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --component client --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cmake -S "$2" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
refusal=$("$work/build/plain" 'no name' 2>&1) && exit 1
echo "$refusal" | grep -q 'plain: name must be' || { echo "$refusal"; exit 1; }
refusal=$("$work/build/pool" app1 cluster nowhere root '' 2>&1) && exit 1
echo "$refusal" | grep -q 'is not of the form' || { echo "$refusal"; exit 1; }
