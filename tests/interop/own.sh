#!/usr/bin/env bash
# own.sh WORK-FOLDER TXTGATE-BINARY: the daemon gets its API's certificate itself, started by `run --own`. The same lab;
# pebble refuses nonces and reuses authorizations as it does by default.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/vantage.sh"

validity=20 # seconds: it is renewed after 13

# config ZONE NS STATE [LINE...]: more lines for [acme].
config() {
    local zone=$1 ns=$2 state=$3; shift 3
    cat <<END
[dns]
listen = ["$txtgate_dns:53"]
[api]
listen = ["$txtgate_dns:443"]
registration = "closed"
[api.tls]
mode = "acme"
$(acme_settings "$state" "$@")
[metrics]
listen = ["${metrics#http://}"]
$(zone_settings "$zone" "$ns")
END
}

# pebble_with MEMBERS: as it is by default, but for its sleeps.
pebble_with() { pebble_up "\"certificateValidityPeriod\": $validity${1:+, $1}"; }

report() { txtgate status --json | jq -r ".certificates.api.$1"; }
says() { report problem | tee -a "$work/checks.log" | grep -qF "$1"; }

# verified: the name, the chain to pebble's root and the times, over a new connection.
verified() { curl -sf --cacert "$work/root.pem" --resolve "$zone:443:$txtgate_dns" "https://$zone/health"; }
issued() { grep -c 'the CA has issued a certificate' "$work/txtgate.log"; }
issued_over() { (($(issued) > $1)); }

build_network
make_ca >"$work/openssl.log" 2>&1
mkdir "$work/txtgate"
config "$zone" "ns1.$zone" acme >"$TXTGATE_CONFIG"
start_daemon
start_parents
# What the parent says of two other zones: nothing, and that they are with a server that knows nothing of them.
echo "wrong 60 IN NS ns.example.net." >>"$work/user/example.net.zone"
stop user
start user nsd -d -c "$work/user/nsd.conf"
up user dig +tries=1 +time=1 "@$user_dns" example.net SOA
start_vantage_points
start_quorum

check "the CA is down: status and log say so" eventually 20 says "cannot be reached at $ACME_DIRECTORY"
check "and the API shows a self-signed certificate whose fingerprint is in the log" \
    grep -q "$(report shown.sha256)" "$work/txtgate.log"
pebble_with
reload
check "the CA is up: from nothing to a certificate that a client verifies" eventually 30 verified
check "the delegation was looked up and every nameserver in it was right" \
    test "$(grep -c 'txtgate::certificates::preflight' "$work/txtgate.log")" -eq 0

# A client that verifies everything, on one connection that it keeps and on new ones, all the while.
start client /usr/bin/python3 "$here/client.py" "$zone" "$txtgate_dns" "$work/root.pem" "$work/stop"
before=$(issued)
check "it is renewed" eventually 60 issued_over "$before"
check "the account gets another key between two renewals" txtgate acme account rollover
check "and it is renewed with that one" eventually 60 issued_over "$((before + 1))"
check "and once more" eventually 60 issued_over "$((before + 2))"
touch "$work/stop"
wait "${pid_of[client]}" && rc=0 || rc=$?
unset "pid_of[client]"
check "meanwhile a client: $(tail -n 1 "$work/client.log")" test "$rc" -eq 0
check "pebble refused nonces as it does by default" grep -q 'Configured to reject 5% of good nonces' "$work/pebble.log"

# The CA's own words.
txtgate acme account deactivate --yes >>"$work/checks.log"
check "a deactivated account: the next renewal fails with the CA's own error" \
    eventually 60 says "urn:ietf:params:acme:error:unauthorized"

# One that wants its customers' accounts.
stop txtgate
stop pebble
pebble_with "$for_customers"
config "$zone" "ns1.$zone" acme-eab >"$TXTGATE_CONFIG"
start_daemon
check "a CA for customers: status says what is missing" eventually 20 says "eab-kid"
stop txtgate
(umask 077; echo "$hmac" >"$work/txtgate/eab.key")
config "$zone" "ns1.$zone" acme-eab "${binding[@]}" >"$TXTGATE_CONFIG"
start_daemon
check "with the binding a client verifies its certificate" eventually 30 verified
check "no secret stands in the log" test "$(grep -cF "$hmac" "$work/txtgate.log" || true)" -eq 0

# Delegations that lead nowhere or elsewhere: found before the CA hears of it.
before=$(orders)
stop txtgate
config missing.example.net ns1.missing.example.net acme-missing "${binding[@]}" >"$TXTGATE_CONFIG"
start_daemon
check "no delegation: status says which zone lacks what" \
    eventually 30 says "the zone example.net does not delegate missing.example.net"
stop txtgate
config wrong.example.net ns.example.net acme-wrong "${binding[@]}" >"$TXTGATE_CONFIG"
start_daemon
check "a delegation to another server: status names it" eventually 60 says "ns.example.net ($user_dns) over UDP: does not serve the zone"
check "and nothing was ordered" test "$(orders)" -eq "$before"
completed=yes
