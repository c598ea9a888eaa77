#!/usr/bin/env bash
# judges.sh WORK-FOLDER TXTGATE-BINARY: what zonemaster, dnsviz, delv and drill say of an unsigned and of a signed zone,
# each under two names on two addresses, IPv4 and IPv6. Started by `run --judges`, as the first process of its own
# namespaces.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/dnssec.sh"

# The judges refuse addresses that no public server has, so these are of real networks; they exist in here alone.
txtgate_v4=(95.217.30.53 65.108.40.53)
txtgate_v6=(2a01:4f9:30::53 2a01:4f8:40::53)
root_v6=2001:500:9f::53 tld_v6=2001:678:20::53 user_v6=2a01:4f8:200::53
resolver=8.20.30.53
unsigned=$zone signed=safe.example.net

lay_wires() {
    local address
    ip link set lo up
    for address in "$root_dns" "$tld_dns" "$user_dns" "$resolver" "${txtgate_v4[@]}"; do
        ip address add "$address/32" dev lo
    done
    for address in "$root_v6" "$tld_v6" "$user_v6" "${txtgate_v6[@]}"; do
        ip address add "$address/128" dev lo nodad
    done
    # dnsviz looks whether there is a way to the world; as far as it can tell there is.
    ip route add default dev lo
    ip -6 route add default dev lo
}

# --- our part

# our_zone NAME [LINE]: with the defaults, but for what every zone must say of itself.
our_zone() {
    cat <<END
[[zone]]
name = "$1"
ns = ["ns1.$1", "ns2.$1"]
contact = "hostmaster@example.net"
${2:-}
records = """
ns1 A ${txtgate_v4[0]}
ns1 AAAA ${txtgate_v6[0]}
ns2 A ${txtgate_v4[1]}
ns2 AAAA ${txtgate_v6[1]}
@ CAA 0 issue "letsencrypt.org"
deep.down A ${txtgate_v4[0]}
"""
END
}

write_config() {
    cat <<END
database = "txtgate.db"
admin-socket = "txtgate.sock"
[dns]
listen = ["${txtgate_v4[0]}:53", "${txtgate_v4[1]}:53", "[${txtgate_v6[0]}]:53", "[${txtgate_v6[1]}]:53"]
[api]
listen = ["${TXTGATE_URL#http://}"]
[metrics]
listen = ["${metrics#http://}"]
END
    our_zone "$unsigned"
    our_zone "$signed" 'dnssec-key = "zone.key"'
}

start_ours() {
    local z
    mkdir "$work/txtgate"
    write_config >"$work/txtgate/config.toml"
    txtgate dnssec init "$signed"
    start_daemon
    # Nobody has asked this server before, so nobody holds anything.
    txtgate dnssec init --force "$signed"
    for z in "$unsigned" "$signed"; do
        txtgate account create --zone "$z" --subdomain held "held.$z"
        txtgate account create --zone "$z" --subdomain empty "empty.$z"
        txtgate txt publish "held.$z" "$(printf 'v%.0s' {1..43})"
    done
}

# --- the others' part: root, net, the parent, the reverse tree, and who announces which network

names() { printf '%s 3600 IN A %s\n%s 3600 IN AAAA %s\n' "$1" "$2" "$1" "$3"; }
referral() { printf '%s 3600 IN NS %s\n' "$1" "$2"; names "$2" "$3" "$4"; }
top_of() { printf '@ 3600 IN SOA %s hostmaster.example.net. 1 14400 3600 1209600 3600\n@ 3600 IN NS %s\n' "$1" "$1"; }

our_referral() {
    local i
    for i in 0 1; do referral "$1." "ns$((i + 1)).$1." "${txtgate_v4[$i]}" "${txtgate_v6[$i]}"; done
}

reverse() { /usr/bin/python3 -c 'import sys, ipaddress; print(ipaddress.ip_address(sys.argv[1]).reverse_pointer)' "$1"; }
network() { /usr/bin/python3 -c 'import sys, ipaddress; print(ipaddress.ip_network(sys.argv[1], strict=False))' "$1"; }

