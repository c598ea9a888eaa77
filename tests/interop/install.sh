# What the test needs from Debian. Sourced by run, outside the namespace.

# command:package. Without one of these there is no lab; without a client only that client is left out.
# The python is Debian's own, by its path: dnspython comes with it, not with another that stands before it in PATH.
lab_tools=(pebble:pebble unbound:unbound nsd:nsd dig:bind9-dnsutils curl:curl jq:jq openssl:openssl ip:iproute2
    /usr/bin/python3:python3 strace:strace unshare:util-linux
    ldns-signzone:ldnsutils)
judge_tools=(zonemaster-cli:zonemaster-cli dnsviz:dnsviz delv:bind9-dnsutils drill:ldnsutils)
client_tools=(certbot:certbot lego:lego dehydrated:dehydrated uacme:uacme acmetool:acmetool)

# missing_packages TOOL...: the packages to install, one a line.
missing_packages() {
    local tool
    for tool; do
        command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
    done
}

missing_lab_packages() {
    missing_packages "${lab_tools[@]}"
    /usr/bin/python3 -c "import dns.asyncquery" 2>/dev/null || echo python3-dnspython
    /usr/bin/python3 -c "import certbot_dns_rfc2136" 2>/dev/null || echo python3-certbot-dns-rfc2136
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
}

# install_packages PACKAGE...: without starting the services that some of them bring.
install_packages() {
    local policy=/usr/sbin/policy-rc.d rc=0
    printf '#!/bin/sh\nexit 101\n' >"$work/policy-rc.d" # 101: the action is forbidden
    chmod 755 "$work/policy-rc.d"
    if [[ -e $policy ]]; then # the machine has its own: cover it in a mount namespace, do not touch it
        # shellcheck disable=SC2016 # expanded by the inner shell
        unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$work/policy-rc.d" "$policy" \
            env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || rc=$?
    else
        own_policy=$policy
        install -m 755 "$work/policy-rc.d" "$policy"
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || rc=$?
        remove_own_policy
    fi
    disable_services "$@"
    return "$rc"
}

own_policy=
remove_own_policy() { [[ ! $own_policy ]] || rm -f "$own_policy"; }

# The packages also enable their services for the next boot: not what a test should leave behind.
disable_services() {
    [[ -d /run/systemd/system ]] || return 0
    local package unit
    for package; do
        case $package in
            unbound | nsd) unit=$package.service ;;
            certbot) unit=certbot.timer ;;
            *) continue ;;
        esac
        systemctl disable --quiet --now "$unit" || true
    done
}

# install_missing TOOL...: what the lab needs, and these.
install_missing() {
    local packages
    mapfile -t packages < <(missing_lab_packages; missing_packages "$@")
    ((${#packages[@]})) || return 0
    if ((EUID != 0)); then
        echo "not root, so nothing can be installed; as root: apt-get install --no-install-recommends ${packages[*]}"
        return
    fi
    echo "installing: ${packages[*]}"
    install_packages "${packages[@]}" >"$work/apt.log" 2>&1 && return
    apt-get update >>"$work/apt.log" 2>&1 || true # a fresh image has no package lists yet
    install_packages "${packages[@]}" >>"$work/apt.log" 2>&1 || {
        echo "apt-get could not install all of: ${packages[*]}; the end of its log:"
        tail -n 5 "$work/apt.log"
    }
}

# The newest pebble and our client of the newest lego, into the work folder, as Go modules (Go keeps what it has fetched and
# compiled); and the newest certbot with the plugin for acme-dns, from PyPI.
pebble_version=v2.10.1
build_newest() {
    mkdir -p "$work/go/bin"
    GOBIN=$work/go/bin go install "github.com/letsencrypt/pebble/v2/cmd/pebble@$pebble_version"
    (cd "$here/go" && go build -o "$work/go/bin/client" .)
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check certbot certbot-dns-acmedns
}
