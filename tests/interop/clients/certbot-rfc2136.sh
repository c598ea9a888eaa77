#!/usr/bin/env bash
# certbot-rfc2136.sh NAME...: certbot's plugin follows no CNAME. It wants a zone named _acme-challenge.NAME, which txtgate is for
# the key of an account that has this alias.
set -euo pipefail
read -r key secret < <("$(dirname "$0")/../tsig-key" "$1")
"$TXTGATE" --config "$TXTGATE_CONFIG" account alias add "$(jq -er --arg domain "$1" '.[$domain].username' "$TXTGATE_ACCOUNTS")" \
    "_acme-challenge.$1"
umask 077
cat >"$CLIENT_DIR/rfc2136.ini" <<END
dns_rfc2136_server = $TXTGATE_DNS
dns_rfc2136_name = $key
dns_rfc2136_secret = $secret
dns_rfc2136_algorithm = HMAC-SHA256
END
CERTBOT_WAY="--dns-rfc2136 --dns-rfc2136-credentials $CLIENT_DIR/rfc2136.ini --dns-rfc2136-propagation-seconds 1" \
    exec "$(dirname "$0")/certbot.sh" "$@"
