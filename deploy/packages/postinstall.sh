#!/bin/sh
# After the package was installed or upgraded. The service is not enabled: whoever wants a gateway for the machine types
# 'systemctl enable --now composer-api'. One that runs goes on with the new program.
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
systemctl try-restart composer-api.service || true
