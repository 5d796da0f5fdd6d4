#!/bin/sh
# Takes a PostgreSQL away from running gateways, in each way that databases go away, and gives it back: the tests of
# conformance/outages. The server is their own, because they stop it. PgBouncer is installed if that can be; without it,
# what is tested is a gateway that talks to the server directly. The network that is cut has a server of its own, too.
#
# It takes about three minutes, and with -test.short one: the database is not away for as long, and less often.
set -eu
cd "$(dirname "$0")/.."

bouncer() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; }
if ! bouncer && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	policy=/usr/sbin/policy-rc.d # keeps Debian's package from starting a server
	made=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		made=$policy
	fi
	(export DEBIAN_FRONTEND=noninteractive && apt-get update -q && apt-get install -q -y --no-install-recommends pgbouncer) >&2 ||
		echo "$0: PgBouncer can't be installed, so nothing is tested behind it" >&2
	[ -z "$made" ] || rm -f "$made"
fi

if [ -z "${COMPOSER_API_BINARY-}" ]; then
	make -s build
	COMPOSER_API_BINARY="$PWD/bin/composer-api"
	export COMPOSER_API_BINARY
fi
unset COMPOSER_TEST_POSTGRES COMPOSER_TEST_PGBOUNCER
export COMPOSER_TEST_OUTAGES=1
# Built before, because a network of its own has no way to the modules.
tests=$(mktemp "${TMPDIR:-/tmp}/composer-outages.XXXXXX")
cut=
trap '[ -z "$cut" ] || kill "$cut" 2>/dev/null || true; rm -f "$tests"' EXIT
go -C conformance test -c -o "$tests" ./outages

# They spend their time waiting, so both run at once.
scripts/partition.sh with scripts/postgres.sh with "$tests" -test.timeout=10m "$@" -test.run='^TestANetworkThatDropsPackets$' &
cut=$!
set -- "$tests" -test.timeout=10m "$@"
if bouncer; then
	set -- scripts/pgbouncer.sh with "$@"
fi
status=0
scripts/postgres.sh with "$@" || status=$?
wait "$cut" || status=$?
cut=
exit "$status"
