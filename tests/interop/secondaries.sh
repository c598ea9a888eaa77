#!/usr/bin/env bash
# secondaries WORK-FOLDER TXTGATE-BINARY: NSD, Knot DNS and BIND as secondaries, each with the snippet that docs/topologies.md
# shows. Started by run, as the first process of its own network, mount and process namespaces.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/vantage.sh"

pages=$here/../../docs/topologies.md
nsd_dns=88.198.40.53 knot_dns=51.15.20.53 bind_dns=45.32.10.53
secret=$(head -c 32 /dev/urandom | base64 -w 0)
key=hmac-sha256:ns2.example.org:$secret

# snippet NAME ADDRESS: the block behind <!-- NAME --> of the page, for this network and the secondary at ADDRESS.
snippet() {
    awk -v mark="<!-- $1 -->" '
        $0 ~ mark { found = 1; next }
        found && /^ *```/ { if (inside) exit; inside = 1; indent = match($0, /`/) - 1; next }
        inside { print substr($0, indent + 1) }' "$pages" |
        sed -e "s|192\.0\.2\.1|$txtgate_dns|g" -e "s|198\.51\.100\.2|$2|g" -e "s|auth\.example\.org|$zone|g" \
            -e "s|SECRET|$secret|g" -e "s|/var/lib/txtgate/|$work/txtgate/|g"
}

# secondary_at ADDRESS: what txtgate's configuration says of it.
secondary_at() { snippet txtgate "$1" | sed -e "s|\"ns2\"|\"at-$1\"|"; }

# --- the servers

start_primary() {
    mkdir "$work/txtgate" "$work/tls"
    (umask 077 && echo "$key" >"$work/txtgate/ns2.tsig")
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=ns1.$zone" \
        -addext "subjectAltName = DNS:ns1.$zone" -keyout "$work/tls/key.pem" -out "$work/tls/cert.pem" 2>>"$work/openssl.log"
    cat >"$TXTGATE_CONFIG" <<END
database = "txtgate.db"
admin-socket = "txtgate.sock"
[dns]
listen = ["$txtgate_dns:53"]
tls-listen = ["$txtgate_dns:853"]
certificate = "$work/tls/cert.pem"
key = "$work/tls/key.pem"
answers-per-second = 0
[api]
listen = ["${TXTGATE_URL#http://}"]
registration = "open"
[metrics]
listen = ["${metrics#http://}"]
[doctor]
at-start = false
[updates]
wait-limit = "8s"
[secondaries]
catalog = "catalog.example.org"
[[zone]]
name = "$zone"
ns = ["ns1.$zone", "ns2.$zone", "ns3.$zone"]
contact = "hostmaster@example.net"
records = """
ns1 A $txtgate_dns
ns2 A $nsd_dns
ns3 A $knot_dns
@ CAA 0 issue "ca.example"
www CNAME elsewhere.example.com.
"""
$(for address in "$nsd_dns" "$knot_dns" "$bind_dns"; do secondary_at "$address"; done)
END
    start_daemon
}

start_nsd() { # with the keys and zones of standard input, the zone last
    local dir=$work/nsd
    mkdir -p "$dir"
    cat >"$dir/nsd.conf" <<END
server:
  ip-address: $nsd_dns
  username: ""
  chroot: ""
  zonesdir: "$dir"
  database: ""
  pidfile: ""
  xfrdfile: "$dir/xfrd.state"
  zonelistfile: "$dir/zone.list"
  xfrdir: "$dir"
  rrl-ratelimit: 0
  tls-cert-bundle: "$work/tls/cert.pem"
  verbosity: 2
remote-control:
  control-enable: no
$(cat)
  outgoing-interface: $nsd_dns
  provide-xfr: 0.0.0.0/0 NOKEY
END
    start nsd nsd -d -c "$dir/nsd.conf"
}

start_knot() { # with the configuration of standard input
    local dir=$work/knot
    mkdir -p "$dir/run" "$dir/db" "$dir/zones"
    {
        cat <<END
server:
  listen: $knot_dns@53
  rundir: $dir/run
database:
  storage: $dir/db
log:
  - target: stderr
    any: info
END
        # From its own address, as every machine but this one asks: here all of them are on one interface.
        sed -e "/^remote:/,/^acl:/s|^    address: .*|&\n    via: $knot_dns|"
    } | knot_merge >"$dir/knot.conf"
    start knot knotd -c "$dir/knot.conf"
}
# knot_merge: lets everybody transfer from it, for the comparison, and keeps its zones here.
knot_merge() {
    sed -e "s|acl: txtgate-notify|acl: [txtgate-notify, everybody]\n    storage: $work/knot/zones|" \
        -e 's|^acl:|&\n  - id: everybody\n    action: transfer|'
}

