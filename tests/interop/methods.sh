# The daemon itself as the CA's client, by the methods that only the newest pebble offers: dns-account-01 and
# dns-persist-01. Sourced by newest.sh, inside the namespace.

# become_a_client: adds what the daemon needs for that; to be called before it is started again.
become_a_client() {
    {
        acme_settings acme
        zone_settings _acme-challenge.delegated.example.com "ns1.$zone"
    } >>"$TXTGATE_CONFIG"
}

# told HOST TYPE: the record that the daemon asks for, as it has printed it.
told() { grep -m1 "^_[^ ]*\.$1\. $2 " "$work/cert-$1.log"; }

# missing_first METHOD HOST: asks for a certificate for a host and its wildcard; the daemon says what is missing.
missing_first() {
    local rc=0
    txtgate cert issue --challenge "$1" --name "$2" --name "*.$2" >"$work/cert-$2.log" 2>&1 || rc=$?
    cat "$work/cert-$2.log"
    ((rc == 3))
}

# daemon_gets HOST METHOD: a certificate for a host and its wildcard that needs no record, called METHOD.HOST.
daemon_gets() {
    txtgate cert issue --challenge "$2" --cert-name "$2.$1" --name "$1" --name "*.$1" &&
        certified "$live/$2.$1/fullchain.pem" "$1" "*.$1"
}

# daemon_goes_on HOST: the same, of one that was asked for before.
daemon_goes_on() { txtgate cert renew "$1" && certified "$live/$1/fullchain.pem" "$1" "*.$1"; }

# asked_at NAME: whether the CA has asked there, and every vantage point has given it the same good answer.
asked_at() { grep "^TXT $1. " "$work/quorum.log" | grep -q ' NOERROR 6/6$'; }

account_label_of() { txtgate acme account show --json | jq -er .label; }

# authorizations NAME: what every vantage point sees there, one a line.
authorizations() { dig +short +tries=1 +time=5 "@${vantage[0]}" TXT "_validation-persist.$1" | tr -d '\\' | grep '^"'; }
stands_once() { [[ $(authorizations "$1") == "\"$2\"" ]]; }
stands_no_more() { ! authorizations "$1"; }

daemon_by_account_label() {
    local host=acct.example.com name target label
    label=$(account_label_of)
    check "the daemon, dns-account-01: says which CNAME it needs" missing_first dns-account-01 "$host"
    read -r name _ target <<<"$(told "$host" CNAME)"
    check "it is at the label of its account, $label" test "$name" == "$label._acme-challenge.$host."
    add_record "${name%.}" CNAME "$target"
    check "the daemon, dns-account-01: $host and its wildcard" daemon_goes_on "$host"
    check "the CA has looked there" asked_at "${name%.}"
    check "the daemon, dns-account-01: its zone's own name" daemon_gets "$zone" dns-account-01
    check "the CA has looked in the zone itself" asked_at "$label._acme-challenge.$zone"
    add_record _acme-challenge.delegated.example.com NS "ns1.$zone."
    txtgate account create delegated.example.com --zone _acme-challenge.delegated.example.com >>"$work/checks.log"
    check "the daemon, dns-account-01: below the apex of a challenge zone" \
        daemon_gets delegated.example.com dns-account-01
}

daemon_by_standing_grant() {
    local host=standing.example.com name target value before
    value="$ISSUER; accounturi=$(txtgate acme account show --json | jq -r .account); policy=wildcard"
    check "the daemon, dns-persist-01: says which records it needs" missing_first dns-persist-01 "$host"
    read -r name _ target <<<"$(told "$host" CNAME)"
    add_record "${name%.}" CNAME "$target"
    check "the daemon, dns-persist-01: $host and its wildcard, through a CNAME" daemon_goes_on "$host"
    check "the CA has looked there" asked_at "_validation-persist.$host"
    before=$(serial "$host")
    check "it stands, and another certificate needs no other one" daemon_goes_on "$host"
    check "which is another certificate" test "$before" != "$(serial "$host")"
    check "one authorization stands there" stands_once "$host" "$value"
    check "the certificate is deleted" txtgate cert delete "$host"
    check "and nothing is granted any more" stands_no_more "$host"
    check "the daemon, dns-persist-01: its zone's own name" daemon_gets "$zone" dns-persist-01
}

# The record that the daemon prints goes into the user's zone as it is.
daemon_by_record_of_the_user() {
    local host=written.example.com name data
    missing_first dns-persist-01 "$host" >/dev/null
    read -r name _ data <<<"$(told "$host" TXT)"
    add_record "${name%.}" TXT "${data/ policy=wildcard/ policy=other}"
    check "a record without policy=wildcard is not enough" daemon_says "$host" "malformed"
    edit_zone "/^$name /d"
    add_record "${name%.}" TXT "$data"
    check "the daemon, dns-persist-01: $host and its wildcard, by a record in the user's zone" daemon_goes_on "$host"
    check "that it goes on standing is told" says_what_stands "$host" "$name TXT $data"
}
daemon_says() { ! txtgate cert renew "$1" >"$work/said.log" 2>&1 && grep -F "$2" "$work/said.log"; }
says_what_stands() { txtgate cert delete "$1" | grep -F "$2"; }

daemon_by_new_methods() {
    daemon_by_account_label
    ISSUER=pebble.letsencrypt.org daemon_by_standing_grant
    daemon_by_record_of_the_user
}
