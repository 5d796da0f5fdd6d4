#!/usr/bin/env bash
# Rewrites the golden files of every package that has some: those whose tests know the -update flag of
# internal/golden, directly or through apitest.
set -euo pipefail
cd "$(dirname "$0")/.."

grep -rl --include='*_test.go' '"composer-api/internal/\(golden\|api/apitest\)"' internal | xargs -n1 dirname | sort -u | while read -r package; do
	go test "./$package" -update
done
# The surfaces share the cases of apitest: without -update they show whether they agree.
go test -count=1 ./internal/api/...

# aisdk's tests write the same files from two clients: without -update they show whether both agree.
conformance/install.sh >&2
go -C conformance test -p 1 ./openai ./anthropic ./aisdk ./cursorsdk -update
go -C conformance test -count=1 ./aisdk
git status --short
