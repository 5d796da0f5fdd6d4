#!/bin/sh
# Hundreds of clients at once on three servers behind nginx, while servers are killed, started again and replaced one by one:
# the storm of conformance/replicas, with a PostgreSQL of its own. It takes two to three minutes, and writes the figures to
# bench/results/replicas-latest.md.
set -eu
cd "$(dirname "$0")/.."

scripts/deployment.sh
if [ -z "${COMPOSER_API_BINARY-}" ]; then
	make -s build
	COMPOSER_API_BINARY="$PWD/bin/composer-api"
	export COMPOSER_API_BINARY
fi
export COMPOSER_TEST_STORM="${COMPOSER_TEST_STORM-500}"
export COMPOSER_TEST_STORM_TABLE="${COMPOSER_TEST_STORM_TABLE-$PWD/bench/results/replicas-latest.md}"
exec scripts/postgres.sh with go -C conformance test -count=1 -timeout=10m -v -run 'TestAStorm$' "$@" ./replicas
