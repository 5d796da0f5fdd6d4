#!/bin/sh
# Runs GoReleaser, in the version that releases are made with: scripts/goreleaser.sh ARGUMENT... It is built the first time, which
# takes some minutes, and then kept in Go's build cache. Version 2.18 needs a newer Go than this repository.
#
# The variables that .goreleaser.yaml reads have to be set.
set -eu
cd "$(dirname "$0")/.."

go -C tools build -o ../bin/release ./release
GOFLAGS=-trimpath exec go run github.com/goreleaser/goreleaser/v2@v2.16.0 "$@"
