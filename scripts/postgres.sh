#!/bin/sh
# Runs a command with a PostgreSQL server of its own, and stops the server afterwards.
#
#   scripts/postgres.sh with go test ./...
#
# The server lives in a temporary folder, listens on a free port of 127.0.0.1 and needs no set-up. The command finds its
# URL in COMPOSER_TEST_POSTGRES; if that is set already, the command runs with it as it is. Debian's package is installed
# when there is no PostgreSQL and we are root. PostgreSQL refuses to run as root, so root runs it as the user postgres.
# Where there is none to be had, the command runs without, unless COMPOSER_TEST_REQUIRE_POSTGRES is set: tests that want
# one are skipped then.
#
# The command may also stop the server and start it, and make a replica of it: COMPOSER_TEST_POSTGRES_CTL is a program
# that takes one word. stop ends the server as a crash does; start starts it again on the same port; standby makes a
# replica that follows it, and prints the replica's URL; promote makes the replica a server of its own; freeze and thaw stop
# all of the server's processes where they are, and let them go on. Whoever shares the server with others leaves it alone.
#
# For a server in another network, COMPOSER_TEST_POSTGRES_ENTER is a command that runs others there, and
# COMPOSER_TEST_POSTGRES_ADDRESS the address to listen on; see scripts/partition.sh.
set -eu

usage() {
	echo "usage: $0 with COMMAND [ARGUMENT...]" >&2
	exit 2
}
[ "${1-}" = with ] && [ $# -ge 2 ] || usage
shift

if [ -n "${COMPOSER_TEST_POSTGRES-}" ]; then
	exec "$@"
fi

# Prints the folder of the newest server's programs; Debian keeps them out of PATH.
find_server() {
	for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn); do
		[ -x "$dir/initdb" ] && echo "$dir" && return
	done
	path=$(command -v initdb) && dirname "$path"
}

# without REASON: runs the command without a server, or ends if there has to be one.
without() {
	hint="hint: install PostgreSQL (Debian: postgresql), or set COMPOSER_TEST_POSTGRES to a server's URL"
	if [ -n "${COMPOSER_TEST_REQUIRE_POSTGRES-}" ]; then
		echo "$0: $1; $hint" >&2
		exit 1
	fi
	echo "$0: $1: the tests that want PostgreSQL are skipped; $hint" >&2
	shift
	exec "$@"
}

bin=$(find_server || true)
if [ -z "$bin" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		without "there is no PostgreSQL server here" "$@"
	fi
	export DEBIAN_FRONTEND=noninteractive
	# Without this Debian's package makes and starts a cluster for the whole machine.
	mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	{ apt-get update -q && apt-get install -q -y --no-install-recommends postgresql; } >&2 || without "PostgreSQL could not be installed" "$@"
	bin=$(find_server)
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/composer-postgres.XXXXXX")
chmod 700 "$dir"
as_user=
if [ "$(id -u)" = 0 ]; then
	user=postgres
	id "$user" >/dev/null 2>&1 || user=nobody
	chown "$user" "$dir"
	as_user="setpriv --reuid=$(id -u $user) --regid=$(id -g $user) --clear-groups env HOME=$dir"
fi

enter=${COMPOSER_TEST_POSTGRES_ENTER-}
address=${COMPOSER_TEST_POSTGRES_ADDRESS-127.0.0.1}
as_user="$enter $as_user"

child=
stop() {
	trap - EXIT INT TERM
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
	for data in data standby; do
		[ ! -e "$dir/$data/postmaster.pid" ] || (cd "$dir" && $as_user "$bin/pg_ctl" -D "$dir/$data" -m immediate -s stop) || true
	done
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Anybody on this machine can reach the port, so there is a password.
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && echo "$password" >"$dir/password")
[ -z "$as_user" ] || chown "$user" "$dir/password"

cd_run() { (cd "$dir" && $as_user "$@"); } # the server's user must be able to see the working folder
cd_run "$bin/initdb" -D "$dir/data" -U composer --auth=scram-sha-256 --pwfile="$dir/password" --encoding=UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 || {
	cat "$dir/initdb.log" >&2
	exit 1
}

[ "$address" = 127.0.0.1 ] || cd_run sh -c "echo 'host all all all scram-sha-256' >>data/pg_hba.conf"

# The port is chosen at random. If somebody has it, or takes it before the server does, the next one is tried.
port=$((20000 + $$ % 20000))
tries=0
until cd_run "$bin/pg_ctl" -D "$dir/data" -s -w -t 60 -l "$dir/server.log" \
	-o "-c listen_addresses=$address -c port=$port -c unix_socket_directories='' -c max_connections=200 -c fsync=off" start 2>"$dir/start.log"; do
	tries=$((tries + 1))
	if [ "$tries" = 20 ]; then
		cat "$dir/start.log" "$dir/server.log" >&2
		exit 1
	fi
	port=$((port + 37))
done

cat >"$dir/ctl" <<END
#!/bin/sh
set -eu
cd "$dir"
options() { echo "-c listen_addresses=$address -c port=\$1 -c unix_socket_directories='' -c max_connections=200 -c fsync=off"; }
run() { $as_user "$bin/pg_ctl" -s -w -t 60 "\$@" >>"$dir/ctl.log" 2>&1; } # a server keeps the output open
# all prints the server's processes.
all() { server=\$(head -n 1 "$dir/data/postmaster.pid") && echo "\$server" && pgrep -P "\$server"; }
case \$1 in
freeze) kill -STOP \$(all) ;;
thaw) kill -CONT \$(all) ;;
stop) run -D "$dir/data" -m immediate stop ;;
start) $as_user "$bin/pg_ctl" -s -D "$dir/data" status >/dev/null || run -D "$dir/data" -l "$dir/server.log" -o "\$(options $port)" start ;;
standby)
	[ ! -e "$dir/standby/postmaster.pid" ] || run -D "$dir/standby" -m immediate stop
	rm -rf "$dir/standby"
	$as_user env PGPASSWORD="$password" "$bin/pg_basebackup" -h 127.0.0.1 -p "$port" -U composer -D "$dir/standby" -c fast -R >>"$dir/ctl.log" 2>&1
	other=$((port + 1))
	until run -D "$dir/standby" -l "$dir/standby.log" -o "\$(options \$other)" start; do
		other=\$((other + 1))
		[ "\$other" -lt $((port + 30)) ] || { cat "$dir/standby.log" >&2; exit 1; }
	done
	echo "postgres://composer:$password@127.0.0.1:\$other/postgres?sslmode=disable"
	;;
promote) run -D "$dir/standby" promote ;;
esac
END
chmod 700 "$dir/ctl"

COMPOSER_TEST_POSTGRES="postgres://composer:$password@$address:$port/postgres?sslmode=disable" COMPOSER_TEST_POSTGRES_CTL="$dir/ctl" "$@" &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
