#!/bin/sh
# Installs the programs that docs/deployment.md speaks of and that its tests run (conformance/proxies, conformance/backup and
# conformance/metrics), as far as they are missing: nginx, and where the distribution has them, Caddy and HAProxy, SQLite's
# shell and Prometheus. It needs Debian's apt and root; else it says what is missing and does nothing. It starts no server.
set -eu

missing=
for program in nginx caddy haproxy sqlite3 prometheus; do
	command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "$0: not installed, so their tests are skipped:$missing" >&2
	exit 0
fi

# Debian's packages start their servers unless this says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2 || true
for program in $missing; do
	package=$program
	[ "$program" != nginx ] || package=nginx-light
	apt-get install -q -y --no-install-recommends "$package" >&2 || echo "$0: $package can't be installed, so its tests are skipped" >&2
done
