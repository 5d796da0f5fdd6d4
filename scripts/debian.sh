#!/bin/sh
# Installs, in one go, the Debian packages that the tests use and that are missing. The scripts that need them install
# them, too, one by one, each with a list of packages of its own to load; done here first, that is done once. Needs apt and
# root: else, and when it can't, it does nothing, and those scripts say what is missing. It starts no server.
set -eu

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

packages=
want() { packages="$packages $*"; }
has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
has npm || want nodejs npm
has chromium || has chromium-browser || has google-chrome || want chromium
has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || want postgresql
has pgbouncer || want pgbouncer
has nginx || want nginx-light
has gnome-keyring-daemon || want gnome-keyring
has dbus-run-session || want dbus-daemon
for program in caddy haproxy sqlite3 prometheus; do
	has "$program" || want "$program"
done
[ -n "$packages" ] || exit 0

# Debian's packages start their servers unless this says no, and PostgreSQL's makes one for the whole machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
case $packages in
*postgresql*)
	mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	;;
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2 || true
known=
for package in $packages; do # not every distribution has all
	if apt-cache show "$package" >/dev/null 2>&1; then known="$known $package"; fi
done
[ -z "$known" ] || apt-get install -qq -y --no-install-recommends $known >&2 || true
