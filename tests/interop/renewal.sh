# The daemon as the client of a CA that has profiles, suggests when to renew (RFC 9773) and says by which name CAA records know
# it: only the newest pebble does. Sourced by newest.sh, inside the namespace.

shortlived=518400 # seconds that certificates of that profile are valid
profiles="\"profiles\": {\"default\": {\"validityPeriod\": 7776000}, \"shortlived\": {\"validityPeriod\": $shortlived}}"

# dated CERTIFICATE start|end: in seconds.
dated() { date -d "$(openssl x509 -in "$live/$1/cert.pem" -noout "-${2}date" | cut -d= -f2)" +%s; }
is_shortlived() { (($(dated "$1" end) - $(dated "$1" start) == shortlived - 1)); } # the last second is part of it

# suggest CERTIFICATE START END: from now on the CA says so of the certificate that is there.
suggest() {
    local window='{suggestedWindow: {start: ($from | todate), end: ($until | todate)}, explanationURL: "https://ca.example/why"}'
    jq -n --rawfile pem "$live/$1/cert.pem" --argjson from "$2" --argjson until "$3" \
        "{Certificate: \$pem, ARIResponse: ($window | tojson)}" | manage set-renewal-info/ --data-binary @-
}

# renews_between CERTIFICATE START END: what the daemon means to do.
renews_between() {
    local at
    at=$(about "$1" '.renew_at | fromdate')
    echo "$2 <= $at <= $3"
    ((at >= $2 && at <= $3))
}

# began_between CERTIFICATE START END: what it has done; the CA dates certificates by the second.
began_between() { (($(dated "$1" start) >= $2 && $(dated "$1" start) <= $3)); }

record_of() { echo "$work/txtgate/acme/certificates/$1/record.toml"; }
replacements() { grep -c 'has been marked as replaced in the DB' "$work/pebble.log" || true; }

profile() { # CERTIFICATE
    check "$1 is delegated" delegated "$1"
    tells "a profile that the CA has not" 1 'the CA has no certificate profile "longlived"; it has default, shortlived' \
        ask_for "$1" --profile longlived
    check "profile shortlived" says 0 "$1: valid until " ask_for "$1" --profile shortlived
    check "chain, names and key" in_place "$1" "$1"
    check "it is valid for six days" is_shortlived "$1"
}

caa_records() { # CERTIFICATE
    local before allowing
    before=$(orders)
    edit_zone "\$a $1. 60 IN CAA 0 issue \"other.example\""
    tells "CAA records forbid the CA" 1 "CAA records forbid this CA (pebble.letsencrypt.org): $1: $1 has CAA 0 issue \"other.example\"" \
        txtgate cert renew "$1"
    check "nothing was ordered" test "$(orders)" -eq "$before"
    allowing=$(sed -n 's/.*add `\(CAA [^`]*\)`.*/\1/p' "$work/said")
    check "the user adds the record that it names" edit_zone "\$a $1. 60 IN $allowing"
    check "which lets it go on" says 0 "$1: valid until " txtgate cert renew "$1"
}

suggested_time() { # CERTIFICATE
    local first start end before
    start=$(dated "$1" start)
    check "without being told more it renews within the two days that the CA suggests" \
        eventually 5 renews_between "$1" $((start + 3 * 86400)) $((start + 5 * 86400))
    first=$(serial "$1") before=$(replacements) start=$((EPOCHSECONDS + 8)) end=$((EPOCHSECONDS + 11))
    check "the CA suggests another time" suggest "$1" "$start" "$end"
    restart_txtgate # it has been told to ask again in six hours
    check "the daemon means to keep to it" eventually 5 renews_between "$1" "$start" "$end"
    check "and renews" eventually 20 serial_is_not "$1" "$first"
    check "then, and not before" began_between "$1" "$start" $((end + 5))
    check "the log has the CA's explanation" grep -q 'explains why at https://ca.example/why' "$work/txtgate.log"
    check "the order replaced the certificate of before" test "$(replacements)" -eq $((before + 1))
    check "chain, names and key" in_place "$1" "$1"
    check "it is valid for six days" is_shortlived "$1"
}

# put_back CERTIFICATE VERSION RECORD: as from a backup, what is remembered of it too. The CA knows a successor of that.
put_back() {
    local old second
    second=$(serial "$1")
    stop txtgate
    ln -sfn "../archive/$1/$2" "$live/$1"
    cp "$3" "$(record_of "$1")"
    old=$(serial "$1")
    start_daemon
    check "an old certificate is put back: it is renewed" eventually 20 serial_is_not "$1" "$old"
    check "which gives a third one" serial_is_not "$1" "$second"
    check "the CA did not take the order as a replacement, but as a new one" \
        grep -q 'refuses to replace the certificate.*alreadyReplaced' "$work/txtgate.log"
}

daemon_renews_as_the_ca_suggests() {
    local name=m.example.com
    profile "$name"
    caa_records "$name"
    cp "$(record_of "$name")" "$work/record.toml"
    suggested_time "$name"
    put_back "$name" 2 "$work/record.toml"
}
