#!/bin/sh
# Builds the image of deploy/container/Dockerfile on a machine without a container engine, and runs it: as the user that it
# names, with the entry point and the command that it has, until /healthz answers and the database is there.
#
# Buildah does that without a daemon, in a chroot; Debian's package is installed when it is missing. The images that the
# Dockerfile begins with are not fetched. Stand-ins take their names: Go's own folder and BusyBox for golang, and for
# distroless the few files that it has. So what is tried is the Dockerfile and its result, and not those images, nor other
# architectures, nor the target "bridge". It needs root, and Go's caches are used.
set -eu
cd "$(dirname "$0")/.."

die() {
	echo "$0: $1" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || die "it takes root (of a container) to unpack images"
if ! command -v buildah >/dev/null || ! command -v busybox >/dev/null; then
	command -v apt-get >/dev/null || die "there is no buildah or no busybox"
	(export DEBIAN_FRONTEND=noninteractive && apt-get update -q && apt-get install -q -y --no-install-recommends buildah busybox-static) >&2
fi

dockerfile=deploy/container/Dockerfile
work=$(mktemp -d "${TMPDIR:-/tmp}/composer-image.XXXXXX")
server= # buildah run
# In a chroot there is no network of its own, so the port is one of this machine's.
address=127.0.0.1:$((20000 + $$ % 20000))

# process prints the gateway's own process, which outlives Buildah's when that is killed.
process() {
	pgrep -f '^/usr/local/bin/composer-api serve' | while read -r pid; do
		tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "COMPOSER_ADDR=$address" && echo "$pid"
	done | head -n 1
}

# end leaves nothing behind. Buildah's own folders hold mounts.
end() {
	trap - EXIT INT TERM
	if [ -n "$server" ]; then
		for pid in $(process) "$server"; do kill "$pid" 2>/dev/null || true; done
		wait "$server" 2>/dev/null || true
	fi
	b umount --all >/dev/null 2>&1 || true
	rm -rf "$work" || true
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

b() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

# name prints the image that the Dockerfile's stage begins with.
name() { sed -n "s/^FROM \(.* \)*\([^ ]*$1[^ ]*\) AS .*/\2/p" "$dockerfile" | head -n 1; }

# certificates puts those of the authorities where both images have them.
certificates() {
	mkdir -p "$1/etc/ssl/certs"
	cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

golang=$(name golang)
c=$(b from scratch)
root=$(b mount "$c")
mkdir -p "$root/bin" "$root/tmp" "$root/root" "$root/usr/local" "$root/go"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
cp -a "$(go env GOROOT)" "$root/usr/local/go"
certificates "$root"
b config --env PATH=/usr/local/go/bin:/bin --env GOPATH=/go --env HOME=/root --env GOTOOLCHAIN=local --env "GOPROXY=$(go env GOPROXY)" --env "GOSUMDB=$(go env GOSUMDB)" "$c"
b commit -q --rm "$c" "docker.io/library/$golang" >/dev/null

c=$(b from scratch)
root=$(b mount "$c")
mkdir -p "$root/etc" "$root/home/nonroot" "$root/tmp" "$root/usr/share"
chmod 1777 "$root/tmp"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
certificates "$root"
b config --user 65532 --workingdir /home/nonroot --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt --env PATH=/usr/local/bin:/bin "$c"
b commit -q --rm "$c" "$(name distroless)" >/dev/null

# What is committed, and not what lies about.
mkdir "$work/context"
git archive HEAD | tar -x -C "$work/context"
b bud --isolation chroot --pull-never --build-arg VERSION=image-test --build-arg TARGETOS=linux --build-arg "TARGETARCH=$(go env GOARCH)" \
	--volume "$(go env GOMODCACHE):/go/pkg/mod" --volume "$(go env GOCACHE):/root/.cache/go-build" \
	--file "$work/context/$dockerfile" --tag composer-api "$work/context" >&2

config() { b inspect --type image --format "{{.OCIv1.Config.$1}}" composer-api; }
echo "user $(config User), entry point $(config Entrypoint), command $(config Cmd), ports $(config ExposedPorts), volumes $(config Volumes)"
[ "$(config User)" = 65532:65532 ] || die "it runs as another user"

c=$(b from --pull-never composer-api)
root=$(b mount "$c")
[ ! -e "$root/bin/sh" ] || die "there is a shell in it"
echo "files $(find "$root" -type f | wc -l), of which the program has $(($(stat -c %s "$root/usr/local/bin/composer-api") >> 20)) MB; $(b run --isolation chroot "$c" -- /usr/local/bin/composer-api version | head -n 1)"

words() { config "$1" | tr -d '[]'; }
# shellcheck disable=SC2046 # the entry point and the command are words
b run --isolation chroot --env "COMPOSER_ADDR=$address" "$c" -- $(words Entrypoint) $(words Cmd) >"$work/said" 2>&1 &
server=$!
tries=0
until answer=$(curl -sf "http://$address/healthz"); do
	tries=$((tries + 1))
	[ "$tries" -lt 300 ] && kill -0 "$server" 2>/dev/null || die "it does not answer: $(cat "$work/said")"
	sleep 0.1
done
gateway=$(process)
[ -n "$gateway" ] || die "its process is not to be seen"
[ "$(awk '/^Uid:/ {print $3}' "/proc/$gateway/status")" = 65532 ] || die "it runs as root"
[ -s "/proc/$gateway/root/var/lib/composer-api/composer.db" ] || die "there is no database in its volume"
echo "healthz $answer, as the user 65532, with its database in the volume"
kill -TERM "$gateway"
status=0
wait "$server" || status=$?
server=
[ "$status" = 0 ] || die "it ended with $status: $(cat "$work/said")"
echo "ended well when it was told to"
