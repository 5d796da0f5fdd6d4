#!/usr/bin/env bash
# make simulate: the seeds are parted among as many processes as there are processors, for each simulation uses one. It ends when
# one of them has found a seed that breaks a law, and prints that one's story.
#
#	scripts/simulate.sh SEEDS FIRST [PROCESSES]
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=$1 first=$2 processes=${3:-$(nproc)}
out=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$out"' EXIT
go test -c -o "$out/simtest" ./internal/simtest

cd internal/simtest
each=$(( (seeds + processes - 1) / processes ))
for ((i = 0; i < processes; i++)); do
	# A process chooses each of its seeds among three: see candidates in situations_test.go.
	"$out/simtest" -test.timeout 24h -test.run 'TestSimulate$' -seeds "$each" -first $((first + i * each * 3)) > "$out/$i" 2>&1 &
	pids[i]=$!
done
for ((i = 0; i < processes; i++)); do
	if ! wait -n -p ended "${pids[@]}"; then
		for ((j = 0; j < processes; j++)); do
			[ "${pids[j]:-}" = "$ended" ] && cat "$out/$j"
		done
		exit 1
	fi
	for ((j = 0; j < processes; j++)); do
		[ "${pids[j]:-}" = "$ended" ] && unset "pids[j]"
	done
done
cat "$out"/[0-9]* | awk '
	/^ *[0-9]+  / { n = $1; $1 = ""; met[$0] += n; next }
	/ seeds in /  { print }
	END           { for (s in met) printf "%8d %s\n", met[s], s | "sort -rn" }'
