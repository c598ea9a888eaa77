#!/usr/bin/env bash
# lego-httpreq.sh NAME...: lego that asks txtgate over HTTP, without a plugin and without a hook.
export HTTPREQ_ENDPOINT=$TXTGATE_URL HTTPREQ_POLLING_INTERVAL=1
HTTPREQ_USERNAME=$(jq -er --arg domain "$1" '.[$domain].username' "$TXTGATE_ACCOUNTS") || exit
HTTPREQ_PASSWORD=$(jq -er --arg domain "$1" '.[$domain].password' "$TXTGATE_ACCOUNTS") || exit
export HTTPREQ_USERNAME HTTPREQ_PASSWORD
LEGO_DNS=httpreq exec "$(dirname "$0")/lego.sh" "$@"