# pointers ZONE: of each of our addresses to its name.
pointers() {
    local i address
    for i in 0 1; do
        for address in "${txtgate_v4[$i]}" "${txtgate_v6[$i]}"; do
            printf '%s. 3600 IN PTR ns%d.%s.\n' "$(reverse "$address")" $((i + 1)) "$1"
        done
    done
}

# Two networks of two operators, in the form in which zonemaster asks for them.
announcements() {
    local i v4 v6
    for i in 0 1; do
        v4=$(reverse "${txtgate_v4[$i]}") v6=$(reverse "${txtgate_v6[$i]}")
        printf '%s.origin 3600 IN TXT "%d | %s"\n' "${v4%.in-addr.arpa}" $((64500 + i)) "$(network "${txtgate_v4[$i]}/16")"
        printf '%s.origin6 3600 IN TXT "%d | %s"\n' "${v6%.ip6.arpa}" $((64500 + i)) "$(network "${txtgate_v6[$i]}/48")"
    done
}

write_others() {
    local z
    mkdir "$work"/{root,tld,user}
    {
        top_of ns.root-servers.example.
        names ns.root-servers.example. "$root_dns" "$root_v6"
        for z in net. arpa.; do referral "$z" ns.nic.net. "$tld_dns" "$tld_v6"; done
    } >"$work/root/.zone"
    {
        top_of ns.nic.net.
        names ns.nic.net. "$tld_dns" "$tld_v6"
        for z in example.net. asnlookup.zonemaster.net.; do referral "$z" ns.example.net. "$user_dns" "$user_v6"; done
    } | sort -u >"$work/tld/net.zone"
    { top_of ns.nic.net.; pointers "$unsigned"; pointers "$signed"; } >"$work/tld/arpa.zone"
    { top_of ns.example.net.; announcements; } >"$work/user/asnlookup.zonemaster.net.zone"
    {
        top_of ns.example.net.
        names ns.example.net. "$user_dns" "$user_v6"
        echo '@ 3600 IN MX 10 mail.example.net.'
        names mail.example.net. "$user_dns" "$user_v6"
        our_referral "$unsigned"
        our_referral "$signed"
    } >"$work/user/example.net.plain"
    { echo '. 3600 IN NS ns.root-servers.example.'; names ns.root-servers.example. "$root_dns" "$root_v6"; } >"$work/root.hints"
}

# sign_parent DS-LINE: the parent's zone with this DS of ours.
sign_parent() {
    { cat "$work/user/example.net.plain"; echo "$1"; } >"$work/user/example.net.zone"
    sign example.net. "$work/user/example.net.zone"
}

our_ds() { txtgate dnssec ds "$signed" | sed -n 's/ IN DS / 3600 IN DS /p'; }

sign_others() {
    local z
    for z in . net. arpa. example.net.; do make_key "$z"; done
    sign_parent "$(our_ds)"
    ds_of example.net. >>"$work/tld/net.zone"
    for z in net arpa; do sign "$z." "$work/tld/$z.zone"; ds_of "$z." >>"$work/root/.zone"; done
    sign . "$work/root/.zone"
    # delv wants the key in its own form.
    awk '{ print "trust-anchors { \".\" static-key 257 3 13 \"" $7 "\"; };" }' "${key_of[.]}.key" >"$work/root.anchor"
}

start_others() {
    nsd_server root "$root_dns $root_v6" .
    nsd_server tld "$tld_dns $tld_v6" net. arpa.
    nsd_server user "$user_dns $user_v6" example.net. asnlookup.zonemaster.net.
    up root dig +tries=1 +time=1 "@$root_v6" . SOA
    up tld dig +tries=1 +time=1 "@$tld_v6" net. SOA
    up user dig +tries=1 +time=1 "@$user_v6" example.net. SOA
}