start_bind() {
    local dir=$work/bind
    mkdir -p "$dir"
    {
        echo "options { directory \"$dir\"; listen-on { $bind_dns; }; listen-on-v6 { none; }; recursion no; pid-file none;"
        echo " session-keyfile none; transfer-source $bind_dns; notify no; dnssec-validation no; allow-transfer { any; };"
        echo " catalog-zones { zone \"catalog.example.org\" default-primaries { $txtgate_dns key \"ns2.example.org\"; }; }; };"
        cat
        echo "zone \"catalog.example.org\" { type secondary; file \"catalog.db\"; primaries { $txtgate_dns key \"ns2.example.org\"; };"
        echo " allow-notify { key \"ns2.example.org\"; }; };"
    } >"$dir/named.conf"
    start bind named -f -c "$dir/named.conf" -g
}

# --- what is asked

serial() { dig +short +tries=1 +time=2 "@$1" "${2:-$zone}" SOA | cut -d' ' -f3; }
has_serial_of_txtgate() { local here; here=$(serial "$txtgate_dns"); [[ $here && $(serial "$1") == "$here" ]]; }
has_value() { dig +short +tries=1 +time=2 "@$1" "$2" TXT | grep -qF "$3"; }
# records SERVER [OPTION...]: the zone as it transfers it, sorted.
records() {
    local server=$1; shift
    kdig +noall +answer +retry=0 +time=10 "$@" "@$server" "$zone" AXFR | grep -v '^;' | tr -s '\t ' ' ' | LC_ALL=C sort -u
}
same_records() {
    local at=$1
    records "$txtgate_dns" -b "$at" -y "$key" >"$work/primary.records"
    records "$at" >"$work/secondary.records"
    grep -q " IN SOA " "$work/primary.records" && diff "$work/primary.records" "$work/secondary.records"
}
is_clean() { # CHECKER...
    records "$txtgate_dns" -b "$nsd_dns" -y "$key" >"$work/zone.txt"
    "$@"
}
register() {
    curl -sf -X POST "$TXTGATE_URL/register" >"$work/account.json"
    name=$(jq -r .fulldomain "$work/account.json")
}
# publish VALUE [QUERY]: the status code.
publish() {
    curl -s -o "$work/reply.json" -w '%{http_code}' -X POST "$TXTGATE_URL/update${2:-}" \
        -H "X-Api-User: $(jq -r .username "$work/account.json")" -H "X-Api-Key: $(jq -r .password "$work/account.json")" \
        -d "{\"subdomain\": \"$(jq -r .subdomain "$work/account.json")\", \"txt\": \"$1\"}"
}
value() { printf '%043d' "$1"; }

# --- the checks

they_have_the_zone() {
    local server
    for server in "${servers[@]}"; do
        check "${server%:*} transfers the zone" eventually 20 has_serial_of_txtgate "${server#*:}"
        check "${server%:*} has the same records" same_records "${server#*:}"
    done
    command -v named-checkzone >/dev/null && check "named-checkzone accepts it" is_clean named-checkzone "$zone" "$work/zone.txt"
    command -v kzonecheck >/dev/null && check "kzonecheck accepts it" is_clean kzonecheck -o "$zone" "$work/zone.txt"
    return 0
}

# A 200 with wait=served means that every nameserver of the delegation serves the value.
a_200_means_that_all_serve_it() {
    local number missing=0 server
    for number in {1..20}; do
        [[ $(publish "$(value "$number")" '?wait=served') == 200 ]] || { fail "update $number is not served: $(cat "$work/reply.json")"; return; }
        for server in "$txtgate_dns" "$nsd_dns" "$knot_dns"; do
            has_value "$server" "$name" "$(value "$number")" || missing=$((missing + 1))
        done
    done
    check "20 updates with wait=served, and no nameserver lacks a value" test "$missing" = 0
    for server in "${servers[@]}"; do
        check "${server%:*} has the same records after them" eventually 10 same_records "${server#*:}"
    done
    check "they got differences" sent_differences 20
}
sent_differences() { (($(curl -sf "$metrics/metrics" | sed -n 's/^txtgate_transfers_total{kind="IXFR",result="differences"} //p') >= $1)); }

# A nameserver that stands still is named, and nothing is lost.
one_that_is_behind_is_named() {
    kill -STOP "${pid_of[knot]}"
    check "a frozen secondary: 504" test "$(publish "$(value 100)" '?wait=served')" = 504
    check "which names it" grep -qF "$knot_dns" "$work/reply.json"
    check "the others serve the value" has_value "$nsd_dns" "$name" "$(value 100)"
    kill -CONT "${pid_of[knot]}"
    check "once it goes on, it catches up" eventually 70 has_serial_of_txtgate "$knot_dns"
    check "and the next update is served by all" test "$(publish "$(value 101)" '?wait=served')" = 200
}

# A restart empties the journal.
without_a_journal_they_get_the_whole_zone() {
    stop txtgate
    start_daemon
    for server in "${servers[@]}"; do
        check "${server%:*} follows after a restart" eventually 20 has_serial_of_txtgate "${server#*:}"
    done
    check "an update after it is served by all" test "$(publish "$(value 102)" '?wait=served')" = 200
    for server in "${servers[@]}"; do check "${server%:*} has the same records" eventually 10 same_records "${server#*:}"; done
}

