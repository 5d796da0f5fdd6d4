#!/usr/bin/env bash
# Builds what the pages' scripts in web/ become: internal/pages/static, and its compressed forms in internal/pages/packed.
# Both are committed.
#
#   scripts/pages.sh         builds it
#   scripts/pages.sh check   type-checks web/, runs its tests, and fails when what is committed is not what it becomes
#
# Needs Node and npm. Where they are missing, or npm's registry can't be reached for the first time, check says so and
# passes, unless COMPOSER_TEST_REQUIRE_BROWSER is set.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Node that conformance/install.sh brings goes before the system's, which may be old.
for node in "$PWD"/conformance/node/node_modules/node-*/bin; do
	if [ -x "$node/node" ]; then PATH="$node:$PATH"; fi
done

cannot() {
	if [ "${1-}" = check ] && [ -z "${COMPOSER_TEST_REQUIRE_BROWSER-}" ]; then
		echo "skipped: $2" >&2
		exit 0
	fi
	echo "pages.sh: $2" >&2
	exit 1
}

command -v node >/dev/null && command -v npm >/dev/null || cannot "${1-}" "there is no Node with npm, which builds the pages' scripts"

# The packages of the lock file, once for each version of that.
if ! cmp -s web/package-lock.json web/node_modules/.installed; then
	(cd web && npm install --no-save --no-audit --no-fund --loglevel=error --fetch-retries=1) >&2 || cannot "${1-}" "npm can't install the packages of web/"
	cp web/package-lock.json web/node_modules/.installed
fi

case ${1-} in
"")
	node web/build.mjs
	go test -count=1 ./internal/pages -run 'TestPackedFilesAreUpToDate$' -update >&2 # their compressed forms
	;;
check)
	(cd web && node_modules/.bin/tsc --noEmit)
	node web/test.mjs >&2
	built=$(mktemp -d)
	trap 'rm -rf "$built"' EXIT
	node web/build.mjs "$built"
	for file in "$built"/*; do
		cmp -s "$file" "internal/pages/static/$(basename "$file")" || {
			echo "internal/pages/static/$(basename "$file") is not what web/ becomes: run make pages and commit it" >&2
			exit 1
		}
	done
	;;
*)
	echo "usage: pages.sh [check]" >&2
	exit 2
	;;
esac
