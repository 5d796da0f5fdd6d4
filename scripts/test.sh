#!/usr/bin/env bash
# Runs every test: the main module with the race detector, then the real clients of conformance/. Needs Go; the rest is
# installed by the scripts called here. The last line of output is one of go test's.
set -euo pipefail
cd "$(dirname "$0")/.."

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
"${with[@]}" go test "${race[@]}" ./...

# The conformance tests want a PostgreSQL, too: several processes share it.
if [ -f conformance/go.mod ]; then
	if [ -x conformance/install.sh ]; then
		conformance/install.sh >&2
	fi
	make -s build
	COMPOSER_API_BINARY="$PWD/bin/composer-api"
	export COMPOSER_API_BINARY
	"${with[@]}" go -C conformance test -count=1 ./...
fi
