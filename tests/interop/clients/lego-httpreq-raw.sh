#!/usr/bin/env bash
# lego-httpreq-raw.sh NAME...: the same with the key authorization, of which txtgate makes the value.
HTTPREQ_MODE=RAW exec "$(dirname "$0")/lego-httpreq.sh" "$@"
