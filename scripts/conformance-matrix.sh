#!/usr/bin/env bash
# Runs the tests of the real clients, and writes what came of them to docs/conformance.md. A test that fails is on the page, too, and
# makes this fail. It takes ten minutes on two quiet cores.
#
#   scripts/conformance-matrix.sh                  all packages, one after the other
#   scripts/conformance-matrix.sh --resume         only those that did not pass the last time, or were not run to their end
#   scripts/conformance-matrix.sh python setup     these, and what the others gave the last time
#
# What a package gave is kept in .cache/conformance, so a run that is interrupted can be gone on with. PARALLEL says how many tests
# of a package may run at once; on a busy machine, 1 keeps clients from running into their time limits.
set -euo pipefail
cd "$(dirname "$0")/.."

all="agents aisdk anthropic claudecode codex copilot openai opencode python setup"
kept=$PWD/.cache/conformance
mkdir -p "$kept"
case ${1-} in
"")
	rm -f "$kept"/*.json
	packages=$all
	;;
--resume)
	packages=
	for package in $all; do
		if ! [ -e "$kept/$package.json" ] || grep -q '"Action":"fail"' "$kept/$package.json"; then packages="$packages $package"; fi
	done
	;;
*) packages=$* ;;
esac

conformance/install.sh >/dev/null
make -s build
COMPOSER_API_BINARY=$PWD/bin/composer-api
export COMPOSER_API_BINARY
failed=
for package in $packages; do
	began=$SECONDS result=passed
	# To another name until it is whole: what was interrupted is no result.
	go -C conformance test -count=1 -timeout=40m -parallel "${PARALLEL-2}" -json "./$package" >"$kept/$package.run" || result=failed failed=1
	mv "$kept/$package.run" "$kept/$package.json"
	echo "conformance-matrix.sh: $package $result after $((SECONDS - began)) s" >&2
done
cat "$kept"/*.json | go -C conformance run ./matrix >"$kept/page.md"
mv "$kept/page.md" docs/conformance.md
[ -z "$failed" ]
