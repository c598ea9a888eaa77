#!/usr/bin/env bash
# newest.sh WORK-FOLDER TXTGATE-BINARY: the same lab with the newest pebble and the newest lego, and with step-ca as a second
# CA, built as Go modules by `run --go`: what Debian's packages of them cannot do. Started as the first process of its own namespaces.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/vantage.sh"
. "$here/checks.sh"
. "$here/certificates.sh"
. "$here/methods.sh"
. "$here/renewal.sh"
. "$here/second.sh"

client=$work/go/bin/client
export PATH=$work/go/bin:$PATH # the newest pebble before Debian's

# way TEXT CLIENT-WAY FOLDER NAME...: one certificate, and how long it took.
way() {
    local text=$1 kind=$2 dir=$work/$3 began=$EPOCHREALTIME took; shift 3
    mkdir -p "$dir"
    if ! "$client" "$kind" "$dir" "$@" >>"$dir.log" 2>&1; then
        fail "$text: no certificate; the end of its log:"
        tail -n 12 "$dir.log"
        return
    fi
    took=$(since "$began")
    check "$text: $took s; $(names "$dir/fullchain.pem" | paste -sd ' ')" certified "$dir/fullchain.pem" "$@"
}

# add_record NAME TYPE DATA: what the owner of example.com does once.
add_record() { edit_zone "\$a $1. 60 IN $2 $3"; }
add_cname() { add_record "$1" CNAME "$2."; }
cname_is_there() { dig +short +tries=1 +time=1 "@$user_dns" CNAME "$1" | grep -q .; }

# lego registers by itself, stops, and says which CNAME it needs; the second run then goes through.
acme_dns_with_a_file() {
    local host=file.example.com fulldomain
    export ACME_DNS_API_BASE=$TXTGATE_URL ACME_DNS_STORAGE_PATH=$work/lego-file.json
    mkdir -p "$work/lego-file"
    "$client" acme-dns "$work/lego-file" "$host" "*.$host" >"$work/lego-file.log" 2>&1 || true
    check "the newest lego, acme-dns: registers, and asks for the CNAME" grep -q "CNAME" "$work/lego-file.log"
    fulldomain=$(jq -r --arg host "$host" '.[$host].fulldomain' "$work/lego-file.json")
    check "the CNAME is added while everything runs" add_cname "_acme-challenge.$host" "$fulldomain"
    way "the newest lego, acme-dns, accounts in a file" acme-dns lego-file "$host" "*.$host"
    unset ACME_DNS_API_BASE ACME_DNS_STORAGE_PATH
}

# The label is made of the ACME account's URL, so its CNAME can be added only when that is known.
present_label() {
    local name=$1._acme-challenge.label.example.com
    cname_is_there "$name" || add_cname "$name" "$(fulldomain label)"
    "$ACME_HOOK" setup label.example.com "$2"
}

account_label_by_cname() {
    export -f present_label fulldomain add_cname add_record edit_zone zone_has_serial cname_is_there eventually
    PRESENT_COMMAND='present_label "$@"' way "dns-account-01 through a CNAME" dns-account-01 label \
        label.example.com "*.label.example.com"
}

restart_txtgate() {
    stop txtgate
    start_daemon
}

account() { jq -er --arg domain "$1.example.com" --arg field "$2" '.[$domain][$field]' "$TXTGATE_ACCOUNTS"; }

# lego without a disk: the server keeps its account. Registration is closed but for tokens; this one gives a label that is
# known beforehand, so the CNAME is there before lego is, and its first run goes through.
acme_dns_with_http_storage() {
    local token
    sed -i 's/^registration = .*/registration = "closed"/' "$TXTGATE_CONFIG"
    restart_txtgate
    token=$(txtgate enrol create --label storage --json | jq -r .token)
    add_cname _acme-challenge.storage.example.com "storage.$zone"
    ACME_DNS_API_BASE=${TXTGATE_URL/:\/\//:\/\/txtgate:$token@} \
        ACME_DNS_STORAGE_BASE_URL=${TXTGATE_URL/:\/\//:\/\/txtgate:$token@}/v1/storage \
        way "the newest lego, acme-dns, accounts kept by the server, first run" acme-dns lego-storage \
        storage.example.com "*.storage.example.com"
}

httpreq() {
    HTTPREQ_ENDPOINT=$TXTGATE_URL HTTPREQ_USERNAME=$(account httpreq username) HTTPREQ_PASSWORD=$(account httpreq password) \
        HTTPREQ_POLLING_INTERVAL=1 way "the newest lego, httpreq" httpreq lego-httpreq httpreq.example.com "*.httpreq.example.com"
}

dnsupdate() {
    local key secret
    read -r key secret < <("$here/tsig-key" dnsupdate.example.com)
    DNSUPDATE_NAMESERVER=$txtgate_dns DNSUPDATE_TSIG_KEY=$key DNSUPDATE_TSIG_SECRET=$secret \
        DNSUPDATE_TSIG_ALGORITHM=hmac-sha256. DNSUPDATE_POLLING_INTERVAL=1 DNSUPDATE_SEQUENCE_INTERVAL=1 \
        way "the newest lego, dnsupdate (RFC 2136)" dnsupdate lego-dnsupdate dnsupdate.example.com "*.dnsupdate.example.com"
}

# One record, for as long as it stands: no value is published for the order itself.
grant() { "$TXTGATE" --config "$TXTGATE_CONFIG" persist publish "$(fulldomain persist)" "$ISSUER; accounturi=$1; policy=wildcard"; }

dns_persist_01() {
    add_cname _validation-persist.persist.example.com "$(fulldomain persist)"
    export -f grant fulldomain
    ISSUER=pebble.letsencrypt.org PERSIST_COMMAND='grant "$@"' way "dns-persist-01" dns-persist-01 persist \
        persist.example.com "*.persist.example.com"
}

# Its plugin reads the account file as the hook keeps it, and does not register.
certbot_dns_acmedns() {
    local ini=$work/acmedns.ini
    (umask 077 && printf 'dns_acmedns_api_url = %s/\ndns_acmedns_registration_file = %s\n' "$TXTGATE_URL" "$TXTGATE_ACCOUNTS" >"$ini")
    CERTBOT_WAY="-a dns-acmedns --dns-acmedns-credentials $ini --dns-acmedns-propagation-seconds 1" \
        PATH=$work/venv/bin:$PATH client_gets_certificate certbot
}

accounts=(label httpreq dnsupdate persist certbot)
build_network
make_ca >"$work/openssl.log" 2>&1
start_txtgate
printf '[values]\npersist = true\n' >>"$TXTGATE_CONFIG"
become_a_client
restart_txtgate
for account in "${accounts[@]}"; do
    check "the hook registers $account.example.com and names the CNAME" first_call "$account"
done
start_parents "${accounts[@]}"
export work user_dns user_pid
start_vantage_points
start_pebble "$profiles"

acme_dns_with_a_file
httpreq
dnsupdate
certbot_dns_acmedns
account_label_by_cname
dns_persist_01
daemon_by_new_methods
daemon_renews_as_the_ca_suggests
acme_dns_with_http_storage
daemon_with_a_second_ca
no_key_in_the_log
completed=yes