# It validates nothing itself: delv and drill do. And keeps nothing, so that a fault that is planted shows at once.
start_resolver() {
    cat >"$work/resolver.conf" <<END
server:
  interface: $resolver@53
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "$work"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  module-config: "iterator"
  root-hints: "$work/root.hints"
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
remote-control:
  control-enable: no
END
    start resolver unbound -d -p -c "$work/resolver.conf"
    up resolver dig +tries=1 +time=2 "@$resolver" "$signed" SOA
}

# --- zonemaster

# What it remarks on and README.md explains; of the unsigned zone also that it is unsigned.
notices=(SOA_DEFAULT_TTL_MAXIMUM_VALUE_LOWER Z09_MISSING_MAIL_TARGET)
unsigned_notices=(NEITHER_DNSKEY_NOR_DS NOT_SIGNED)

ask_zonemaster() {
    zonemaster-cli --hints "$work/root.hints" --no-progress --json_stream --no-json_translate --level DEBUG "$1" \
        >"$work/zonemaster.$1" 2>"$work/zonemaster.$1.log"
}

# zonemaster_said ZONE LEVEL...: the messages of these levels.
zonemaster_said() {
    local file=$work/zonemaster.$1; shift
    jq -c 'select(.level as $level | $ARGS.positional | index($level))' --args "$@" <"$file"
}

test_cases() { jq -r 'select(.tag == "TEST_CASE_START") | .args.testcase' <"$work/zonemaster.$1" | sort -u | wc -l; }

content_but_for_notices() {
    local faults
    faults=$(zonemaster_said "$1" WARNING ERROR CRITICAL)
    echo "$faults"
    # It has 68 test cases, and leaves two thirds of them out where it does not get far.
    [[ -z $faults ]] && (($(test_cases "$1") > 45))
}

notices_are() { # ZONE TAG...
    local z=$1; shift
    diff <(printf '%s\n' "$@" | sort) <(zonemaster_said "$z" NOTICE | jq -r .tag | sort -u)
}

judge_with_zonemaster() {
    check "zonemaster, $1: runs" ask_zonemaster "$1"
    check "zonemaster, $1: no error and no warning in $(test_cases "$1") test cases" content_but_for_notices "$1"
}

# --- dnsviz

# Twice: the zone with all that dnsviz asks of one, EDNS of the future included, and names with what is asked of us.
ask_dnsviz() {
    local z=$1
    dnsviz probe -A -a . -E -o "$work/dnsviz.$z.zone" "$z"
    dnsviz probe -A -a . -R TXT,CAA,A -o "$work/dnsviz.$z.names" "held.$z" "empty.$z" "missing.$z" "down.$z"
}

asked_all_addresses() {
    local address
    for address in "${txtgate_v4[@]}" "${txtgate_v6[@]}"; do grep -qF "$address" "$work/dnsviz.$1.zone" || return; done
}

# Of the whole way from the root: the lab's own servers must be beyond reproach as well, or ours would hide among them.
nothing_to_say() {
    local part
    for part in zone names; do
        dnsviz grok -l warning -r "$work/dnsviz.$1.$part" >"$work/dnsviz.$1.$part.grok"
        jq -c '.. | objects | (.errors // [])[], (.warnings // [])[]' <"$work/dnsviz.$1.$part.grok" | tee -a "$work/dnsviz.said"
    done >"$work/dnsviz.$1.said"
    cat "$work/dnsviz.$1.said"
    [[ ! -s $work/dnsviz.$1.said ]]
}

# status_is ZONE MARK: of delegation and zone as dnsviz prints them, with the root's key to trust: . secure, - insecure.
status_is() {
    local part
    for part in zone names; do
        dnsviz print -t "${key_of[.]}.key" -r "$work/dnsviz.$1.$part" | tee "$work/dnsviz.$1.$part.print"
        grep -qF "$1 [$2] [$2]" "$work/dnsviz.$1.$part.print" || return
        [[ $2 == - ]] || ! grep -E '\[[!?-]|^ *[EW]:' "$work/dnsviz.$1.$part.print" || return
    done
}

