# The CA's side: six resolvers, the quorum over them, and pebble. Sourced by suite, inside the namespace.

# Ranges that a CA's resolver never asks nor believes (what Boulder's documented resolver refuses).
special_ranges=(0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    ::1/128 fc00::/7 fe80::/10)

# unbound_config INDEX: as Let's Encrypt sets it up: 0x20, 1232 bytes, nothing cached.
unbound_config() {
    local range
    cat <<END
server:
  interface: ${vantage[$1]}@53
  outgoing-interface: ${vantage[$1]}
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "$work"
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  logfile: ""
  num-threads: 1
  do-ip6: no
  module-config: "iterator"
  root-hints: "$work/root.hints"
  use-caps-for-id: yes
  edns-buffer-size: 1232
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
END
    case $(minimises "$1") in
        strict) printf '  qname-minimisation: yes\n  qname-minimisation-strict: yes\n' ;;
        *) printf '  qname-minimisation: %s\n' "$(minimises "$1")" ;;
    esac
    for range in "${special_ranges[@]}"; do
        printf '  private-address: %s\n  do-not-query-address: %s\n' "$range" "$range"
    done
    printf 'remote-control:\n  control-enable: no\n'
}

start_vantage_points() {
    local i
    printf '. 60 IN NS ns.root-servers.example.\nns.root-servers.example. 60 IN A %s\n' "$root_dns" >"$work/root.hints"
    for i in "${!vantage[@]}"; do
        unbound_config "$i" >"$work/vantage$i.conf"
        start "vantage$i" unbound -d -p -c "$work/vantage$i.conf"
    done
    for i in "${!vantage[@]}"; do
        up "vantage$i" resolves "${vantage[$i]}" "ns1.$zone"
    done
}

# resolves ADDRESS NAME: the whole walk: root, net, example.net, txtgate.
resolves() { [[ $(dig +short +tries=1 +time=2 "@$1" A "$2") == "$txtgate_dns" ]]; }

start_quorum() {
    start quorum /usr/bin/python3 "$here/quorum.py" "$quorum_dns" "${vantage[@]}"
    up quorum resolves "$quorum_dns" "ns1.$zone"
}

# pebble_up MEMBERS [VARIABLE=VALUE...]: more of its configuration, in JSON. It is as it is by default, but for sleeps of up
# to 15 s: it refuses nonces, and takes names as proven because of an earlier order.
pebble_up() {
    local members=$1; shift
    cat >"$work/pebble.json" <<END
{"pebble": {
  "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
  "certificate": "$work/tls/server.pem", "privateKey": "$work/tls/server.key",
  "httpPort": 5002, "tlsPort": 5001${members:+, $members}}}
END
    start pebble env PEBBLE_VA_NOSLEEP=1 "$@" pebble -config "$work/pebble.json" -dnsserver "$quorum_dns:53"
    up pebble curl -sf --cacert "$work/tls/ca.pem" "$ACME_DIRECTORY"
    # Pebble makes a new root at each start.
    manage roots/0 >"$work/root.pem"
}

# What it does with neither: every order is proven, at once.
plain=(PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0)

# start_pebble [MEMBERS]: the CA of the clients.
start_pebble() {
    start_quorum
    pebble_up "${1:-}" "${plain[@]}"
}

# manage PATH [OPTION...]: its management interface.
manage() { curl -sf --cacert "$work/tls/ca.pem" "https://127.0.0.1:15000/$1" "${@:2}"; }

# How often an order was placed.
orders() { grep -c 'POST /order-plz' "$work/pebble.log" || true; }

# One for customers: the key that it has given us, and its part of the configuration.
kid=kid-1
hmac=zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W
for_customers="\"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {\"$kid\": \"$hmac\"}"
binding=("eab-kid = \"$kid\"" 'eab-key-file = "eab.key"')
