# The lab: a small internet on lo. Sourced by suite, inside the namespace.
#
#   client --HTTP--> txtgate              pebble (the CA) --> quorum --> six vantage points (unbound)
#                                                                             |
#                      root (nsd) --> com, net (nsd) --> example.com, example.net (nsd) --CNAME, NS--> txtgate
#
# Public-looking addresses, because resolvers that behave as Let's Encrypt's never use private, loopback or
# documentation ones. They exist on lo of this namespace only.
vantage=(3.120.44.53 18.222.7.53 34.217.90.53 13.250.61.53 66.133.40.53 52.66.12.53)
root_dns=199.7.50.53
tld_dns=194.0.20.53
user_dns=85.10.200.53
txtgate_dns=95.217.30.53
quorum_dns=64.78.150.53

zone=auth.example.net
more_nameservers=() # of the zone, as LABEL=ADDRESS
export TXTGATE_URL=http://127.0.0.1:5380
# What the hook reads: `txtgate hook` under the name by which clients may call it.
export ACME_HOOK=$work/txtgate-hook TXTGATE_SERVER=$TXTGATE_URL TXTGATE_ACCOUNTS=$work/accounts.json
# What the operator's commands and the clients of DNS UPDATE need.
export TXTGATE=$binary TXTGATE_CONFIG=$work/txtgate/config.toml TXTGATE_DNS=$txtgate_dns
export ACME_DIRECTORY=https://127.0.0.1:14000/dir
metrics=http://127.0.0.1:5390

# Half of the vantage points minimise the name (RFC 9156), half send it whole: CAs do either. One is strict: it believes
# a name error at a first, minimised question, where the others ask once more in full.
minimises() {
    case $1 in
        0) echo strict ;;
        2 | 4) echo yes ;;
        *) echo no ;;
    esac
}

build_network() {
    local address
    ip link set lo up
    for address in "${vantage[@]}" "$root_dns" "$tld_dns" "$user_dns" "$txtgate_dns" "$quorum_dns"; do
        ip address add "$address/32" dev lo
    done
    # What lego's own propagation checks read; the last vantage point is never broken by a check.
    echo "nameserver ${vantage[5]}" >"$work/resolv.conf"
    echo "127.0.0.1 localhost" >"$work/hosts"
    cover /etc/resolv.conf "$work/resolv.conf"
    cover /etc/hosts "$work/hosts"
}

# cover PATH FILE: in this mount namespace only. A symlink (resolv.conf is one under systemd) has a real file behind it.
cover() { mount --bind "$2" "$(realpath -e "$1")"; }

# A private CA for pebble's own HTTPS; the clients trust it because it is all there is in the system bundle.
make_ca() {
    local tls=$work/tls
    mkdir "$tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=interop CA" \
        -keyout "$tls/ca.key" -out "$tls/ca.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
        -keyout "$tls/server.key" -out "$tls/server.csr"
    openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName = DNS:localhost, IP:127.0.0.1") -out "$tls/server.pem"
    cover /etc/ssl/certs/ca-certificates.crt "$tls/ca.pem"
}

txtgate() { "$TXTGATE" --config "$TXTGATE_CONFIG" "$@"; }

start_daemon() {
    start txtgate "$binary" serve --config "$TXTGATE_CONFIG"
    up txtgate curl -sf "$metrics/ready"
}

reload() { kill -HUP "${pid_of[txtgate]}"; }

# zone_settings ZONE NS: a zone of ours, with the nameserver's address where its name is in the zone.
zone_settings() {
    cat <<END
[[zone]]
name = "$1"
ns = ["$2"]
contact = "hostmaster@example.net"
records = """
$([[ $2 != *."$1" ]] || echo "${2%".$1"} A $txtgate_dns")
"""
END
}

# acme_settings STATE [LINE...]: the daemon as a client of the CA; more lines for the table.
acme_settings() {
    local state=$1; shift
    cat <<END
[acme]
directory = "$ACME_DIRECTORY"
ca-root = "$work/tls/ca.pem"
terms-agreed = true
state = "$state"
$(printf '%s\n' "$@")
END
}

start_txtgate() {
    mkdir "$work/txtgate"
    ln -s "$binary" "$ACME_HOOK"
    cat >"$TXTGATE_CONFIG" <<END
database = "txtgate.db"
admin-socket = "txtgate.sock"
[log]
level = "info"
[dns]
listen = ["$txtgate_dns:53"]
[api]
listen = ["${TXTGATE_URL#http://}"]
registration = "open"
[metrics]
listen = ["${metrics#http://}"]
$(zone_settings "$zone" "ns1.$zone")
END
    start_daemon
}

