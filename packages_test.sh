#!/bin/sh
# Makes the Debian packages and uses what is in them: packages_test.sh BUILD SERVER VERSION
set -eu
build=$1 server=$2 version=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "not so: $1"
  exit 1
}

cpack --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cd "$work/packages"
for package in mariadb-plugin-active-master active-master libactive-master-client-dev; do
  file=$(echo "${package}"_*.deb)
  [ -e "$file" ] || fail "there is a package $package"
  dpkg-deb -x "$file" "$work/root"
  [ -s "$work/root/usr/share/doc/$package/copyright" ] || fail "$package has its license"
done
root=$work/root

# A server of this version loads the plugin, and apt lets no other one have it.
"$server" --no-defaults --plugin-dir="$root/usr/lib/mysql/plugin" --plugin-load-add=active_master --verbose --help \
  >"$work/help" 2>"$work/log" || { cat "$work/log"; exit 1; }
grep -q '^active-master-node-name' "$work/help" || fail "the server knows the plugin's variables"
depends=$(dpkg-deb -f mariadb-plugin-active-master_*.deb Depends)
case $depends in
  *"mariadb-server (>= 1:$version), mariadb-server (<< 1:${version%.*}.$((${version##*.} + 1))~)"*) ;;
  *) fail "the plugin depends on the server of version $version: $depends" ;;
esac
grep -q 'PROCEDURE active_master.set_active_master' "$root/usr/share/active-master/install.sql" || fail "the procedures are there"
[ -s "$root/usr/share/doc/mariadb-plugin-active-master/docs/operations.md" ] || fail "the page to read is there"

for program in active-master active-master-agent active-master-witness; do
  [ "$("$root/usr/bin/$program" --version | grep -c '[0-9]\.[0-9]')" = 1 ] || fail "$program runs"
done
for unit in active-master-agent active-master-witness; do
  program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$root/usr/lib/systemd/system/$unit.service")
  [ -x "$root$program" ] || fail "the program of $unit.service is there: $program"
done
