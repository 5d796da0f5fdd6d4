#!/usr/bin/env bash
# Tries the packages for npm and PyPI in a folder that GoReleaser and tools/release have filled: each is installed from its
# files, as its users' programs install it, and the program is run by its name. scripts/wrappers.sh dist
#
# What is not there (Node with npm, Python with venv, uv) is not tried; COMPOSER_TEST_REQUIRE_PYTHON makes that an error.
set -euo pipefail
dist=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

# What conformance/install.sh has brought goes before what the system has.
for node in "$PWD"/conformance/node/node_modules/node-*/bin; do
	if [ -x "$node/node" ]; then PATH="$node:$PATH"; fi
done

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

cannot() {
	if [ -n "${COMPOSER_TEST_REQUIRE_PYTHON-}" ]; then
		echo "wrappers.sh: $1" >&2
		exit 1
	fi
	echo "not tried: $1" >&2
}

# version WHAT COMMAND...: the command prints the version of the release.
want=$(sed -n 's/.*composer-api_\(.*\)_linux_amd64\.tar\.gz$/v\1/p' "$dist/checksums.txt")
version() {
	local what=$1 said
	shift
	said=$("$@")
	case $said in
	"composer-api $want (commit "*) echo "$what: composer-api $want runs" ;;
	*)
		echo "wrappers.sh: $what: printed \"$said\" instead of version $want" >&2
		exit 1
		;;
	esac
}

case $(uname -sm) in
"Linux x86_64") platform=linux-x64 tag=manylinux_2_17_x86_64 ;;
"Linux aarch64") platform=linux-arm64 tag=manylinux_2_17_aarch64 ;;
"Darwin x86_64") platform=darwin-x64 tag=macosx_12_0_x86_64 ;;
"Darwin arm64") platform=darwin-arm64 tag=macosx_12_0_arm64 ;;
*) platform=none tag=none ;;
esac

if command -v npm >/dev/null; then
	mkdir "$temporary/packed" "$temporary/project"
	for package in composer-api "$platform"; do
		(cd "$temporary/packed" && npm pack --silent "$dist/npm/$package" >/dev/null)
	done
	# The tarballs as files, because the registry doesn't have this version. Optional dependencies can't be left to npm for the
	# same reason: it would look for the other systems'.
	echo '{"private":true}' >"$temporary/project/package.json"
	(cd "$temporary/project" && npm install --silent --offline --no-audit --no-fund --omit=optional "$temporary"/packed/*.tgz)
	version npm "$temporary/project/node_modules/.bin/composer-api" version
	# What is sent to the launcher reaches the program, and its exit code comes back.
	if "$temporary/project/node_modules/.bin/composer-api" no-such-command >/dev/null 2>&1; then
		echo "wrappers.sh: npm: a wrong command succeeded" >&2
		exit 1
	fi
	# What npm has installed is npm's: 'upgrade' says so.
	version npx npm exec --offline --prefix "$temporary/project" -- composer-api version
else
	cannot "the packages for npm: there is no npm"
fi

wheel=$(echo "$dist"/wheels/*"$tag"*.whl)
python=$(command -v python3 || command -v python || true)
if [ -n "$python" ] && "$python" -m venv "$temporary/venv" 2>/dev/null; then
	"$temporary/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index "$wheel"
	version pip "$temporary/venv/bin/composer-api" version
else
	cannot "the wheel with pip: there is no Python with venv"
fi
uv=$(command -v uv || ls .cache/uv/bin/uv 2>/dev/null || true)
if [ -z "$uv" ] && [ -n "$python" ] && "$python" -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv; then
	uv=.cache/uv/bin/uv
fi
if [ -n "$uv" ]; then
	version uvx env UV_CACHE_DIR="$temporary/uv" "$uv" tool run --quiet --offline --from "$wheel" composer-api version
else
	cannot "the wheel with uv: it is not installed"
fi
