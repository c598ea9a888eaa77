#!/usr/bin/env bash
# validations.sh WORK-FOLDER TXTGATE-BINARY: what the server says of a CA's queries, started by `run --validations`. The same
# lab. For each thing that goes wrong a client must read in its own terminal what it was.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/vantage.sh"
. "$here/checks.sh"

accounts=(good cut stale tcp wrong early)
client=uacme
kept=60 # seconds that a resolver may keep an empty answer

config() {
    cat <<END
resolvers = ["${vantage[4]}:53"]
database = "txtgate.db"
admin-socket = "txtgate.sock"
[dns]
listen = ["$txtgate_dns:53"]
[api]
listen = ["${TXTGATE_URL#http://}"]
registration = "open"
[metrics]
listen = ["${metrics#http://}"]
$(zone_settings "$zone" "ns1.$zone")
negative-ttl = $kept
END
}

# restart_vantage INDEX SED-COMMAND: with another configuration.
restart_vantage() {
    stop "vantage$1"
    unbound_config "$1" | sed "$2" >"$work/vantage$1.conf"
    start "vantage$1" unbound -d -p -c "$work/vantage$1.conf"
    up "vantage$1" resolves "${vantage[$1]}" "ns1.$zone"
}

# asks INDEX NAME: a resolver on its own, as for a CA that has been told.
asks() { dig +notcp +ignore +tries=1 +time=5 "@${vantage[$1]}" TXT "_acme-challenge.$2.example.com"; }

all_ask() {
    local i digs=()
    for i in "${!vantage[@]}"; do
        asks "$i" "$1" >/dev/null &
        digs+=($!)
    done
    wait "${digs[@]}" || true
}

network_of() { echo "${vantage[$1]%.*}.0/24"; }

# reads NAME TEXT: in the log of the client that has asked for NAME, which is its terminal.
reads() { grep -E "^txtgate: $1\.example\.com: $2" "$work/$1.log"; }

# verdicts NAME: the codes of the account's values, newest first.
verdicts() { txtgate account show "$(fulldomain "$1")" --json | jq -r '.owners[] | (.values + .retired)[] | .verdict.code'; }
newest_is() { [[ $(verdicts "$1" | head -n 1) == "$2" ]]; }

certificate() { issue "$client" "$1" "$1.example.com" && certified "$work/$1/fullchain.pem" "$1.example.com"; }
no_certificate() { ! issue "$client" "$1" "$1.example.com"; }

# asked_by_all NAME: the query log of an account, as its owner reads it: six networks, each with its time.
asked_by_all() {
    local times
    times=$(txtgate queries "$(fulldomain "$1")" --json |
        jq -r '.items[] | select(.type == "TXT" and (.values | length > 0)) | .network + " " + .time' | sort -u)
    echo "$times"
    for i in "${!vantage[@]}"; do
        grep -qE "^$(network_of "$i") 20[0-9-]+T[0-9:.]+Z$" <<<"$times" || return 1
    done
}

command -v "$client" >/dev/null || { skip "everything: $client is not installed"; completed=yes; exit; }
build_network
make_ca >"$work/openssl.log" 2>&1
mkdir "$work/txtgate"
ln -s "$binary" "$ACME_HOOK"
config >"$TXTGATE_CONFIG"
start_daemon
for account in "${accounts[@]}"; do
    first_call "$account" >>"$work/checks.log"
done
# Another machine's account, to which the CNAME of `wrong` leads.
other=$(curl -sf -X POST "$TXTGATE_URL/register" | jq -er .fulldomain)
own=$(fulldomain wrong)
start_parents "${accounts[@]}"
edit_zone "s/$own/$other/"
start_vantage_points
start_pebble

check "six networks validate: the client gets its certificate" certificate good
check "and reads that all of them got the value" \
    reads good '6 networks asked within [0-9.]+ s of publication, each got this value'
check "the query log has six networks with their times" asked_by_all good

# One of six cannot reach anything.
freeze 0
check "one resolver is cut off: the client gets its certificate all the same" certificate cut
thaw 0
check "and reads which network has not asked" reads cut \
    "asked by 5 networks; the validation at [0-9:]+ UTC was asked by 6: $(network_of 0) has not asked"
check "the operator reads the same" newest_is cut vantage-missing

# One keeps what it has heard, as resolvers outside CAs do.
restart_vantage 1 '/cache-max-/d'
asks 1 stale >>"$work/checks.log"
check "one resolver keeps an answer from before: the client gets its certificate all the same" certificate stale
check "and reads who may keep it, and for how long" reads stale \
    "5 networks got this value; $(network_of 1) asked before publication, got no value, and may keep that answer until "
restart_vantage 1 ''

# With many values at a name an answer needs TCP, and one network cannot have it.
restart_vantage 2 's/^server:/&\n  do-tcp: no/'
for _ in {1..60}; do
    value=$(random_value)
    "$ACME_HOOK" begin dns-01 tcp.example.com token "$value" >>"$work/tcp.log" 2>&1
done
all_ask tcp
"$ACME_HOOK" failed dns-01 tcp.example.com token "$value" >>"$work/tcp.log" 2>&1
check "60 values, and TCP is closed to one resolver: the client reads whose" reads tcp \
    "5 networks got this value; the answer to $(network_of 2) was truncated, .* is TCP port 53 open"
restart_vantage 2 ''

check "a CNAME to another account: the client gets no certificate" no_certificate wrong
check "and reads where the CNAME leads, and where it has to" reads wrong \
    "nobody has asked here: _acme-challenge.wrong.example.com leads to $other, .* lead to $own"

# A client that tells the CA before it publishes.
hook=$ACME_HOOK
cat >"$work/early-hook" <<END
#!/usr/bin/env bash
if [[ \$1 == begin && \$2 == dns-01 ]]; then
    (sleep 2; "$hook" "\$@" >>"$work/early.hook.log" 2>&1; touch "$work/early.published") &
    exit
fi
[[ \$1 == begin ]] || until [[ -e $work/early.published ]]; do sleep 0.1; done
exec "$hook" "\$@"
END
chmod 755 "$work/early-hook"
ACME_HOOK=$work/early-hook
check "a client that is too early gets no certificate" no_certificate early
ACME_HOOK=$hook
check "and reads that the CA was told too early" reads early \
    "6 networks asked [0-9.]+ s before publication, got no value, .* told too early; .* for $kept s, until "
no_key_in_the_log
completed=yes
