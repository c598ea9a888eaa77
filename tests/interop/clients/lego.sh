#!/usr/bin/env bash
# lego.sh NAME...: leaves $CLIENT_DIR/fullchain.pem. lego's own propagation checks are on: it follows the CNAME, finds the
# zone's NS and wants the value from each of them on port 53 before it calls the CA; strace notes whom it asks.
set -euo pipefail
names=()
for name; do names+=(-d "$name"); done

EXEC_PATH=$ACME_HOOK EXEC_POLLING_INTERVAL=1 EXEC_PROPAGATION_TIMEOUT=30 EXEC_SEQUENCE_INTERVAL=1 \
    strace -f -qq -e trace=connect -o "$CLIENT_DIR/connects" lego --path "$CLIENT_DIR/lego" --server "$ACME_DIRECTORY" --accept-tos --email hostmaster@example.com \
    --dns "${LEGO_DNS:-exec}" "${names[@]}" run
cp "$CLIENT_DIR/lego/certificates/$1.crt" "$CLIENT_DIR/fullchain.pem"
