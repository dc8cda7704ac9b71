#!/bin/sh
# Installs the Debian 12 packages that building and testing need; does nothing when all are there.
# No server that it installs is started, now or at the next boot; one that was here stays as it is.
set -eu

# Compiler and tools, what the programs are built from, and the servers and proxies under test.
packages="
  g++ cmake ninja-build ccache clang-format clang-tidy clang libclang-rt-14-dev
  libboost-dev libprotobuf-dev protobuf-compiler libssl-dev libspdlog-dev libcli11-dev
  nlohmann-json3-dev libgtest-dev libgmock-dev libbenchmark-dev libsqlite3-dev libpcre2-dev
  mariadb-server mariadb-client libmariadb-dev libmariadbd-dev mariadb-test mariadb-test-data patch valgrind
  haproxy python3 iproute2 nftables util-linux dpkg-dev file
"

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $packages; do
  is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "setup: installing$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
for program in $sudo apt-get; do
  if ! command -v "$program" >/dev/null; then
    echo "setup: there is no $program: install these packages in another way, then come back" >&2
    exit 1
  fi
done

log=$(mktemp)
policy_made=
clean_up() {
  rm -f "$log"
  [ -z "$policy_made" ] || $sudo rm -f $policy
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Runs a command as root; its output is shown only if it fails.
quietly() {
  $sudo "$@" >"$log" 2>&1 </dev/null && return
  cat "$log"
  echo "setup: failed: $*" >&2
  exit 1
}

# The tests start servers of their own. Debian starts a daemon as soon as its package is installed,
# unless this program, which belongs to the administrator, says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  policy_made=yes
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod 755 $policy
fi

quietly apt-get update
# shellcheck disable=SC2086  # a list of words
quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing

# Nor shall they start at the next boot.
for service in mariadb haproxy; do
  case "$missing " in
    *" $service-server "* | *" $service "*)
      if command -v systemctl >/dev/null; then $sudo systemctl disable --quiet $service || true; fi
      ;;
  esac
done
