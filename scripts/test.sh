#!/usr/bin/env bash
# Runs every test: the main module with the race detector, then the real clients of conformance/. Needs Go; the rest is
# installed by the scripts called here. The last line of output is one of go test's. On standard error it says when a part
# begins, and how long the one before it took.
set -euo pipefail
cd "$(dirname "$0")/.."

# phase NAME
part= since=$SECONDS
phase() {
	if [ -n "$part" ]; then echo "test.sh: $part took $((SECONDS - since)) s, all so far $SECONDS s" >&2; fi
	part=$1 since=$SECONDS
	if [ -n "$part" ]; then echo "test.sh: $part" >&2; fi
}

# Arrays may be empty, which the bash of macOS takes for unset: ${name[@]+...} asks first.
race=()
if [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then
	race=(-race)
else
	echo "no C compiler: running without the race detector" >&2
fi

# First, so that a registry that can't be reached is known within seconds. Go compiles meanwhile; no test runs beside it,
# because both would take the time that some tests measure.
if [ -x conformance/install.sh ]; then
	phase "installing, and compiling"
	(go list -export -test ${race[@]+"${race[@]}"} ./... && go -C conformance list -export -test ./... && make -s build) >/dev/null &
	compiling=$!
	trap '{ kill $(pgrep -P "$compiling") "$compiling"; } 2>/dev/null || true' EXIT
	scripts/debian.sh
	conformance/install.sh >&2
	wait "$compiling"
	trap - EXIT
	# Cursor's bridge lies in its Python package; where that can't be had, its tests are skipped.
	for bridge in "$PWD"/conformance/.cache/cursor-sdk-*/lib/python*/site-packages/cursor_sdk/_vendor/bridge; do
		if [ -e "$bridge/dist/bin/cursor-sdk-bridge.js" ]; then
			export COMPOSER_TEST_SDK_BRIDGE="$bridge"
		fi
	done
fi

phase "the pages' scripts" # their own tests, and that what is committed is what they become
scripts/pages.sh check

# With PostgreSQL where we can start one, so that both stores take their exam.
with=()
if [ -x scripts/postgres.sh ]; then
	with=(scripts/postgres.sh with)
fi
# The database tests run behind PgBouncer as well, where it is installed.
bounced=(${with[@]+"${with[@]}"})
if [ ${#with[@]} -gt 0 ] && { command -v pgbouncer || [ -x /usr/sbin/pgbouncer ]; } >/dev/null; then
	bounced+=(scripts/pgbouncer.sh with)
fi
phase "the Go tests"
# The database tests wait for the disk for minutes, so they come first: the others run beside them.
${bounced[@]+"${bounced[@]}"} go test -timeout=20m ${race[@]+"${race[@]}"} ./internal/store/sqlstore ./...

# The conformance tests want a PostgreSQL, too: several processes share it. What can't be installed is skipped.
if [ -f conformance/go.mod ]; then
	phase "the real clients"
	scripts/deployment.sh >&2
	make -s build
	COMPOSER_API_BINARY="$PWD/bin/composer-api"
	export COMPOSER_API_BINARY
	${with[@]+"${with[@]}"} go -C conformance test -count=1 ./...
	# With a PostgreSQL of their own, which they take away; not where the caller has named the only one there is. They spend
	# their time waiting, so what follows runs beside them.
	outages=
	if [ ${#with[@]} -gt 0 ] && [ -z "${COMPOSER_TEST_POSTGRES-}" ]; then
		phase "outages of the database, and the real clients by way of Cursor's bridge"
		said=$(mktemp)
		trap 'rm -f "$said"' EXIT
		scripts/outages.sh -test.short >"$said" &
		outages=$!
	else
		phase "the real clients by way of Cursor's bridge"
	fi
	# Agents and SDKs do their tasks by way of Cursor's bridge, too.
	failed=
	if [ -n "${COMPOSER_TEST_SDK_BRIDGE-}" ]; then
		COMPOSER_CONFORMANCE_UPSTREAM=sdkbridge go -C conformance test -count=1 ./claudecode ./codex ./openai ./opencode ./python || failed=1
	fi
	if [ -n "$outages" ]; then
		wait "$outages" || failed=1
		cat "$said"
	fi
	phase ""
	[ -z "$failed" ]
fi

go -C tools test ./release
