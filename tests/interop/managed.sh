#!/usr/bin/env bash
# managed.sh WORK-FOLDER TXTGATE-BINARY: certificates that the daemon gets and keeps for other programs, started by
# `run --managed`. The same lab; three CAs, one after the other: a plain one, one with the faults that pebble has by default,
# and one for customers.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/begin.sh"
. "$here/vantage.sh"
. "$here/checks.sh"
. "$here/certificates.sh"

validity=20 # seconds, where certificates are renewed by themselves: after 13

# config STATE [LINE...]: more lines for [acme].
config() {
    cat <<END
[dns]
listen = ["$txtgate_dns:53"]
[api]
listen = ["${TXTGATE_URL#http://}"]
registration = "closed"
$(acme_settings "$@")
[metrics]
listen = ["${metrics#http://}"]
$(zone_settings "$zone" "ns1.$zone")
END
}

# --- the deploy hook, and those for whom the files are

make_hook() {
    chmod 711 "$work" # as another user it must find its way
    mkdir -m 1777 "$work/deployed"
    cat >"$work/deploy" <<'END'
#!/bin/sh
# deploy FOLDER: notes each run: as whom, whether that one may read the key, and the environment.
{
    echo "as=$(id -un):$(id -Gn) $*"
    test -r "$TXTGATE_PRIVKEY" && echo key=readable
    env
} >>"$1/$TXTGATE_CERT_NAME.$TXTGATE_CERT_SERIAL"
END
    chmod 755 "$work/deploy"
    hook=(-- "$work/deploy" "$work/deployed")
}

# A plain user's namespace has no other users, so there is nobody to give files to.
choose_owners() {
    touch "$work/whose"
    if chown nobody:mail "$work/whose" 2>>"$work/checks.log"; then
        owners=(--owner nobody --group mail --hook-user nobody)
        whose=nobody:mail whose_hook=nobody:$(id -Gn nobody)
    else
        skip "files and hooks of other users: only root can give them away"
        owners=() whose=$(id -un):$(id -gn) whose_hook=$(id -un):$(id -Gn)
    fi
}

files_are() {
    diff <(printf '%s\n' "cert.pem 644 $whose" "chain.pem 644 $whose" "fullchain.pem 644 $whose" "privkey.pem 640 $whose") \
        <(cd "$live/$1" && stat -c '%n %a %U:%G' -- *)
}

# The environment is what docs/acme.md names, and what a shell adds.
hook_ran() { # CERTIFICATE
    local note
    note=$work/deployed/$1.$(serial "$1")
    cat "$note"
    diff <(printf '%s\n' "as=$whose_hook $work/deployed" key=readable "TXTGATE_CERT_NAME=$1" \
        "TXTGATE_CERT_NAMES=$(about "$1" '.shown.names | join(" ")')" "TXTGATE_CERT_NOT_AFTER=$(about "$1" .shown.not_after)" \
        "TXTGATE_CERT_SERIAL=$(serial "$1")" "TXTGATE_FULLCHAIN=$live/$1/fullchain.pem" "TXTGATE_LIVE=$live/$1" \
        "TXTGATE_PRIVKEY=$live/$1/privkey.pem" | sort) \
        <(grep -Ev '^(PATH|PWD|OLDPWD|SHLVL|_)=' "$note" | sort)
}

# --- a plain CA

twenty_two_names() {
    local names=(example.com '*.example.com') number began
    for number in {1..20}; do names+=("n$number.example.com"); done
    check "22 names, nothing delegated: exit code 3" says 3 "Add these records, once and for ever:" \
        ask_for "${names[@]}" --mode 0640 "${owners[@]}" "${hook[@]}"
    check "it prints a record for each challenge name, and no more" \
        diff <(printf '_acme-challenge.%s.\n' "${names[0]}" "${names[@]:2}" | sort) <(grep CNAME "$work/said" | cut -d' ' -f1 | sort)
    printed_records | sed -n '1,2s/^/      | /p'
    check "nothing was ordered" test "$(orders)" -eq 0
    check "the user adds them as they are printed" add_printed_records
    began=$EPOCHREALTIME
    check "txtgate cert renew" issues "example.com: valid until " txtgate cert renew example.com
    check "22 names in $(since "$began") s: chain, names and key" in_place example.com "${names[@]}"
    check "live/ leads to archive/" test "$(readlink "$live/example.com")" = ../archive/example.com/1
    check "files of $whose, the key's mode 640" files_are example.com
    check "the hook ran as $whose_hook with its environment" hook_ran example.com
    check "one order for each attempt" test "$(orders)" -eq "$tries"
    all_vantage_points_agreed
}

