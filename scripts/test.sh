#!/usr/bin/env bash
# Runs every test: the main module with the race detector, then the real clients of conformance/. Needs Go; the rest is
# installed by the scripts called here. The last line of output is one of go test's.
set -euo pipefail
cd "$(dirname "$0")/.."

# First, so that a registry that can't be reached is known within seconds.
if [ -x conformance/install.sh ]; then
	conformance/install.sh >&2
	# Cursor's bridge lies in its Python package; where that can't be had, its tests are skipped.
	for bridge in "$PWD"/conformance/.cache/cursor-sdk-*/lib/python*/site-packages/cursor_sdk/_vendor/bridge; do
		if [ -e "$bridge/dist/bin/cursor-sdk-bridge.js" ]; then
			export COMPOSER_TEST_SDK_BRIDGE="$bridge"
		fi
	done
fi

# The pages' scripts: their own tests, and that what is committed is what they become.
scripts/pages.sh check

# Arrays may be empty, which the bash of macOS takes for unset: ${name[@]+...} asks first.
race=()
if [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then
	race=(-race)
else
	echo "no C compiler: running without the race detector" >&2
fi

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
${bounced[@]+"${bounced[@]}"} go test -timeout=20m ${race[@]+"${race[@]}"} ./... # a slow disk makes the database tests long

# The conformance tests want a PostgreSQL, too: several processes share it. What can't be installed is skipped.
if [ -f conformance/go.mod ]; then
	scripts/deployment.sh >&2
	make -s build
	COMPOSER_API_BINARY="$PWD/bin/composer-api"
	export COMPOSER_API_BINARY
	${with[@]+"${with[@]}"} go -C conformance test -count=1 ./...
	# With a PostgreSQL of their own, which they take away; not where the caller has named the only one there is.
	if [ ${#with[@]} -gt 0 ] && [ -z "${COMPOSER_TEST_POSTGRES-}" ]; then
		scripts/outages.sh
	fi
	# Agents and SDKs do their tasks by way of Cursor's bridge, too.
	if [ -n "${COMPOSER_TEST_SDK_BRIDGE-}" ]; then
		COMPOSER_CONFORMANCE_UPSTREAM=sdkbridge go -C conformance test -count=1 ./claudecode ./codex ./openai ./opencode ./python
	fi
fi
