# What is proven. Sourced by suite, inside the namespace.

rounds=25 # past 20 values the answer no longer fits 1232 bytes, so the last rounds go over TCP

# issue CLIENT TAG NAME...: a fresh client folder TAG, so a new ACME account, order and key each time.
issue() {
    local client=$1 tag=$2; shift 2
    mkdir -p "$work/$tag"
    CLIENT_DIR=$work/$tag "$here/clients/$client.sh" "$@" >"$work/$tag.log" 2>&1 </dev/null && return
    ca_hung "$work/$tag.log" || return
    echo "note  $client: the CA did not answer about its order; once more"
    mv "$work/$tag" "$work/$tag-hung" && mkdir "$work/$tag"
    CLIENT_DIR=$work/$tag "$here/clients/$client.sh" "$@" >>"$work/$tag.log" 2>&1 </dev/null
}

# ca_hung LOG: a client has waited in vain for an order. pebble locks one twice if it is asked about it while it issues, and never
# answers again about that one (letsencrypt/pebble#554).
ca_hung() { grep -Eqi '14000/(my|finalize)-order.*(time ?out|timed out|returned with 28)|port=14000.*timed out' "$1"; }

# certified FULLCHAIN NAME...: a chain to pebble's root, and exactly these names.
certified() {
    local fullchain=$1; shift
    openssl verify -CAfile "$work/root.pem" -untrusted "$fullchain" "$fullchain" || return
    diff <(printf '%s\n' "$@" | sort) <(names "$fullchain" | sort)
}

names() { openssl x509 -in "$1" -noout -ext subjectAltName | grep -o 'DNS:[^, ]*' | cut -d: -f2; }
issuer() { openssl x509 -in "$1" -noout -issuer -nameopt multiline | sed -n 's/^ *commonName *= //p'; }

# client_gets_certificate CLIENT: a host and its wildcard, so two values at once under one name.
client_gets_certificate() {
    local client=$1 host=$1.example.com began=$EPOCHREALTIME took chain=$work/$1/fullchain.pem
    local package=${client%%-*}
    command -v "$package" >/dev/null || { skip "$client: not installed (apt-get install $package)"; return; }
    if ! issue "$client" "$client" "$host" "*.$host"; then
        fail "$client: no certificate; the end of its log:"
        tail -n 12 "$work/$client.log"
        return
    fi
    took=$(since "$began")
    check "$client: $took s; $(names "$chain" | paste -sd ' '); issued by $(issuer "$chain")" certified "$chain" "$host" "*.$host"
}

# lego logs "Checking DNS record propagation" even where that is switched off, so look at what it did.
lego_checked_propagation() {
    command -v lego >/dev/null || return 0
    check "lego looked for its values at txtgate itself, port 53" \
        grep -q "htons(53), sin_addr=inet_addr(\"$txtgate_dns\")" "$work/lego/connects"
}

# Every question that the CA has asked for a client was answered alike from all six vantage points.
all_vantage_points_agreed() {
    local total other
    total=$(grep -c '^TXT ' "$work/quorum.log" || true)
    other=$(grep '^TXT ' "$work/quorum.log" | grep -vc ' NOERROR 6/6$' || true)
    check "the CA asked $total times; $other times not every vantage point had the same good answer" \
        test "$total" -gt 0 -a "$other" -eq 0
}

random_value() { openssl rand 32 | base64 | tr '+/' '-_' | tr -d '='; }

# A 200 of /update means visible, everywhere, now: no retries, no waiting.
every_update_is_seen_at_once() {
    local i round value dir=$work/updates digs
    local -a seen=(0 0 0 0 0 0)
    mkdir "$dir"
    for ((round = 0; round < rounds; round++)); do
        value=$(random_value)
        "$ACME_HOOK" setup updates.example.com "$value" >>"$work/updates.log" 2>&1 || continue
        digs=()
        for i in "${!vantage[@]}"; do
            dig +short +tries=1 +time=5 "@${vantage[$i]}" TXT _acme-challenge.updates.example.com >"$dir/$i" 2>&1 &
            digs+=($!)
        done
        wait "${digs[@]}" || true
        for i in "${!vantage[@]}"; do
            if grep -qxF "\"$value\"" "$dir/$i"; then
                seen[i]=$((seen[i] + 1))
            else
                { echo "round $round, ${vantage[$i]}: $value not in:"; cat "$dir/$i"; } >>"$work/updates.log"
            fi
        done
    done
    for i in "${!vantage[@]}"; do
        check "vantage ${vantage[$i]} qname-minimisation $(minimises "$i"): ${seen[$i]}/$rounds updates seen at once" \
            test "${seen[$i]}" -eq "$rounds"
    done
}

# freeze INDEX: a vantage point whose packets vanish, as behind a block or a broken route.
freeze() { kill -STOP "${pid_of[vantage$1]}"; }
thaw() { kill -CONT "${pid_of[vantage$1]}"; }

# quorum_issue TAG: with the first client there is.
quorum_issue() {
    issue "$quorum_client" "$1" quorum.example.com && certified "$work/$1/fullchain.pem" quorum.example.com
}

quorum_refuses() { ! issue "$quorum_client" "$1" quorum.example.com && [[ ! -e $work/$1/fullchain.pem ]]; }

# The lab itself must be able to say no, and for the reason that we think: the same order passes before and after.
quorum_is_enforced() {
    local client quorum_client=
    for client in uacme dehydrated certbot lego; do
        if command -v "$client" >/dev/null; then quorum_client=$client; break; fi
    done
    [[ $quorum_client ]] || { skip "the quorum: no client installed"; return; }
    freeze 0
    check "one vantage point of six is dead: $quorum_client still gets its certificate" quorum_issue quorum-one-dead
    freeze 1
    check "two vantage points are dead: $quorum_client gets none" quorum_refuses quorum-two-dead
    check "and it was the quorum that refused" \
        eventually 30 grep -q '^TXT _acme-challenge.quorum.example.com. SERVFAIL 4/6' "$work/quorum.log"
    thaw 0
    thaw 1
    check "all are back: $quorum_client gets its certificate" quorum_issue quorum-all-back
}

# A key is shown once, to its owner. It has no place in a log, neither txtgate's nor that of a client with its hook.
no_key_in_the_log() {
    check "no API key stands in any log" \
        test "$(jq -r '.[].password' "$TXTGATE_ACCOUNTS" | grep -cFf - "$work"/*.log | awk -F: '{n += $NF} END {print n}')" -eq 0
}
