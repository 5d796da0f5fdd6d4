#!/usr/bin/env bash
# Rewrites the golden files of every package that has some: those whose tests know the -update flag.
set -euo pipefail
cd "$(dirname "$0")/.."

grep -rlE --include='*_test.go' --include='*.go' 'flag\.Bool\("update"' internal | xargs -r -n1 dirname | sort -u | while read -r dir; do
	for user in $(grep -rl --include='*_test.go' -e "composer-api/$dir\"" internal | xargs -r -n1 dirname) "$dir"; do
		echo "./$user"
	done
done | sort -u | while read -r package; do
	go test "$package" -update
done

# aisdk's tests write the same files from two clients: without -update they show whether both agree.
conformance/install.sh >&2
go -C conformance test -p 1 ./openai ./aisdk ./cursorsdk -update
go -C conformance test -count=1 ./aisdk
git status --short
