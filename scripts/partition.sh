#!/bin/sh
# Runs a command in a network of its own, in which PostgreSQL's server lies behind a router that can be made to drop every
# packet:
#
#   the command ── router ── PostgreSQL
#
#   scripts/partition.sh with scripts/postgres.sh with go test ./...
#
# COMPOSER_TEST_NETWORK_CTL is a program that takes one word: cut makes the router drop what comes, without a word to
# anybody, and heal ends that. The networks are namespaces, which the kernel clears away with their last process. Where
# they can't be made, this says why and does nothing: they take root (of a container), iproute2 and util-linux.
set -eu

[ "${1-}" = with ] && [ $# -ge 2 ] || {
	echo "usage: $0 with COMMAND [ARGUMENT...]" >&2
	exit 2
}

if [ -z "${COMPOSER_TEST_IN_NETWORK-}" ]; then
	skip() {
		echo "$0: no network is cut: $1" >&2
		exit 0
	}
	if [ "$(id -u)" = 0 ] && ! command -v ip >/dev/null && command -v apt-get >/dev/null; then
		(export DEBIAN_FRONTEND=noninteractive && apt-get update -q && apt-get install -q -y --no-install-recommends iproute2) >&2 || true
	fi
	for program in ip unshare nsenter pgrep; do
		command -v "$program" >/dev/null || skip "there is no program $program"
	done
	unshare --net sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' 2>/dev/null || skip "this system lets us make no network namespace, or no router in it"
	unshare --net ip link add a0 type veth peer name a1 2>/dev/null || skip "this kernel has no virtual Ethernet"
	COMPOSER_TEST_IN_NETWORK=1 exec unshare --net "$0" "$@"
fi
shift

router= server=
trap 'kill $router $server 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
unshare --net sleep 900 & # what comes to an end by itself, whatever happens to us
router=$!
unshare --net sleep 900 &
server=$!
mine=$(readlink /proc/$$/ns/net)
for pid in $router $server; do
	until [ "$(readlink "/proc/$pid/ns/net")" != "$mine" ]; do sleep 0.02; done
done

ip link set lo up
ip link add a0 type veth peer name a1 netns "$router"
ip address add 10.77.1.1/24 dev a0
ip link set a0 up
ip route add 10.77.2.0/24 via 10.77.1.2
nsenter -t "$router" -n sh -euc "
	ip link set lo up
	ip address add 10.77.1.2/24 dev a1
	ip link set a1 up
	ip link add b0 type veth peer name b1 netns $server
	ip address add 10.77.2.1/24 dev b0
	ip link set b0 up
	echo 1 >/proc/sys/net/ipv4/ip_forward"
nsenter -t "$server" -n sh -euc "
	ip link set lo up
	ip address add 10.77.2.2/24 dev b1
	ip link set b1 up
	ip route add default via 10.77.2.1"

ctl=$(mktemp "${TMPDIR:-/tmp}/composer-network.XXXXXX")
trap 'kill $router $server 2>/dev/null || true; rm -f "$ctl"' EXIT
cat >"$ctl" <<END
#!/bin/sh
set -eu
case \$1 in
cut) forward=0 ;;
heal) forward=1 ;;
esac
exec nsenter -t $router -n sh -c "echo \$forward >/proc/sys/net/ipv4/ip_forward"
END
chmod 700 "$ctl"

export COMPOSER_TEST_NETWORK_CTL="$ctl" COMPOSER_TEST_POSTGRES_ENTER="nsenter -t $server -n" COMPOSER_TEST_POSTGRES_ADDRESS=10.77.2.2
"$@"
