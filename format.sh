#!/bin/sh
# Formats all C++ files. With --check, changes nothing and fails if there is something to format.
set -eu
cd "$(dirname "$0")"

case "${1-}" in
  '') mode="-i" ;;
  --check) mode="--dry-run --Werror" ;;
  *)
    echo "usage: ./format.sh [--check]" >&2
    exit 2
    ;;
esac

# shellcheck disable=SC2086  # options
find plugin client \( -name '*.h' -o -name '*.cc' \) -print0 | xargs -0 -r clang-format $mode
