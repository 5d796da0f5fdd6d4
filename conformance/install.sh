#!/bin/sh
# Installs Node 22 and the clients of package.json below this folder, unless they are there already, and prints the
# folder that must be first on PATH to run them. Needs npm, which it installs as a Debian package when it is missing; so
# it does with Chromium, for the tests of the pages.
set -eu
cd "$(dirname "$0")"

# As npm's packages name this machine: linux-x64, darwin-arm64.
case $(uname -m) in
x86_64 | amd64) arch=x64 ;;
aarch64 | arm64) arch=arm64 ;;
*) arch=$(uname -m) ;;
esac
platform=$(uname -s | tr '[:upper:]' '[:lower:]')-$arch

if ! command -v npm >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "install.sh: there is no npm; hint: install Node.js, which brings it (your system's package nodejs)" >&2
		exit 1
	fi
	apt-get update -qq >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nodejs npm >&2
fi

# installed FOLDER: whether the packages of its lock file are there.
installed() { cmp -s "$1/package-lock.json" "$1/node_modules/.installed"; }

# install FOLDER: the packages of its lock file, once for each version of that. Not `npm ci`: it refuses a lock file
# that lacks the optional packages of other platforms.
install() {
	if ! installed "$1"; then
		(cd "$1" && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 --fetch-retry-mintimeout=1000) >&2 || {
			echo "install.sh: npm could not install the clients of conformance/$1; what it says stands above" >&2
			exit 1
		}
		cp "$1/package-lock.json" "$1/node_modules/.installed"
	fi
}

if ! installed node || ! installed . || ! installed agents || ! installed setup || ! installed browser; then
	# A large package may take minutes, so npm waits for long; whether the registry answers at all is known within seconds.
	npm view zod version --loglevel=error --fetch-retries=0 --fetch-timeout=10000 >/dev/null || {
		echo "install.sh: npm's registry does not answer; what npm says stands above. Tests without the real clients: make test-quick" >&2
		exit 1
	}
	echo "install.sh: getting Node 22 and the real clients: about 2 GB of npm's packages and 1.4 GB of Python's, once" >&2
fi

# What is written in Python, beside npm's packages: most of the time goes by in waiting for registries.
python() {
	# uv, by which the bridge can be installed, too. Where it can't be had, the test of that is skipped.
	if [ ! -x .cache/uv/bin/uv ]; then
		rm -rf .cache/uv
		python3 -m venv .cache/uv && .cache/uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9 ||
			echo "install.sh: uv can't be installed; its test will be skipped"
	fi
	./python.sh & # the clients; where they can't be had, their tests are skipped
	# Cursor publishes its SDK from 1.1.0 on only inside this Python package, with a Node of its own. The package is
	# installed without what it needs in Python, which the other clients bring. Where it can't be had, its test is skipped.
	sdk=.cache/cursor-sdk-1.1.0
	if [ ! -e "$sdk/.installed" ]; then
		rm -rf "$sdk"
		if python3 -m venv "$sdk" && "$sdk/bin/pip" install --quiet --no-deps cursor-sdk==1.1.0; then
			touch "$sdk/.installed"
		else
			echo "install.sh: the Python package cursor-sdk 1.1.0 can't be installed; its test will be skipped"
		fi
	fi
	wait
}
python >&2 &
python=$!

install node
node=$(ls -d "$PWD"/node/node_modules/node-*"$platform"/bin 2>/dev/null | head -n 1)
[ -x "$node/node" ] || {
	echo "install.sh: npm has no Node 22 for $platform" >&2
	exit 1
}
PATH="$node:$PATH"
export PATH
install . &
clients=$!
install agents & # hundreds of small packages
agents=$!
install setup & # those that only the tests of `composer-api setup` drive
setup=$!
install browser & # what drives Chromium
browser=$!
wait "$clients" && wait "$agents" && wait "$setup" && wait "$browser" || {
	wait
	exit 1
}

# The schema of VS Code's own models lies in a package of Microsoft's that needs hundreds of MB of others: it alone is taken.
# Where it can't be had, its test is skipped.
vscode=.cache/vscode-chat-lib-0.66.0
if [ ! -e "$vscode/.installed" ]; then
	rm -rf "$vscode"
	mkdir -p "$vscode"
	if npm pack --silent --pack-destination "$vscode" @vscode/chat-lib@0.66.0 >&2 && tar -xzf "$vscode"/vscode-chat-lib-0.66.0.tgz -C "$vscode"; then
		rm "$vscode"/*.tgz
		touch "$vscode/.installed"
	else
		echo "install.sh: the npm package @vscode/chat-lib 0.66.0 can't be had; the test of VS Code's file will be skipped" >&2
	fi
fi

# Chromium. Where it can't be had, the tests of the pages are skipped.
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >&2 || true
	fi
	command -v chromium >/dev/null || echo "install.sh: there is no Chromium and it can't be installed; the tests of the pages will be skipped" >&2
fi
wait "$python"
echo "$node"
