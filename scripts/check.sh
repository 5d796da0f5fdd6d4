#!/usr/bin/env bash
# Everything that can be said about the code without running it. Each step prints its name; the first that fails ends
# the script.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo "== $*" >&2; }

step gofmt
unformatted=$(gofmt -l bench cmd internal tools $([ -d conformance ] && echo conformance))
if [ -n "$unformatted" ]; then
	echo "not formatted:" $unformatted >&2
	exit 1
fi

step go vet
go vet ./...
go -C tools vet ./...
if [ -d conformance ]; then go -C conformance vet ./...; fi

step go vet for Windows
GOOS=windows go vet ./...
if [ -d conformance ]; then GOOS=windows go -C conformance vet ./...; fi

step staticcheck and lint
go -C tools build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
go -C tools build -o ../bin/lint ./lint
bin/staticcheck ./...
bin/lint -test=false ./...

step code that nobody calls
go -C tools build -o ../bin/deadcode golang.org/x/tools/cmd/deadcode
go -C tools build -o ../bin/unused ./unused
dead=$(bin/deadcode -test ./...)
if [ -n "$dead" ]; then
	echo "$dead" >&2
	exit 1
fi
bin/unused -dir .

step generated files
before=$(git status --porcelain; git diff)
go generate ./...
if [ "$before" != "$(git status --porcelain; git diff)" ]; then
	git status --short >&2
	echo "go generate changed files: commit what it makes" >&2
	exit 1
fi

step scripts of the pages
scripts/pages.sh check

step workflows
go -C tools build -o ../bin/actionlint github.com/rhysd/actionlint/cmd/actionlint
bin/actionlint -shellcheck= -pyflakes= # the programs that it would ask may be here or not; scripts lie in scripts/

step rules of the repository
go test ./internal/archtest

step govulncheck
go -C tools build -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck
# Its database is on the network; a machine without it can't say anything.
if ! out=$(bin/govulncheck ./... 2>&1); then
	if grep -q 'fetching vulnerabilities\|dial tcp\|no such host\|Forbidden\|connection refused' <<<"$out"; then
		echo "skipped: the vulnerability database can't be reached" >&2
	else
		echo "$out" >&2
		exit 1
	fi
fi
