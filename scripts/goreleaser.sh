#!/bin/sh
# Runs GoReleaser, in the version that releases are made with: scripts/goreleaser.sh ARGUMENT... It is built the first time, which
# takes some minutes, and then kept in Go's build cache. Version 2.18 needs a newer Go than this repository. GORELEASER names one
# that is built already.
#
# The variables that .goreleaser.yaml reads have to be set. GOFLAGS may hold more for the builds, such as -p=1 on a busy machine.
set -eu
cd "$(dirname "$0")/.."

go -C tools build -o ../bin/release ./release
export GOFLAGS="${GOFLAGS-} -trimpath"
if [ -z "${GORELEASER-}" ]; then
	GORELEASER=$PWD/bin/goreleaser
	GOBIN=$PWD/bin go install github.com/goreleaser/goreleaser/v2@v2.16.0
fi
exec "$GORELEASER" "$@"
