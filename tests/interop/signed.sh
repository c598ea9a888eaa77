#!/usr/bin/env bash
# signed.sh WORK-FOLDER TXTGATE-BINARY: the same lab with DNSSEC from the root down, started by `run --signed`. Six
# resolvers validate with no clock skew allowed, clients get their certificates through them, and while a caching one
# asks every half second the zone goes through a rollover and is made unsigned again.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/dnssec.sh"
. "$here/vantage.sh"
. "$here/checks.sh"

cacher=8.20.30.53

# --- the tree of zones: root, com, net, example.com, example.net are signed by ldns, auth.example.net by txtgate

# The parent's part: the zone without the DS of ours is kept, so that it can be signed with another one.
sign_parent() { # file that holds the DS of $zone, or /dev/null
    cat "$work/user/example.net.plain" "$1" >"$work/user/example.net.zone"
    sign example.net. "$work/user/example.net.zone"
}

sign_tree() {
    local z
    for z in . com. net. example.com. example.net.; do make_key "$z"; done
    cp "$work/user/example.net.zone" "$work/user/example.net.plain"
    our_ds 1 >"$work/ds" # so that the walk need not wait long
    sign_parent "$work/ds"
    sign example.com. "$work/user/example.com.zone"
    ds_of example.com. >>"$work/tld/com.zone"
    ds_of example.net. >>"$work/tld/net.zone"
    for z in com net; do sign "$z." "$work/tld/$z.zone"; ds_of "$z." >>"$work/root/.zone"; done
    sign . "$work/root/.zone"
}

# our_ds TTL: as txtgate prints it for the parent.
our_ds() { txtgate dnssec ds "$zone" | sed -n "s/^$zone. IN DS/$zone. $1 IN DS/p"; }

# The first server that starts finds every zone file written: sign them before.
eval "plain_$(declare -f nsd_server)"
nsd_server() {
    [[ $1 != root ]] || sign_tree >"$work/sign.log" 2>&1
    plain_nsd_server "$@"
}

eval "plain_$(declare -f unbound_config)"
unbound_config() {
    plain_unbound_config "$1" | sed "s|  module-config: \"iterator\"|  module-config: \"validator iterator\"\\n\
  trust-anchor-file: \"${key_of[.]}.key\"\\n  val-sig-skew-min: 0\\n  val-sig-skew-max: 0\\n\
  harden-dnssec-stripped: yes\\n  harden-below-nxdomain: no|"
}

# One that caches, as resolvers do: what it remembers of a step must go with the next one.
start_cacher() {
    unbound_config 1 | sed "s|${vantage[1]}|$cacher|g; /cache-max/d" >"$work/cacher.conf"
    start cacher unbound -d -p -c "$work/cacher.conf"
    up cacher resolves "$cacher" "ns1.$zone"
}

# --- txtgate

sign_txtgate() {
    printf 'dnssec-key = "zone.key"\ndnskey-ttl = 1\nnegative-ttl = 1\n' >>"$work/txtgate/config.toml"
    check "without its key file the zone is refused" refused_without_key
    check "dnssec init makes a key" txtgate dnssec init "$zone"
    reload
    eventually 5 serves_dnskey
    check "the key is not offered to the parent while caches hold unsigned answers" offer_is_refused
    # Nobody has asked this server before, so nobody holds anything.
    check "dnssec init --force offers it" txtgate dnssec init --force "$zone"
}

refused_without_key() { ! txtgate config check; }
offer_is_refused() { ! txtgate dnssec init "$zone"; }
serves_dnskey() { dig +short "@$txtgate_dns" "$zone" DNSKEY | grep -q '^257 3 13'; }

# authentic RESOLVER STATUS NAME TYPE: the resolver has validated it.
authentic() {
    dig +tries=1 +time=5 +dnssec "@$1" "$3" "$4" >"$work/authentic" 2>&1
    cat "$work/authentic"
    grep -q "status: $2" "$work/authentic" && grep -q '^;; flags:.* ad[ ;]' "$work/authentic"
}

# Nothing signs signatures, so that no resolver calls them authentic; but to deny them would be bogus.
has_signatures() { dig +tries=1 +time=5 +dnssec "@$1" "$2" RRSIG | grep -q "^$2.*RRSIG"; }