strangers_are_refused() {
    local wrong
    wrong=hmac-sha256:ns2.example.org:$(head -c 32 /dev/zero | base64 -w 0)
    check "without the key, REFUSED" transfer_says REFUSED -b "$nsd_dns"
    check "with a wrong key, NOTAUTH" transfer_says 'NOTAUTH\|BADSIG\|BADKEY' -b "$nsd_dns" -y "$wrong"
    check "from elsewhere, REFUSED" transfer_says REFUSED -b "$quorum_dns" -y "$key"
}
transfer_says() {
    local what=$1; shift
    kdig +retry=0 "$@" "@$txtgate_dns" "$zone" AXFR >"$work/refused.txt" 2>&1 || true
    cat "$work/refused.txt"
    grep -q "$what" "$work/refused.txt"
}

over_tls() {
    records "$txtgate_dns" -b "$nsd_dns" -y "$key" >"$work/plain.records"
    records "$txtgate_dns" -b "$nsd_dns" -y "$key" +tls -p 853 >"$work/tls.records"
    check "the zone over TLS is the same" cmp "$work/plain.records" "$work/tls.records"
    stop nsd
    rm -f "$work/nsd/xfrd.state" "$work/nsd/$zone.zone"
    sed -i 's|^tls-only.*||; s|^name = "at-'"$nsd_dns"'"|&\ntls-only = true|' "$TXTGATE_CONFIG"
    reload
    start_nsd < <(snippet nsd "$nsd_dns" | sed '/^zone:/,$d' && snippet nsd-tls "$nsd_dns")
    check "NSD transfers over TLS alone" eventually 20 has_serial_of_txtgate "$nsd_dns"
    check "and has the same records" same_records_over_tls
}
same_records_over_tls() {
    records "$txtgate_dns" -b "$nsd_dns" -y "$key" +tls -p 853 >"$work/primary.records"
    records "$nsd_dns" | diff "$work/primary.records" -
}

a_new_zone_comes_by_itself() {
    cat >>"$TXTGATE_CONFIG" <<END
[[zone]]
name = "auth.example.com"
ns = ["ns1.$zone"]
contact = "hostmaster@example.net"
END
    reload
    check "Knot picks up a new zone" eventually 30 test_serial "$knot_dns"
    ! command -v named >/dev/null || check "BIND picks up a new zone" eventually 30 test_serial "$bind_dns"
    sed -i '/^name = "auth.example.com"/,$d' "$TXTGATE_CONFIG"
    sed -i '$d' "$TXTGATE_CONFIG"
    reload
    check "and drops it again" eventually 30 no_serial "$knot_dns"
}
test_serial() { [[ $(serial "$1" auth.example.com) ]]; }
no_serial() { [[ ! $(serial "$1" auth.example.com) ]]; }

# Knot signs the zone that it gets.
a_secondary_signs() {
    stop knot
    rm -rf "$work/knot"
    start_knot < <(snippet knot "$knot_dns" | sed '/^zone:/,$d' && snippet knot-signing "$knot_dns")
    check "Knot signs the zone" eventually 30 is_signed
    check "and an update is there soon" publishes_signed
}
is_signed() { dig +dnssec +tries=1 +time=2 "@$knot_dns" "$zone" SOA | grep -q RRSIG; }
publishes_signed() {
    [[ $(publish "$(value 200)") == 200 ]] && eventually 20 has_signed_value
}
has_signed_value() {
    dig +dnssec +tries=1 +time=2 "@$knot_dns" "$name" TXT >"$work/signed.txt" &&
        grep -qF "$(value 200)" "$work/signed.txt" && grep -q RRSIG "$work/signed.txt"
}

status_tells() {
    txtgate status >"$work/status.txt" && cat "$work/status.txt" &&
        (($(grep -c "at-.*, $zone: up to date" "$work/status.txt") == ${#servers[@]}))
}

build_network
for address in "$nsd_dns" "$knot_dns" "$bind_dns"; do ip address add "$address/32" dev lo; done
servers=("NSD:$nsd_dns" "Knot:$knot_dns")
start_primary
start_nsd < <(snippet nsd "$nsd_dns")
start_knot < <(
    snippet knot "$knot_dns" | sed '/^zone:/,$d'
    snippet knot-catalog "$knot_dns"
    snippet knot "$knot_dns" | sed -n '/^zone:/,$p' | tail -n +2
)
if command -v named >/dev/null; then
    servers+=("BIND:$bind_dns")
    start_bind < <(snippet bind "$bind_dns")
else
    skip "BIND: it is not installed"
fi
register
they_have_the_zone
more_nameservers=("ns2=$nsd_dns" "ns3=$knot_dns")
start_parents
start_vantage_points
a_200_means_that_all_serve_it
check "status tells of the secondaries" status_tells
strangers_are_refused
one_that_is_behind_is_named
without_a_journal_they_get_the_whole_zone
a_new_zone_comes_by_itself
over_tls
a_secondary_signs
completed=yes
