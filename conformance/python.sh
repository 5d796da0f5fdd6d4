#!/bin/sh
# Installs the Python clients of python/requirements.txt into .cache/python, once for each version of that file, unless
# they are there already. It speaks to standard error only and never fails: where Python 3.11 or the packages can't be
# had, the tests of those clients are skipped (they fail when COMPOSER_TEST_REQUIRE_PYTHON is set).
cd "$(dirname "$0")" || exit 0
exec >&2

venv=.cache/python
stamp=$venv/.installed
if cmp -s python/requirements.txt "$stamp" && "$venv/bin/python" -c ''; then
	exit 0
fi

# give_up REASON: an installation that is not whole is worse than none.
give_up() {
	rm -rf "$venv"
	echo "python.sh: $1; the tests of the Python clients will be skipped"
	exit 0
}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || give_up "there is no Python 3.11 or newer, which the clients want"
rm -rf "$venv"
python3 -m venv "$venv" || give_up "python3 can't make a virtual environment"
# Wheels alone, which there are for the usual platforms. Python compiles what is imported when it is; to compile the
# rest, too, would take twice the time. A registry that doesn't answer is given up after seconds.
"$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-compile --retries 1 --timeout 15 \
	-r python/requirements.txt || give_up "the Python packages can't be installed"
cp python/requirements.txt "$stamp" || give_up "$stamp can't be written"