judge_with_dnsviz() {
    check "dnsviz, $1: runs" ask_dnsviz "$1"
    check "dnsviz, $1: all four addresses were asked" asked_all_addresses "$1"
    check "dnsviz, $1: no error and no warning" nothing_to_say "$1"
}

# --- delv and drill, from the root down

# name, type, whether there are records
questions=("held TXT yes" "HeLd TXT yes" "held CAA no" "eMpTy TXT no" "missing TXT no" "x.Y.missing CAA no" "@ CAA yes"
    "@ TXT no" "@ DNSKEY yes" "down A no" "DoWn TXT no" "deep.DOWN A yes")

# delv_says TEXT NAME TYPE
delv_says() {
    local said
    said=$(delv "@$resolver" -a "$work/root.anchor" +root=. "$2" "$3" 2>&1) || true
    echo "$said"
    grep -qxF "; $1" <<<"$said"
}

drill_chases() {
    local said
    said=$(drill -t -S -k "${key_of[.]}.key" "@$resolver" "$1" "$2" 2>&1) || true
    echo "$said"
    grep -qF ';; Chase successful' <<<"$said"
}

# validate ZONE STATUS: what delv calls it.
validate() {
    local question label rtype is_there name text
    for question in "${questions[@]}"; do
        read -r label rtype is_there <<<"$question"
        [[ $rtype != DNSKEY || $1 == "$signed" ]] || continue
        name=$label.$1
        [[ $label != @ ]] || name=$1
        text=$2
        [[ $is_there == yes ]] || text="negative response, $2"
        check "delv, $name $rtype: $text" delv_says "$text" "$name" "$rtype"
        [[ $1 != "$signed" ]] || check "drill -S, $name $rtype" drill_chases "$name" "$rtype"
    done
}

# --- the judges can say no

with_a_broken_ds() {
    sign_parent "$(our_ds | sed 's/[0-9A-F]\{64\}$/'"$(printf '0%.0s' {1..64})"'/')"
    kill -HUP "${pid_of[user]}"
    eventually 10 broken_ds_is_served
}
broken_ds_is_served() { dig +short "@$user_dns" "$signed" DS | grep -q ' 0000'; }

refused_by_zonemaster() { ask_zonemaster "$signed"; ! content_but_for_notices "$signed"; }
refused_by_dnsviz() { ask_dnsviz "$signed"; ! nothing_to_say "$signed"; }
refused_by_delv() { ! delv_says "fully validated" "held.$signed" TXT; }
refused_by_drill() { ! drill_chases "held.$signed" TXT; }

lay_wires
check "an unsigned and a signed zone are served at four addresses" start_ours
write_others
check "the zones of the others are signed" sign_others
start_others
start_resolver
# Debian's dnsviz cannot be told of other hints for the root.
cover /usr/share/dnsviz/hints/named.root "$work/root.hints"

for z in "$unsigned" "$signed"; do judge_with_zonemaster "$z"; done
check "zonemaster, $unsigned: NOTICEs as explained" notices_are "$unsigned" "${notices[@]}" "${unsigned_notices[@]}"
check "zonemaster, $signed: NOTICEs as explained" notices_are "$signed" "${notices[@]}"
for z in "$unsigned" "$signed"; do judge_with_dnsviz "$z"; done
check "dnsviz, $unsigned: insecure, as its parent proves" status_is "$unsigned" -
check "dnsviz, $signed: secure from the root to each answer" status_is "$signed" .
validate "$unsigned" "unsigned answer"
validate "$signed" "fully validated"

check "the parent gets a DS of another key" with_a_broken_ds
for judge in zonemaster dnsviz delv drill; do check "and $judge says no" "refused_by_$judge"; done
completed=yes