# first_call NAME: like a client whose domain has no account yet. The hook registers it, names the record, and fails.
first_call() {
    local said rc=0
    said=$("$ACME_HOOK" setup "$1.example.com" "$(random_value)" 2>&1) || rc=$?
    echo "$said"
    ((rc == 3)) && grep -q "_acme-challenge.$1.example.com. CNAME $(fulldomain "$1")." <<<"$said"
}

# fulldomain NAME: of the account for NAME.example.com.
fulldomain() { jq -er --arg domain "$1.example.com" '.[$domain].fulldomain' "$TXTGATE_ACCOUNTS"; }

# soa NS: the beginning that all our zones share.
soa() { printf '@ 60 IN SOA %s hostmaster.example.net. 1 3600 600 86400 60\n@ 60 IN NS %s\n' "$1" "$1"; }

# delegate ZONE NS ADDRESS: what a parent says of its child: NS and glue.
delegate() { printf '%s 60 IN NS %s\n%s 60 IN A %s\n' "$1" "$2" "$2" "$3"; }

# nsd_server NAME ADDRESSES ZONE...: serves NAME/<zone>.zone; one server a level, or the walk from the root would be one step.
nsd_server() {
    local name=$1 addresses=$2 dir=$work/$1 z; shift 2
    cat >"$dir/nsd.conf" <<END
server:
$(printf '  ip-address: %s\n' $addresses)
  username: ""
  chroot: ""
  zonesdir: "$dir"
  database: ""
  pidfile: ""
  xfrdfile: ""
  zonelistfile: "$dir/zone.list"
  xfrdir: "$dir"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
END
    for z; do printf 'zone:\n  name: "%s"\n  zonefile: "%s"\n' "$z" "${z%.}.zone" >>"$dir/nsd.conf"; done
    start "$name" nsd -d -c "$dir/nsd.conf"
}

# start_parents CLIENT...: root, com, net, and the user's own zones: a CNAME per client, once and for all.
start_parents() {
    local name
    mkdir "$work"/{root,tld,user}
    {
        soa ns.root-servers.example.
        echo "ns.root-servers.example. 60 IN A $root_dns"
        delegate com. ns.nic.net. "$tld_dns"
        delegate net. ns.nic.net. "$tld_dns"
    } >"$work/root/.zone"
    {
        soa ns.nic.net.
        delegate example.com. ns.example.com. "$user_dns"
    } >"$work/tld/com.zone"
    {
        soa ns.nic.net.
        echo "ns.nic.net. 60 IN A $tld_dns"
        delegate example.net. ns.example.net. "$user_dns"
    } >"$work/tld/net.zone"
    {
        soa ns.example.net.
        echo "ns.example.net. 60 IN A $user_dns"
        delegate "$zone." "ns1.$zone." "$txtgate_dns"
        for name in "${more_nameservers[@]}"; do delegate "$zone." "${name%=*}.$zone." "${name#*=}"; done
    } >"$work/user/example.net.zone"
    {
        soa ns.example.com.
        echo "ns.example.com. 60 IN A $user_dns"
        for name; do
            echo "_acme-challenge.$name.example.com. 60 IN CNAME $(fulldomain "$name")."
        done
    } >"$work/user/example.com.zone"
    nsd_server root "$root_dns" .
    nsd_server tld "$tld_dns" com. net.
    nsd_server user "$user_dns" example.com. example.net.
    up root dig +tries=1 +time=1 "@$root_dns" . SOA
    up tld dig +tries=1 +time=1 "@$tld_dns" com. SOA
    up user dig +tries=1 +time=1 "@$user_dns" example.com. SOA
    user_pid=${pid_of[user]}
}

# edit_zone SED-COMMAND: what the owner of example.com does to the zone, in the middle of everything.
edit_zone() {
    local file=$work/user/example.com.zone serial
    serial=$(awk 'NR == 1 { print $7 + 1 }' "$file")
    sed -i -e "$1" -e "1s/[0-9]* 3600 600/$serial 3600 600/" "$file"
    kill -HUP "$user_pid"
    eventually 10 zone_has_serial "$serial"
    sleep 1 # resolvers keep what they must not keep until the second is over
}
zone_has_serial() { [[ $(dig +short +tries=1 +time=1 "@$user_dns" SOA example.com | cut -d' ' -f3) == "$1" ]]; }
