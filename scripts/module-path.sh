#!/usr/bin/env bash
# Gives the module the path of its home, so that go install finds it there:
#
#   scripts/module-path.sh HOST/OWNER/composer-api
#
# It changes the go.mod files, the import paths, the linker's flags and whatever else names a package by its import path, and
# commits nothing. Run make golden and make check behind it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 1 ] || {
	echo "usage: $0 HOST/OWNER/composer-api" >&2
	exit 2
}
new=$1
old=composer-api

[ -z "$(git status --porcelain)" ] || { echo "module-path.sh: there are changes that are not committed" >&2; exit 1; }
# 1. Module names: composer-api, composer-api/tools, composer-api/conformance, ….
git ls-files '*go.mod' go.mod | sort -u | while read -r mod; do
	sed -i -E "s#^module $old(/|\$)#module $new\1#; s#^(require |	)$old( |/)#\1$new\2#; s#^replace $old( |/)#replace $new\1#" "$mod"
done
# 2. Import paths, in quotation marks (Go files, and scripts that search for them), and -X and go:generate and proto options.
git ls-files | grep -v -e '^\.git/' -e '/testdata/' -e 'package-lock' | { xargs grep -lIE "$old/(internal|tools|conformance|cmd|bench|docs|web)\b" || true; } | while read -r file; do
	sed -i -E "s#(^|[\"'\` =(|])$old/(internal|tools|conformance|bench|docs|web)\b#\1$new/\2#g; s#\"$old/cmd#\"$new/cmd#g" "$file"
done
git grep -l '"composer-api/"' -- '*.go' | xargs -r sed -i "s#\"$old/\"#\"$new/\"#g"
sed -i "s#module=$old\"#module=$new\"#" tools/protogen/main.go
# 3. Golden files that name the module's packages.
git ls-files | grep '/testdata/' | { xargs -r grep -lIE "(^|[\"' (])$old/internal/" || true; } | while read -r file; do
	sed -i -E "s#(^|[\"' (])$old/internal/#\1$new/internal/#g" "$file"
done
# 4. The generated messages have the path of their package in their descriptors, with its length.
go generate ./internal/cursor/pb/...
gofmt -l $(git diff --name-only -- '*.go')
git diff --shortstat
