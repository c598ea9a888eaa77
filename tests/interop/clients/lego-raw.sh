#!/usr/bin/env bash
# lego-raw.sh NAME...: lego that gives its hook the domain and the key authorization.
EXEC_MODE=RAW exec "$(dirname "$0")/lego.sh" "$@"
