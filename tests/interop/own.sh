#!/usr/bin/env bash
# own.sh WORK-FOLDER TXTGATE-BINARY: the daemon gets its API's certificate itself, started by `run --own`. The same lab;
# pebble refuses nonces and reuses authorizations as it does by default.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$1 binary=$2
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
. "$here/lib.sh"
. "$here/lab.sh"
. "$here/vantage.sh"

completed=no
finish() {
    [[ $completed == yes ]] || fail "the test did not run to its end"
    stop_all
    summary
}
trap 'finish || exit 1' EXIT

kid=kid-1
hmac=zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W
validity=20 # seconds: it is renewed after 13

txtgate() { "$binary" --config "$work/txtgate/config.toml" "$@"; }

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
[acme]
directory = "$ACME_DIRECTORY"
ca-root = "$work/tls/ca.pem"
terms-agreed = true
state = "$state"
$(printf '%s\n' "$@")
[metrics]
listen = ["${metrics#http://}"]
[[zone]]
name = "$zone"
ns = ["$ns"]
contact = "hostmaster@example.net"
records = """
$([[ $ns != *."$zone" ]] || echo "ns1 A $txtgate_dns")
"""
END
}

start_daemon() {
    start txtgate "$binary" serve --config "$work/txtgate/config.toml"
    up txtgate curl -sf "$metrics/ready"
}

stop() { # NAME
    kill -TERM "${pid_of[$1]}"
    wait "${pid_of[$1]}" || true
    unset "pid_of[$1]"
}

reload() { kill -HUP "${pid_of[txtgate]}"; }

# pebble_with EAB: as it is by default, but for its sleeps.
pebble_with() {
    cat >"$work/pebble.json" <<END
{"pebble": {
  "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
  "certificate": "$work/tls/server.pem", "privateKey": "$work/tls/server.key", "httpPort": 5002, "tlsPort": 5001,
  "certificateValidityPeriod": $validity,
  "externalAccountBindingRequired": $1, "externalAccountMACKeys": {"$kid": "$hmac"}}}
END
    start pebble env PEBBLE_VA_NOSLEEP=1 pebble -config "$work/pebble.json" -dnsserver "$quorum_dns:53"
    up pebble curl -sf --cacert "$work/tls/ca.pem" "$ACME_DIRECTORY"
    curl -sf --cacert "$work/tls/ca.pem" https://127.0.0.1:15000/roots/0 >"$work/root.pem"
}

report() { txtgate status --json | jq -r ".certificates.api.$1"; }
says() { report problem | tee -a "$work/checks.log" | grep -qF "$1"; }

# verified: the name, the chain to pebble's root and the times, over a new connection.
verified() { curl -sf --cacert "$work/root.pem" --resolve "$zone:443:$txtgate_dns" "https://$zone/health"; }
issued() { grep -c 'the CA has issued a certificate' "$work/txtgate.log"; }
issued_over() { (($(issued) > $1)); }
orders() { grep -c 'POST /order-plz' "$work/pebble.log" || true; }

build_network
make_ca >"$work/openssl.log" 2>&1
mkdir "$work/txtgate"
config "$zone" "ns1.$zone" acme >"$work/txtgate/config.toml"
start_daemon
start_parents
# What the parent says of two other zones: nothing, and that they are with a server that knows nothing of them.
echo "wrong 60 IN NS ns.example.net." >>"$work/user/example.net.zone"
stop user
start user nsd -d -c "$work/user/nsd.conf"
up user dig +tries=1 +time=1 "@$user_dns" example.net SOA
start_vantage_points
start quorum /usr/bin/python3 "$here/quorum.py" "$quorum_dns" "${vantage[@]}"
up quorum resolves "$quorum_dns" "ns1.$zone"

check "the CA is down: status and log say so" eventually 20 says "cannot be reached at $ACME_DIRECTORY"
check "and the API shows a self-signed certificate whose fingerprint is in the log" \
    grep -q "$(report shown.sha256)" "$work/txtgate.log"
pebble_with false
reload
check "the CA is up: from nothing to a certificate that a client verifies" eventually 30 verified
check "the delegation was looked up and every nameserver in it was right" \
    test "$(grep -c 'acme::delegation' "$work/txtgate.log")" -eq 0

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
pebble_with true
config "$zone" "ns1.$zone" acme-eab >"$work/txtgate/config.toml"
start_daemon
check "a CA for customers: status says what is missing" eventually 20 says "eab-kid"
stop txtgate
(umask 077; echo "$hmac" >"$work/txtgate/eab.key")
config "$zone" "ns1.$zone" acme-eab "eab-kid = \"$kid\"" 'eab-key-file = "eab.key"' >"$work/txtgate/config.toml"
start_daemon
check "with the binding a client verifies its certificate" eventually 30 verified
check "no secret stands in the log" test "$(grep -cF "$hmac" "$work/txtgate.log" || true)" -eq 0

# Delegations that lead nowhere or elsewhere: found before the CA hears of it.
before=$(orders)
stop txtgate
config missing.example.net ns1.missing.example.net acme-missing "eab-kid = \"$kid\"" 'eab-key-file = "eab.key"' >"$work/txtgate/config.toml"
start_daemon
check "no delegation: status says which zone lacks what" \
    eventually 30 says "the zone example.net does not delegate missing.example.net"
stop txtgate
config wrong.example.net ns.example.net acme-wrong "eab-kid = \"$kid\"" 'eab-key-file = "eab.key"' >"$work/txtgate/config.toml"
start_daemon
check "a delegation to another server: status names it" eventually 30 says "ns.example.net ($user_dns) over UDP does not serve the zone"
check "and nothing was ordered" test "$(orders)" -eq "$before"
completed=yes
