#!/usr/bin/env bash
# acmetool.sh NAME...: leaves $CLIENT_DIR/fullchain.pem.
set -euo pipefail
state=$CLIENT_DIR/state hooks=$CLIENT_DIR/hooks
mkdir -p "$state/conf" "$hooks"
ln -s "$ACME_HOOK" "$hooks/txtgate-hook"
cat >"$state/conf/target" <<END
request:
  provider: $ACME_DIRECTORY
  challenge:
    http-self-test: false
    http-ports: ["127.0.0.1:4402"]
END
# The second is what pebble calls its terms.
cat >"$state/conf/responses" <<END
"acme-enter-email": "hostmaster@example.com"
"acme-agreement:data:text/plain,Do%20what%20thou%20wilt": true
END
acmetool --state "$state" --hooks "$hooks" --batch --xlog.severity=debug want "$@"
cp "$state/live/$1/fullchain" "$CLIENT_DIR/fullchain.pem"
