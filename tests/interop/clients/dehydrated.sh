#!/usr/bin/env bash
# dehydrated.sh NAME...: leaves $CLIENT_DIR/fullchain.pem.
set -euo pipefail
cat >"$CLIENT_DIR/config" <<END
CA=$ACME_DIRECTORY
BASEDIR=$CLIENT_DIR
CHALLENGETYPE=dns-01
HOOK=$ACME_HOOK
HOOK_CHAIN=${HOOK_CHAIN:-no}
KEY_ALGO=prime256v1
CONTACT_EMAIL=hostmaster@example.com
END
names=()
for name; do names+=(-d "$name"); done
dehydrated -f "$CLIENT_DIR/config" --register --accept-terms
dehydrated -f "$CLIENT_DIR/config" --cron "${names[@]}"
cp "$CLIENT_DIR/certs/$1/fullchain.pem" "$CLIENT_DIR/fullchain.pem"
