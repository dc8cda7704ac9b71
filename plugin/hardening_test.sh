#!/bin/bash
# Is the plugin built as what runs inside a database server should be? plugin/hardening_test.sh LIBRARY [LIBRARY_FOR_FAULT_TESTS]
set -uo pipefail

library=$1
failed=0
must() {  # must WHAT COMMAND...
  local what=$1
  shift
  "$@" || { echo "not so: $what"; failed=1; }
}

has() { grep -qE "$1" <<<"$2"; }
lacks() { ! grep -qE "$1" <<<"$2"; }

headers=$(readelf --wide --program-headers "$library")
dynamic=$(readelf --wide --dynamic "$library")
imports=$(nm --dynamic --undefined-only "$library")
exports=$(nm --dynamic --defined-only --format=posix "$library" | cut -d' ' -f1)
[[ -n $headers && -n $dynamic && -n $imports && -n $exports ]] || { echo "can't read $library"; exit 1; }

must "its relocations are read-only after loading (RELRO)" has 'GNU_RELRO' "$headers"
must "all symbols are bound at load (NOW)" has 'BIND_NOW|FLAGS.*NOW' "$dynamic"
must "the stack is not executable" has 'GNU_STACK .* RW +0x' "$headers"
must "no segment is writable and executable" lacks 'RWE' "$headers"
must "no text relocations" lacks 'TEXTREL' "$dynamic"
must "functions are guarded by a canary" has '__stack_chk_fail' "$imports"
must "copies into buffers are checked (FORTIFY_SOURCE)" has '_chk(@|$)' "$imports"
must "no library is looked up beside the program (RPATH)" lacks 'R(UN)?PATH' "$dynamic"
# posix_spawn: the program of active_master_hook, by its path, and without a copy of the server's memory
must "no shell is ever called, and the server is never forked" lacks ' U (system|popen|exec[lv]p?e?|posix_spawnp|fork|vfork)(@|$)' "$imports"
must "only what the server looks up is exported" lacks '.' "$(grep -vE '^(_maria_[a-z_]+|[a-z_0-9]+_service)$' <<<"$exports" || true)"
must "the server finds the plugins" has '^_maria_plugin_declarations_$' "$exports"

# Fault points are in the library for fault tests only. That one is looked at to see that this finds them.
has_fault_points() { grep -qE '[Aa]ctive_master_fault|as it was asked for' <(strings "$1"); }
lacks_fault_points() { ! has_fault_points "$1"; }
must "it has no fault points" lacks_fault_points "$library"
[[ -z ${2-} ]] || must "the library for fault tests has them" has_fault_points "$2"
exit "$failed"
