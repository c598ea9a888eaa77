# The daemon as the client of another CA: step-ca, which lacks key rollover, renewal information, profiles and terms. Sourced by
# newest.sh, inside the namespace.

step=$work/step
step_directory=https://localhost:14001/acme/acme/directory

# A root and an intermediate, and a CA that issues with the latter to whoever proves a name.
make_step_ca() {
    mkdir "$step"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=second root" \
        -addext "basicConstraints = critical, CA:TRUE" -addext "keyUsage = critical, keyCertSign, cRLSign" \
        -keyout "$step/root.key" -out "$step/root.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=second intermediate" \
        -keyout "$step/issuing.key" -out "$step/issuing.csr"
    openssl x509 -req -in "$step/issuing.csr" -CA "$step/root.pem" -CAkey "$step/root.key" -CAcreateserial -days 2 \
        -extfile <(printf 'basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign\n') \
        -out "$step/issuing.pem"
    cat >"$step/ca.json" <<END
{"root": "$step/root.pem", "crt": "$step/issuing.pem", "key": "$step/issuing.key", "address": "127.0.0.1:14001",
 "dnsNames": ["localhost"], "logger": {"format": "text"}, "db": {"type": "badgerv2", "dataSource": "$step/db"},
 "authority": {"provisioners": [{"type": "ACME", "name": "acme"}]}}
END
}

start_step_ca() {
    make_step_ca >"$work/openssl-step.log" 2>&1
    start step-ca step-ca --resolver "$quorum_dns:53" "$step/ca.json"
    up step-ca curl -sf --cacert "$step/root.pem" "$step_directory"
    cp "$step/root.pem" "$work/root.pem" # what certificates are verified with from now on
}

become_its_client() {
    sed -i -e "s|^directory = \"https.*|directory = \"$step_directory\"|" -e "s|^ca-root = .*|ca-root = \"$step/root.pem\"|" \
        -e 's|^state = .*|state = "second"|' "$TXTGATE_CONFIG"
    restart_txtgate
}

account_key() { txtgate acme account show --json | jq -er .key; }
nothing_is_pending() { txtgate acme account show --json | jq -e '.pending_key == null'; }

# What it cannot do blocks nothing that it can.
without_rollover() { # CERTIFICATE
    local before key
    key=$(account_key)
    tells "it refuses a key rollover" 1 "the account keeps its key, with which orders go on: the CA says: " \
        txtgate acme account rollover
    check "the account keeps its key" test "$(account_key)" = "$key"
    check "nothing is pending" nothing_is_pending
    check "and so there is nothing to give up" says 0 "no key rollover is pending" txtgate acme account rollover --abandon
    before=$(serial "$1")
    check "a renewal goes on" issues "$1: valid until " txtgate cert renew "$1"
    check "with another certificate" serial_is_not "$1" "$before"
}

# The TXT value cannot be seen: this CA leaves the challenge pending, with an error.
without_its_record() { # CERTIFICATE
    edit_zone "s/^_acme-challenge\.$1\. .*/_acme-challenge.$1. 60 IN CNAME ns1.$zone./"
    tells "its CNAME leads astray" 3 "it leads to ns1.$zone" txtgate cert renew "$1"
}

daemon_with_a_second_ca() {
    local name=second.example.com
    command -v step-ca >/dev/null || { skip "step-ca as a second CA: it could not be built"; return; }
    start_step_ca
    become_its_client
    check "step-ca: $name and its wildcard are delegated" delegated "$name" "*.$name"
    check "they have a certificate" issues "$name: valid until " txtgate cert renew "$name"
    check "chain, names and key" in_place "$name" "$name" "*.$name"
    without_rollover "$name"
    check "chain, names and key" in_place "$name" "$name" "*.$name"
    check "its contacts are changed" txtgate acme account update-contact
    tells "it revokes" 0 "$name is revoked" txtgate cert revoke "$name" --reason superseded
    check "and issues again" issues "$name: valid until " txtgate cert renew "$name"
    without_its_record "$name"
    check "the account is deactivated" txtgate acme account deactivate --yes
}