# Reload takes up zone and certificate; then the user does what the daemon says.
by_nameserver_records() {
    local name=delegated.example.com challenge
    challenge=_acme-challenge.$name
    check "the user delegates $challenge" edit_zone "\$a $challenge. 60 IN NS ns1.$zone."
    {
        zone_settings "$challenge" "ns1.$zone"
        printf '[[certificate]]\nnames = ["%s", "*.%s"]\n' "$name" "$name"
    } >>"$TXTGATE_CONFIG"
    reload
    check "reload takes up [[certificate]]" eventually 10 about "$name" .configured
    tells "its zone belongs to nobody" 1 "nobody owns $challenge; run \`txtgate account create DOMAIN --zone $challenge\` first" \
        txtgate cert renew "$name"
    check "an account gets the zone" txtgate account create "$name" --zone "$challenge"
    reload
    check "it is there by itself" eventually 300 test -e "$live/$name/fullchain.pem"
    check "by NS records, $name and its wildcard" in_place "$name" "$name" "*.$name"
    check "the parent's nameservers are those of the configuration" \
        test "$(grep "$challenge" "$work/txtgate.log" | grep -c 'txtgate::certificates::preflight')" -eq 0
    check "the CA has looked there" grep -q "^TXT $challenge. NOERROR 6/6" "$work/quorum.log"
}

key_rollover() {
    local before
    before=$(txtgate acme account show --json | jq -er .key)
    check "the account gets another key" txtgate acme account rollover
    check "it is another one" test "$(txtgate acme account show --json | jq -er .key)" != "$before"
    check "and a certificate is renewed with it" issues "valid until " txtgate cert renew delegated.example.com
    check "another pair is in place" test "$(readlink "$live/delegated.example.com")" = ../archive/delegated.example.com/2
}

# What a user sees of what goes wrong, one name at a time.
what_is_told() {
    local name=b.example.com before target
    check "$name is delegated" delegated "$name"
    target=$(printed_records | cut -d' ' -f3)
    check "$name has a certificate" issues "valid until " txtgate cert renew "$name"
    before=$(orders)
    edit_zone "/^_acme-challenge\.b\./d"
    tells "the CNAME is gone" 3 "the name _acme-challenge.$name does not exist" txtgate cert renew "$name"
    edit_zone "\$a _acme-challenge.$name. 60 IN CNAME elsewhere.example.net."
    tells "the CNAME leads elsewhere" 3 "it leads to elsewhere.example.net" txtgate cert renew "$name"
    tells "and cert list says so" 0 "so add \`_acme-challenge.$name. CNAME $target\`" txtgate cert list
    check "nothing was ordered" test "$(orders)" -eq "$before"
    check "the certificate of before is in place" in_place "$name" "$name"
    edit_zone "s/elsewhere\.example\.net\./$target/"
    check "the CNAME is back" issues "$name: valid until " txtgate cert renew "$name"
    printf '#!/bin/sh\necho "nginx: no such server"\nexit 7\n' >"$work/fails"
    chmod 755 "$work/fails"
    tells "a hook that fails" 1 "exit code 7; it has printed \"nginx: no such server\"" ask_for "$name" -- "$work/fails"
    caa
    deactivation "$name"
}

# This CA's directory does not say by which name CAA records know it. newest.sh has one that does.
caa() {
    edit_zone "\$a c.example.com. 60 IN CAA 0 issue \"other.example\""
    check "c.example.com, whose CAA records name another CA, is delegated" delegated c.example.com
    if txtgate acme directory | tee -a "$work/checks.log" | grep -q pebble.letsencrypt.org; then
        tells "CAA forbids the CA" 1 "CAA records forbid this CA" txtgate cert renew c.example.com
    else
        check "a CA that does not say who it is, is not judged by CAA" issues "valid until " txtgate cert renew c.example.com
    fi
}

deactivation() { # CERTIFICATE
    ask_for "$1" --no-wait --replace >>"$work/checks.log" # without the hook that fails
    txtgate acme account deactivate --yes >>"$work/checks.log"
    tells "the account is deactivated: the CA's own words" 1 "urn:ietf:params:acme:error:unauthorized" txtgate cert renew "$1"
    tells "and in cert list" 0 "urn:ietf:params:acme:error:unauthorized" txtgate cert list
    check "the certificate of before is in place" in_place "$1" "$1"
}

# --- a CA with its faults, whose certificates are soon over

