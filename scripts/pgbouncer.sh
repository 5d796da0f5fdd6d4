#!/bin/sh
# Runs a command with a PgBouncer in transaction mode in front of the PostgreSQL server at COMPOSER_TEST_POSTGRES, and
# stops it afterwards.
#
#   scripts/postgres.sh with scripts/pgbouncer.sh with go test -run PgBouncer ./internal/store/sqlstore
#
# The command finds its URL in COMPOSER_TEST_PGBOUNCER. Whatever database the URL names is the server's of that name.
set -eu

[ "${1-}" = with ] && [ $# -ge 2 ] || {
	echo "usage: $0 with COMMAND [ARGUMENT...]" >&2
	exit 2
}
shift
if [ -z "${COMPOSER_TEST_POSTGRES-}" ]; then # postgres.sh has said why; there is nothing to stand in front of
	exec "$@"
fi
bouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
[ -x "$bouncer" ] || {
	echo "$0: no pgbouncer found; hint: install it (Debian: pgbouncer)" >&2
	exit 1
}

# postgres://USER:PASSWORD@HOST:PORT/...
rest=${COMPOSER_TEST_POSTGRES#*://}
login=${rest%%@*} address=${rest#*@}
address=${address%%/*}

dir=$(mktemp -d "${TMPDIR:-/tmp}/composer-pgbouncer.XXXXXX")
as_user=
if [ "$(id -u)" = 0 ]; then # which PgBouncer refuses to be
	user=postgres
	id "$user" >/dev/null 2>&1 || user=nobody
	as_user="setpriv --reuid=$(id -u $user) --regid=$(id -g $user) --clear-groups"
fi
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start: begins to serve at $port. It fails when PgBouncer ends or does not come up within 10 s.
start() {
	rm -f "$dir/pgbouncer.log"
	cat >"$dir/pgbouncer.ini" <<END
[databases]
* = host=${address%%:*} port=${address#*:} user=${login%%:*} password=${login#*:}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 500
logfile = $dir/pgbouncer.log
END
	[ -z "$as_user" ] || chown -R "$user" "$dir"
	$as_user "$bouncer" -q "$dir/pgbouncer.ini" 2>"$dir/pgbouncer.err" &
	server=$!
	tries=0
	until grep -q 'process up' "$dir/pgbouncer.log" 2>/dev/null; do
		tries=$((tries + 1))
		if [ "$tries" = 100 ] || ! kill -0 "$server" 2>/dev/null; then
			kill "$server" 2>/dev/null || true
			wait "$server" 2>/dev/null || true
			server=
			return 1
		fi
		sleep 0.1
	done
}

# The port is chosen at random, and below those that the kernel gives to clients. If somebody has it, another is tried.
port=$((10000 + $$ % 20000))
attempts=0
until start; do
	attempts=$((attempts + 1))
	if [ "$attempts" = 10 ]; then
		cat "$dir/pgbouncer.log" "$dir/pgbouncer.err" >&2 || true
		exit 1
	fi
	port=$((port + 37))
done

COMPOSER_TEST_PGBOUNCER="postgres://composer@127.0.0.1:$port/postgres?sslmode=disable" "$@"
