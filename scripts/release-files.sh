#!/bin/sh
# Makes the files of a release that are not in the repository as they are, in .cache/release: the manual page compressed, the
# unit with the program where packages put it, and the packages' scripts with the time of the commit, because an apk has that of
# the file. GoReleaser runs it.
set -eu
cd "$(dirname "$0")/.."

mkdir -p .cache/release
gzip -9 -n <docs/composer-api.1 >.cache/release/composer-api.1.gz # -n: without a time
sed 's|/usr/local/bin/composer-api|/usr/bin/composer-api|; /^#\tinstall/d; /^#\tcp/d' deploy/systemd/composer-api.service >.cache/release/composer-api.service

cp deploy/packages/postinstall.sh deploy/packages/preremove.sh .cache/release/
TZ=UTC touch -t "$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y%m%d%H%M.%S)" .cache/release/*.sh
