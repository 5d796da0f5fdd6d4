#!/bin/sh
# Installs the Python clients: those of python/requirements.txt into .cache/python, and instructor, aider and Schemathesis, which want other
# versions of what they need, into .cache/python-instructor, -aider and -schemathesis; once for each version of those files, unless they are there
# already. It speaks to standard error only and never fails: where Python 3.11 or the packages can't be had, the tests of
# those clients are skipped (they fail when COMPOSER_TEST_REQUIRE_PYTHON is set).
cd "$(dirname "$0")" || exit 0
exec >&2

# install VENV REQUIREMENTS
install() {
	venv=$1
	stamp=$venv/.installed
	if cmp -s "$2" "$stamp" && "$venv/bin/python" -c ''; then
		return
	fi
	if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		give_up "there is no Python 3.11 or newer, which the clients want"
	elif ! with_uv "$2" && ! with_pip "$2"; then
		give_up "the Python packages of $2 can't be installed"
	elif ! cp "$2" "$stamp"; then
		give_up "$stamp can't be written"
	fi
}

# Wheels alone, which there are for the usual platforms. Python compiles what is imported when it is; to compile the rest,
# too, would take twice the time. A registry that doesn't answer is given up after seconds.
#
# uv takes a sixth of pip's time, but doesn't know of pip's settings: where it can't do it, pip may.
uv=.cache/uv/bin/uv
with_uv() {
	[ -x "$uv" ] && rm -rf "$venv" && python3 -m venv --without-pip "$venv" &&
		UV_HTTP_TIMEOUT=15 "$uv" pip install --quiet --no-cache --python "$venv/bin/python" --only-binary :all: -r "$1"
}
with_pip() {
	rm -rf "$venv"
	python3 -m venv "$venv" &&
		"$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-compile --retries 1 --timeout 15 -r "$1"
}

# give_up REASON: an installation that is not whole is worse than none.
give_up() {
	rm -rf "$venv"
	echo "python.sh: $1; tests of Python clients will be skipped"
}

# Side by side: most of it is waiting for the registry.
install .cache/python python/requirements.txt &
install .cache/python-instructor python/instructor.txt &
install .cache/python-aider python/aider.txt &
install .cache/python-schemathesis python/schemathesis.txt &
wait
exit 0
