# Managed certificates: asking for them as a user does, and looking at what is there. Sourced by managed.sh and newest.sh.

live=$work/txtgate/certificates/live

# says CODE SENTENCE COMMAND...: the command ends with this code and prints this sentence; all that it prints stays in said.
says() {
    local code=$1 sentence=$2 rc=0; shift 2
    "$@" >"$work/said" 2>&1 </dev/null || rc=$?
    cat "$work/said"
    echo "exit code $rc"
    ((rc == code)) && grep -qF -- "$sentence" "$work/said"
}

# issues SENTENCE COMMAND...: the command ends well and prints this sentence. Where only the CA's own look-up has timed out, as
# on a busy machine, it is repeated, as the daemon repeats it by itself; `tries` counts that.
issues() {
    tries=1
    until says 0 "$@"; do
        grep -q 'i/o timeout' "$work/said" && ((tries < 10)) || return
        tries=$((tries + 1))
    done
}

# tells TEXT CODE SENTENCE COMMAND...: a check, and what a user reads.
tells() {
    check "$1" says "${@:2}"
    sed 's/   */  /g; s/^/      | /' "$work/said"
}

ask_for() { # NAME... [OPTION...]
    local words=()
    while (($# > 0)) && [[ $1 != -* ]]; do words+=(--name "$1"); shift; done
    txtgate cert issue "${words[@]}" "$@"
}

# Exactly as they have just been printed, into the user's zone.
printed_records() { grep -E '^[^ ]+\. CNAME [^ ]+\.$' "$work/said"; }
add_printed_records() { printed_records >"$work/records" && edit_zone "\$r $work/records"; }

# delegated NAME... [OPTION...]: a certificate is asked for, and the records that it lacks are added.
delegated() { says 3 "Add these records, once and for ever:" ask_for "$@" && add_printed_records; }

# about CERTIFICATE FILTER: what the daemon knows of it.
about() { txtgate cert show "$1" --json | jq -er "$2"; }

serial() { openssl x509 -in "$live/$1/cert.pem" -noout -serial | sed 's/^serial=//' | tr A-F a-f; }
serial_is_not() { [[ $(serial "$1") != "$2" ]]; }

# is_pair FOLDER: certificate and key fit, and the files say the same.
is_pair() {
    cmp <(cat "$1/cert.pem" "$1/chain.pem") "$1/fullchain.pem" &&
        cmp <(openssl x509 -in "$1/cert.pem" -noout -pubkey) <(openssl pkey -in "$1/privkey.pem" -pubout)
}

# in_place CERTIFICATE NAME...: a chain to the CA's root with these names, and the key to it.
in_place() {
    local name=$1; shift
    is_pair "$live/$name" && certified "$live/$name/fullchain.pem" "$@"
}
