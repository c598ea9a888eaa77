#!/usr/bin/env bash
# dehydrated-chain.sh NAME...: dehydrated that calls its hook once for all challenges.
HOOK_CHAIN=yes exec "$(dirname "$0")/dehydrated.sh" "$@"
