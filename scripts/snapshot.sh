#!/usr/bin/env bash
# Makes a release as it would be made of this commit, but publishes nothing, in the folder dist; then looks at all of it, as
# tools/release says.
#
#   scripts/snapshot.sh              for all systems
#   scripts/snapshot.sh here         for Linux on amd64 only
#   scripts/snapshot.sh linux        for Linux on amd64 and arm64, with their packages
#   scripts/snapshot.sh twice        for all systems, and again in another folder with an empty build cache: both must be the same
#   scripts/snapshot.sh twice linux  the same for a part
#
# The key that signs it is made for this once. Needs Go; where Node or Python are missing, their packages are not tried.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

part=all twice=
if [ "${1-}" = twice ]; then
	twice=yes
	shift
fi
case ${1-} in
"") ;;
here | linux) part=$1 ;;
*)
	echo "usage: snapshot.sh [twice] [here|linux]" >&2
	exit 2
	;;
esac
if [ -n "$twice" ] && [ -n "$(git status --porcelain)" ]; then
	echo "snapshot.sh: there are changes that are not committed, and the second build would not have them" >&2
	exit 1
fi

# GoReleaser wants to know where the repository comes from, and takes no commit from one that comes from nowhere.
if ! git remote get-url origin >/dev/null 2>&1; then
	export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://example.invalid/composer-api.git
fi

step() { echo "snapshot.sh: $* (${SECONDS} s so far)" >&2; }

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
go -C tools build -o ../bin/release ./release
export RELEASES=https://example.invalid/releases # nothing is there: those who want it name another
RELEASE_KEY=$(bin/release key "$temporary/key")
RELEASE_SECRET=$(cat "$temporary/key")
export RELEASE_KEY RELEASE_SECRET PART=$part

# build: makes the release of the current folder, in its dist.
build() {
	local skip=sign # by cosign it can be signed in the workflow only
	[ "$part" = all ] || skip=sign,scoop
	scripts/goreleaser.sh release --snapshot --clean "--skip=$skip" >"$temporary/goreleaser.log" 2>&1 || {
		cat "$temporary/goreleaser.log" >&2
		return 1
	}
	"$root/bin/release" sign dist/checksums.txt
	"$root/bin/release" npm dist
	"$root/bin/release" wheels dist
}

step "building ($part)"
build
step "checking"
bin/release check dist
scripts/wrappers.sh dist
if [ -n "$twice" ]; then
	step "building again, elsewhere"
	git clone --quiet --local . "$temporary/a folder with another name"
	# GoReleaser is the first one's: it is a tool, and no part of what is compared.
	(cd "$temporary/a folder with another name" && GOCACHE="$temporary/cache" GORELEASER="${GORELEASER-$root/bin/goreleaser}" build)
	bin/release compare dist "$temporary/a folder with another name/dist"
	chmod -R u+w "$temporary"
fi
step "done"
