# Signing the zones of others, with ldns. Sourced by what signs, inside the namespace.

# make_key ZONE: K<zone> names its files.
declare -A key_of=()
make_key() {
    mkdir -p "$work/keys"
    key_of[$1]=$work/keys/$(cd "$work/keys" && ldns-keygen -a ECDSAP256SHA256 -k "$1")
}

# ds_of ZONE: the line that its parent has.
ds_of() { ldns-key2ds -n -2 "${key_of[$1]}.key" | sed 's/\tIN\t/ 60 IN /; s/^\([^ \t]*\)[ \t]*[0-9]* /\1 /'; }

# sign ZONE FILE: in place, from an hour ago on.
sign() {
    ldns-signzone -i "$(date -u -d '1 hour ago' +%Y%m%d%H%M%S)" -o "$1" -f "$2.signed" "$2" "${key_of[$1]}"
    mv "$2.signed" "$2"
}
