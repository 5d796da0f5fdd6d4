#!/bin/sh
# Runs gateways for a while under a load that stays the same, and fails when they take more and more of anything: memory,
# descriptors, goroutines, the database. The numbers and a drawing are written to bench/results. With PostgreSQL where we can
# start one, two replicas share it; else there is one server on SQLite.
#
#	scripts/soak.sh MINUTES
set -eu
cd "$(dirname "$0")/.."
minutes=$1

make -s build
COMPOSER_API_BINARY="$PWD/bin/composer-api"
COMPOSER_TEST_SOAK_MINUTES=$minutes
COMPOSER_TEST_SOAK_RESULTS=${COMPOSER_TEST_SOAK_RESULTS-$PWD/bench/results}
export COMPOSER_API_BINARY COMPOSER_TEST_SOAK_MINUTES COMPOSER_TEST_SOAK_RESULTS
# Beside the soak itself: compiling the test, starting everything, ending it.
exec scripts/postgres.sh with go -C conformance test -count=1 -v -timeout $((minutes + 10))m -run TestNothingGrows ./soak
