#!/usr/bin/env bash
# Makes and uploads the release of a tag that is checked out, as a draft: scripts/release.sh v1.2.3. The workflow release.yml
# runs it; docs/releasing.md says what comes before and after.
#
# RELEASE_SECRET is the key that 'composer-api upgrade' verifies releases with, GITHUB_TOKEN uploads them, TAP_TOKEN (may be
# empty) writes the files for Homebrew and Scoop into their repositories.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1?usage: release.sh TAG}
go -C tools build -o ../bin/release ./release
export RELEASES="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/releases" REPOSITORY="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
RELEASE_KEY=$(bin/release public)
export RELEASE_KEY

notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
bin/release notes "$tag" >"$notes"
printf '\nThe checksums are signed with the minisign key `%s`.\n' "$RELEASE_KEY" >>"$notes"
scripts/goreleaser.sh release --clean "--release-notes=$notes"
bin/release npm dist
bin/release wheels dist
# What is a draft until now is looked at as a user would. If this fails, nobody has seen it.
bin/release check dist
scripts/wrappers.sh dist
