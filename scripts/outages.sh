#!/bin/sh
# Takes a PostgreSQL away from running gateways, in each way that databases go away, and gives it back: the tests of
# conformance/outages. The server is their own, because they stop it. It takes about a minute. PgBouncer is installed
# if that can be; without it, what is tested is a gateway that talks to the server directly.
set -eu
cd "$(dirname "$0")/.."

bouncer() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; }
if ! bouncer && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	policy=/usr/sbin/policy-rc.d # keeps Debian's package from starting a server
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	(export DEBIAN_FRONTEND=noninteractive && apt-get update -q && apt-get install -q -y --no-install-recommends pgbouncer) >&2 ||
		echo "$0: PgBouncer can't be installed, so nothing is tested behind it" >&2
fi

if [ -z "${COMPOSER_API_BINARY-}" ]; then
	make -s build
	COMPOSER_API_BINARY="$PWD/bin/composer-api"
	export COMPOSER_API_BINARY
fi
unset COMPOSER_TEST_POSTGRES COMPOSER_TEST_PGBOUNCER
export COMPOSER_TEST_OUTAGES=1
set -- go -C conformance test -count=1 "$@" ./outages
if bouncer; then
	set -- scripts/pgbouncer.sh with "$@"
fi
scripts/postgres.sh with "$@"
