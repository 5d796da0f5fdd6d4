#!/usr/bin/env bash
# Measures what Cursor's bridge costs on this machine, and prints the tables of docs/upstreams.md. It takes two minutes
# at most. The bridge is the one that conformance/install.sh has installed, or the one at COMPOSER_TEST_SDK_BRIDGE.
set -euo pipefail
cd "$(dirname "$0")/.."

for bridge in "$PWD"/conformance/.cache/cursor-sdk-*/lib/python*/site-packages/cursor_sdk/_vendor/bridge; do
	if [ -e "$bridge/dist/bin/cursor-sdk-bridge.js" ]; then
		export COMPOSER_TEST_SDK_BRIDGE="${COMPOSER_TEST_SDK_BRIDGE-$bridge}"
	fi
done
if [ -z "${COMPOSER_TEST_SDK_BRIDGE-}" ]; then
	echo "bench-bridge: there is no bridge; hint: run conformance/install.sh, or set COMPOSER_TEST_SDK_BRIDGE" >&2
	exit 1
fi
COMPOSER_BENCH_BRIDGE=1 go test -count=1 -timeout 5m -run '^TestCost$' -v ./internal/backend/sdkbridge | grep -v -e '^=== ' -e '^--- PASS' -e '^PASS' -e '^ok'
