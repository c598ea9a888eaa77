#!/usr/bin/env bash
# uacme.sh NAME...: leaves $CLIENT_DIR/fullchain.pem.
set -euo pipefail
uacme=(uacme -v -a "$ACME_DIRECTORY" -c "$CLIENT_DIR/uacme")
"${uacme[@]}" -y new hostmaster@example.com
"${uacme[@]}" -t EC -h "$ACME_HOOK" issue "$@"
cp "$CLIENT_DIR/uacme/$1/cert.pem" "$CLIENT_DIR/fullchain.pem"
