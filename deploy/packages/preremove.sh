#!/bin/sh
# Before the package is removed, or upgraded: dpkg says "upgrade", rpm how many versions stay, apk nothing.
[ -d /run/systemd/system ] || exit 0
case "${1-}" in
upgrade | 1) ;;
*) systemctl disable --now composer-api.service || true ;;
esac
