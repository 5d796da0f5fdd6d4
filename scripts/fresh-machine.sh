#!/usr/bin/env bash
# From "the binary is there" to a tool loop in OpenCode, on a machine that has nothing else, typed as a person would: a Debian
# of the smallest kind (debootstrap --variant=minbase) in a chroot, in namespaces of its own without a network. A simulator
# stands in Cursor's place. Writes what the two terminals showed to docs/fresh-machine.md.
#
# Needs Linux, root, Go, and OpenCode (conformance/install.sh); debootstrap and tmux it installs by apt. FRESH_ROOT names a folder
# for the Debian, which is kept and used again; without it, one is made and removed.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1-}" != inside ]; then
	[ "$(id -u)" = 0 ] || { echo "fresh-machine.sh: needs root, for a chroot" >&2; exit 1; }
	for program in debootstrap tmux; do
		command -v $program >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $program >/dev/null
	done
	make -s build
	root=${FRESH_ROOT-}
	if [ -z "$root" ]; then
		root=$(mktemp -d)
		trap 'rm -rf "$root"' EXIT
	fi
	[ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$root" >&2
	if [ ! -d "$root/home/you" ]; then chroot "$root" useradd -m -s /bin/bash you; fi
	find "$root/home/you" -mindepth 1 -delete
	install -o 1000 -g 1000 bin/composer-api "$root/home/you/composer-api"
	install conformance/node_modules/opencode-linux-*/bin/opencode "$root/usr/local/bin/opencode"
	# Everything inside ends with the first process there.
	unshare --net --mount --pid --fork --kill-child scripts/fresh-machine.sh inside "$root"
	exit
fi

root=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ip link set lo up
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t proc proc /proc

# What the simulated model says: a title where no tools are, the word for 'setup verify', and the task.
home=/home/you
cat >"$work/script" <<SCRIPT
turn always when not tools
text A spelling mistake
turn always when prompt "cat word.txt"
call bash {"command":"cat word.txt","description":"Shows the word"}
text The word is {result 1}
turn
say I look at the note first.
call read {"filePath":"$home/project/note.txt"}
call edit {"filePath":"$home/project/note.txt","oldString":"wrold","newString":"world"}
call bash {"command":"cat note.txt","description":"Shows the note"}
say Corrected: {result 3}
SCRIPT
bin/composer-api sim --addr 127.0.0.1:8790 --seed 7 --script "$work/script" >"$work/sim" 2>&1 &
until grep -q '^# ready' "$work/sim"; do sleep 0.1; done

# A terminal is a window of a tmux of our own. Its prompt is how we know that a command has ended.
screen() { tmux -S "$work/tmux" "$@"; }
terminal() { # NAME: its variables point at the simulator, and keep OpenCode from waiting for a network that is not there
	cat >"$work/$1.sh" <<-SHELL
		exec env -i HOME=/home/you USER=you TERM=screen LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin CURSOR_API_BASE=http://127.0.0.1:8790 \\
			CURSOR_BACKEND_BASE_URL=http://127.0.0.1:8790 CURSOR_LOCAL_AGENT_ENDPOINT=/agent.v1.AgentService/Run COMPOSER_UPSTREAM=localagent \\
			OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_LSP_DOWNLOAD=1 OPENCODE_DISABLE_DEFAULT_PLUGINS=1 \\
			$(command -v chroot) --userspec=you "$root" bash -c 'cd; PS1="\$ " exec bash --norc -i'
	SHELL
	screen -f /dev/null new-session -d -s "$1" -x 150 -y 400 sh "$work/$1.sh"
	await "$1" '^\$ *$'
}
shown() { screen capture-pane -p -t "$1" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'; }
await() { # NAME PATTERN: until the last line that is shown matches; six minutes at most, one more than 'setup verify' may take
	for _ in $(seq 1800); do
		if shown "$1" | tail -n 1 | grep -q "$2"; then return; fi
		sleep 0.2
	done
	echo "fresh-machine.sh: the terminal $1 does not show $2 but" >&2
	shown "$1" >&2
	exit 1
}
typed() { # NAME TEXT [PATTERN]: types a line, and waits for the prompt or for another last line
	screen send-keys -t "$1" -l "$2"
	screen send-keys -t "$1" Enter
	sleep 0.5 # until the line is no longer the last one
	await "$1" "${3-^\\$ *$}"
}

terminal first
typed first 'ls -l'
typed first './composer-api --version'
typed first './composer-api serve' '.'
sleep 3
# Without a key it serves all the same; a person would now stop it, and give it one.
screen send-keys -t first C-c
await first '^\$ *$'
typed first 'export CURSOR_API_KEY=crsr_the_key_from_the_dashboard'
typed first './composer-api serve' 'next '

terminal second
typed second './composer-api setup' '\[y/N\]'
typed second 'y'
typed second './composer-api setup verify opencode'
typed second 'mkdir project && cd project && echo "Hello, wrold." >note.txt'
typed second 'opencode run "Correct the spelling in note.txt."'
typed second 'cat note.txt'
typed second '../composer-api status'
typed second '../composer-api setup undo opencode' '\[y/N\]'
typed second 'y'
screen send-keys -t first C-c
await first '^\$ *$'

{
	cat <<-'HEAD'
		# A fresh machine

		What a person sees who has a Debian of the smallest kind, the binary, and OpenCode, from the first command to a tool loop. `scripts/fresh-machine.sh` has typed it and written this page: in a chroot that
		`debootstrap --variant=minbase` has made, without a network, with the simulator in Cursor's place (`CURSOR_API_BASE` and its like name it; with Cursor itself they are not set). The home folder is written `~`.

		The first terminal:

		```
	HEAD
	shown first | sed -e '$d' -e "s|$home|~|g"
	printf '```\n\nThe second one, while the gateway runs:\n\n```\n'
	shown second | sed -e '$d' -e "s|$home|~|g"
	printf '```\n'
} >docs/fresh-machine.md
