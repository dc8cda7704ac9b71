# shellcheck shell=bash
# Sourced by run.sh and stock.sh. mysql-test-run knows suites and plugins only below the directory that
# it finds the server in. So make_base makes one of links: the installed server and its test suites, plus
# ours. Afterwards $suites is where mysql-test-run.pl is. It takes the plugin of build/$preset.

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${ACTIVE_MASTER_BUILD:-$source/build/${preset:-release}}

make_base() {  # make_base DIRECTORY [WORD...]: the words are put before the server's own command
  local base=$1 plugin=$build/plugin/${planted:+faults/}active_master.so plugins directory entry
  shift
  if [[ ! -e $plugin ]]; then
    echo "$plugin is missing: build it, or set ACTIVE_MASTER_BUILD" >&2
    exit 1
  fi
  rm -rf "$base/root"
  plugins=$base/root/lib/mysql/plugin
  suites=$base/root/mysql-test
  mkdir -p "$plugins" "$suites/plugin/active_master" "$base/root/sbin"
  ln -s /usr/bin /usr/share "$base/root/"
  # What stands for the server: mysql-test-run starts it by this path. The words are not for the one that
  # only makes the data directory.
  cat >"$base/root/sbin/mariadbd" <<END
#!/bin/bash
[[ " \$* " == *" --bootstrap "* ]] && exec /usr/sbin/mariadbd "\$@"
exec ${*@Q} /usr/sbin/mariadbd "\$@"
END
  chmod 755 "$base/root/sbin/mariadbd"
  for directory in /usr/lib/*/libmariadb3; do  # plugins of the client library
    mkdir -p "$base/root/lib/$(basename "$(dirname "$directory")")"
    ln -s "$directory" "$base/root/lib/$(basename "$(dirname "$directory")")/"
  done
  ln -s /usr/lib/mysql/plugin/* "$plugins/"
  cp --remove-destination "$plugin" "$plugins/"  # so that a new build doesn't pull it away from a running test
  for entry in /usr/share/mysql/mysql-test/*; do
    [[ $(basename "$entry") == plugin ]] || ln -s "$entry" "$suites/"
  done
  ln -s "$source/mtr-tests/active_master" "$suites/plugin/active_master/active_master"
}