# read_pairs: like a server that is restarted all the time. The folder is looked up once, as a careful one does.
read_pairs() {
    local folder good=0 bad=0
    local -A seen=()
    until [[ -e $work/stop ]]; do
        folder=$(realpath -m "$live/p.example.com")
        if is_pair "$folder"; then good=$((good + 1)); else bad=$((bad + 1)); fi
        seen[$folder]=1
    done
    echo "$good times a pair, $bad times none, ${#seen[@]} different ones"
    ((good > 50 && bad == 0 && ${#seen[@]} >= 3))
}

ran_once_each() {
    local note
    (($(find "$work/deployed" -name "$1.*" | wc -l) >= $2)) || return
    for note in "$work/deployed/$1".*; do (($(grep -c '^as=' "$note") == 1)) || return; done
}

renewals() {
    local name=p.example.com number before rc
    check "with bad nonces and reuse: $name and its wildcard are delegated" delegated "$name" "*.$name" "${owners[@]}" --mode 0640 "${hook[@]}"
    check "they have a certificate" issues "valid until " txtgate cert renew "$name"
    check "chain, names and key" in_place "$name" "$name" "*.$name"
    start reader read_pairs
    revocation
    for number in first second; do
        before=$(serial "$name")
        check "nobody does anything: the $number renewal" eventually 300 serial_is_not "$name" "$before"
    done
    check "the hook ran once with each certificate" eventually 5 ran_once_each "$name" 3
    touch "$work/stop"
    wait "${pid_of[reader]}" && rc=0 || rc=$?
    unset "pid_of[reader]"
    check "all the while a reader of live/ found $(tail -n 1 "$work/reader.log")" test "$rc" -eq 0
    before=$(about r.example.com .ended)
    reload
    check "the daemon looks at the revoked certificate again" eventually 10 ended_over r.example.com "$before"
    check "it was not renewed" test "$(serial r.example.com)" = "$revoked" -a "$(orders_for r.example.com)" -eq 1
    check "but is when somebody asks for it" issues "valid until " txtgate cert renew r.example.com
    check "pebble refused nonces as it does by default" grep -q 'Configured to reject 5% of good nonces' "$work/pebble.log"
}

ended_over() { (($(about "$1" .ended) > $2)); }
orders_for() { grep 'ordering a certificate' "$work/txtgate.log" | grep -c "name=$1"; }

revocation() {
    check "r.example.com is delegated" delegated r.example.com
    check "r.example.com has a certificate" issues "valid until " txtgate cert renew r.example.com
    revoked=$(serial r.example.com)
    tells "it is revoked" 0 "r.example.com is revoked" txtgate cert revoke r.example.com --reason superseded
    check "pebble says so: $(manage "cert-status-by-serial/$revoked" | jq -c '{Serial, Status, Reason}')" \
        test "$(manage "cert-status-by-serial/$revoked" | jq -r '"\(.Status) \(.Reason)"')" = "Revoked 4"
    check "so does cert list" grep -q '^r\.example\.com .* revoked ' <(txtgate cert list)
}

ca_is_down() {
    local name=p.example.com
    stop pebble
    tells "the CA is down" 1 "the CA cannot be reached at ${ACME_DIRECTORY%dir}" txtgate cert renew "$name"
    check "the pair is still there" is_pair "$live/$name"
    pebble_up "\"certificateValidityPeriod\": $validity" # which forgets everything
    tells "the CA is back, and has forgotten the account" 1 "urn:ietf:params:acme:error:accountDoesNotExist" txtgate cert renew "$name"
}

# --- a CA for customers

for_a_customer() {
    local name=e.example.com
    check "$name is delegated" delegated "$name"
    tells "a CA for customers, without its key" 1 "eab-kid" txtgate cert renew "$name"
    stop txtgate
    (umask 077; echo "$hmac" >"$work/txtgate/eab.key")
    config customers "${binding[@]}" >"$TXTGATE_CONFIG"
    start_daemon
    check "with the key $name has a certificate" issues "valid until " txtgate cert renew "$name"
    check "chain, names and key" in_place "$name" "$name"
}

# another_ca MEMBERS STATE: the daemon becomes its client.
another_ca() {
    stop txtgate
    stop pebble
    pebble_up "$1"
    config "$2" >"$TXTGATE_CONFIG"
    start_daemon
}

build_network
make_ca >"$work/openssl.log" 2>&1
make_hook
choose_owners
mkdir "$work/txtgate"
config plain >"$TXTGATE_CONFIG"
start_daemon
start_parents
start_vantage_points
start_pebble

twenty_two_names
by_nameserver_records
key_rollover
what_is_told

another_ca "\"certificateValidityPeriod\": $validity" faults
renewals
ca_is_down

another_ca "$for_customers" customers
for_a_customer

all_vantage_points_agreed
check "no secret stands in any log" test "$(cat "$work"/*.log | grep -cE "$hmac|PRIVATE KEY" || true)" -eq 0
completed=yes
