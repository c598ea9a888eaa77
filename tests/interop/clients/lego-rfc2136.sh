#!/usr/bin/env bash
# lego-rfc2136.sh NAME...: lego that sends signed DNS UPDATEs; it follows the CNAME to the name that it updates.
read -r RFC2136_TSIG_KEY RFC2136_TSIG_SECRET < <("$(dirname "$0")/../tsig-key" "$1") || exit
export RFC2136_TSIG_KEY RFC2136_TSIG_SECRET RFC2136_TSIG_ALGORITHM=hmac-sha256. RFC2136_NAMESERVER=$TXTGATE_DNS
export RFC2136_POLLING_INTERVAL=1 RFC2136_SEQUENCE_INTERVAL=1
LEGO_DNS=rfc2136 exec "$(dirname "$0")/lego.sh" "$@"
