#!/usr/bin/env bash
# certbot.sh NAME...: leaves $CLIENT_DIR/fullchain.pem. CERTBOT_WAY is how it answers challenges; without: by the hook.
set -euo pipefail
read -ra way <<<"${CERTBOT_WAY:---manual --manual-auth-hook $ACME_HOOK --manual-cleanup-hook $ACME_HOOK --preferred-challenges dns}"
names=()
for name; do names+=(-d "$name"); done

# certbot (its requests) has a bundle of its own in some builds, so name ours.
REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt certbot certonly --non-interactive --agree-tos --no-eff-email \
    -m hostmaster@example.com --server "$ACME_DIRECTORY" \
    --config-dir "$CLIENT_DIR/config" --work-dir "$CLIENT_DIR/work" --logs-dir "$CLIENT_DIR/logs" \
    "${way[@]}" --cert-name interop "${names[@]}"
cp "$CLIENT_DIR/config/live/interop/fullchain.pem" "$CLIENT_DIR/fullchain.pem"
