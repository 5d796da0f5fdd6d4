#!/usr/bin/env bash
# Runs the tests of the real clients, and writes what came of them to docs/conformance.md. A test that fails is on the page, too, and
# makes this fail. Takes as long as that part of make test: five minutes on two quiet cores.
set -euo pipefail
cd "$(dirname "$0")/.."
conformance/install.sh >/dev/null
make -s build
COMPOSER_API_BINARY=$PWD/bin/composer-api
export COMPOSER_API_BINARY
run=$(mktemp)
trap 'rm -f "$run" "$run.md"' EXIT
failed=
go -C conformance test -count=1 -json ./agents ./aisdk ./anthropic ./claudecode ./codex ./copilot ./openai ./opencode ./python ./setup >"$run" || failed=1
go -C conformance run ./matrix <"$run" >"$run.md"
mv "$run.md" docs/conformance.md
[ -z "$failed" ]