every_kind_of_answer_is_authentic() {
    local i name
    name=$(fulldomain updates)
    for i in "${!vantage[@]}"; do
        check "vantage ${vantage[$i]}: a value is authentic" authentic "${vantage[$i]}" NOERROR "$name" TXT
        check "vantage ${vantage[$i]}: no data is authentic" authentic "${vantage[$i]}" NOERROR "$name" CAA
        check "vantage ${vantage[$i]}: a missing name is authentic" authentic "${vantage[$i]}" NOERROR "no.such.$zone" TXT
        check "vantage ${vantage[$i]}: a missing name that begins with an asterisk is authentic" authentic "${vantage[$i]}" NOERROR "*.$zone" TXT
        check "vantage ${vantage[$i]}: no CAA at the apex is authentic" authentic "${vantage[$i]}" NOERROR "$zone" CAA
        check "vantage ${vantage[$i]}: signatures can be asked for" has_signatures "${vantage[$i]}" "$name"
    done
}

# --- the walk

ask_on() {
    local name turn
    name=$(fulldomain updates)
    for ((turn = 0; ; turn++)); do
        for question in "$name TXT" "$name A" "$zone CAA" "$zone SOA" "missing$turn.$zone TXT"; do
            # shellcheck disable=SC2086 # a name and a type
            dig +tries=1 +time=3 "@$cacher" $question | sed -n "s/.*status: \([A-Z]*\),.*/\1 $question/p"
        done
        sleep 0.5
    done
}

parent_has() { # TTL or "none"
    if [[ $1 == none ]]; then : >"$work/ds"; else our_ds "$1" >"$work/ds"; fi
    sign_parent "$work/ds" >>"$work/sign.log" 2>&1
    kill -HUP "${pid_of[user]}"
}

parent_shows() { [[ $(dig +short "@$user_dns" "$zone" DS | cut -d' ' -f1) == "$(cut -d' ' -f5 "$work/ds")" ]]; }
refused_step() { ! txtgate dnssec "$@"; }

# step SECONDS TEXT COMMAND...: when it is safe, and not before.
step() {
    local within=$1 text=$2; shift 2
    check "$text" eventually "$within" txtgate dnssec "$@"
}

walk() {
    start asker ask_on
    check "rollover: a second key signs" txtgate dnssec rollover "$zone"
    check "rollover: too early is refused" refused_step rollover "$zone"
    step 10 "rollover: the new key is offered" rollover "$zone"
    check "rollover: refused while the parent has the old DS" refused_step rollover --parent "$user_dns" "$zone"
    check "rollover: the parent changes its DS" parent_changes 1
    step 10 "rollover: the parent's DS is seen" rollover --parent "$user_dns" "$zone"
    sleep 3
    # The NS set may be kept for an hour, by those who validate behind a cache; ours validates itself.
    check "rollover: the old key goes" txtgate dnssec rollover --force "$zone"
    sleep 3
    check "after the rollover: authentic" authentic "$cacher" NOERROR "$zone" SOA
    check "remove: the parent is asked to remove the DS" txtgate dnssec remove "$zone"
    check "remove: refused while the parent has it" refused_step remove --parent "$user_dns" "$zone"
    check "remove: the parent removes the DS" parent_changes none
    step 10 "remove: its absence is seen" remove --parent "$user_dns" --ds-ttl 5 "$zone"
    check "remove: too early is refused" refused_step remove "$zone"
    step 20 "remove: the zone is unsigned" remove "$zone"
    sleep 3
    check "after the removal: answered, and not signed" unsigned
    kill "${pid_of[asker]}"
    no_servfail
}

parent_changes() { parent_has "$1" && eventually 10 parent_shows; }

unsigned() {
    dig +dnssec "@$cacher" "$zone" SOA >"$work/authentic"
    cat "$work/authentic"
    grep -q 'status: NOERROR' "$work/authentic" && ! grep -q RRSIG "$work/authentic"
}

no_servfail() {
    local total good
    total=$(wc -l <"$work/asker.log")
    good=$(grep -Ec '^(NOERROR|NXDOMAIN) ' "$work/asker.log" || true)
    check "all the while the caching resolver was asked $total times; $((total - good)) times without success" \
        test "$total" -gt 100 -a "$total" -eq "$good"
}

clients=(certbot lego dehydrated uacme)
accounts=("${clients[@]}" updates)

build_network
ip address add "$cacher/32" dev lo
make_ca >"$work/openssl.log" 2>&1
start_txtgate
for account in "${accounts[@]}"; do
    check "the hook registers $account.example.com and names the CNAME" first_call "$account"
done
sign_txtgate
start_parents "${accounts[@]}"
start_vantage_points
start_cacher
start_pebble

for client in "${clients[@]}"; do client_gets_certificate "$client"; done
all_vantage_points_agreed
every_update_is_seen_at_once
every_kind_of_answer_is_authentic
walk
no_key_in_the_log
completed=yes
