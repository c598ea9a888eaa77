# What the tests need from Debian, and how it gets here. Sourced, with a folder for the log in $work.

# tool:package, where a tool is a command or, with a slash, a pattern of paths. The python is Debian's own, by its path: its
# modules are not those of another that stands before it in PATH.
# What the unit and integration tests start, and the compiler of libFuzzer.
test_tools=(g++:g++ openssl:openssl script:bsdutils certbot:certbot strace:strace nsupdate:bind9-dnsutils groff:groff-base mandoc:mandoc
    delv:bind9-dnsutils kdig:knot-dnsutils fstrm_capture:fstrm-bin drill:ldnsutils promtool:prometheus unbound-host:unbound-host /usr/sbin/unbound:unbound /usr/sbin/nsd:nsd /usr/sbin/knotd:knot pebble:pebble /usr/bin/python3:python3
    /usr/lib/python3/dist-packages/dns:python3-dnspython '/usr/lib/postgresql/*/bin/initdb:postgresql')
# Without one of these there is no lab of tests/interop; without a client only that client is left out.
lab_tools=(pebble:pebble unbound:unbound nsd:nsd dig:bind9-dnsutils curl:curl jq:jq openssl:openssl ip:iproute2
    strace:strace unshare:util-linux ldns-signzone:ldnsutils /etc/ssl/certs/ca-certificates.crt:ca-certificates
    /usr/bin/python3:python3 /usr/lib/python3/dist-packages/dns:python3-dnspython
    /usr/lib/python3/dist-packages/certbot_dns_rfc2136:python3-certbot-dns-rfc2136)
judge_tools=(zonemaster-cli:zonemaster-cli dnsviz:dnsviz delv:bind9-dnsutils drill:ldnsutils)
# Secondaries, and what checks their zones.
secondary_tools=(/usr/sbin/nsd:nsd /usr/sbin/knotd:knot kdig:knot-dnsutils /usr/sbin/named:bind9 named-checkzone:bind9-utils
    kzonecheck:knot-dnssecutils)
# A browser for tests/console, a CA for its certificates, and a font, without which it draws no letters.
browser_tools=(chromium:chromium chromedriver:chromium-driver pebble:pebble openssl:openssl /usr/bin/python3:python3
    /usr/lib/python3/dist-packages/selenium:python3-selenium /usr/lib/python3/dist-packages/dns:python3-dnspython
    '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core')
client_tools=(certbot:certbot lego:lego dehydrated:dehydrated uacme:uacme acmetool:acmetool)

is_there() { # TOOL
    local tool=${1%%:*}
    case $tool in
        */*) compgen -G "$tool" >/dev/null ;;
        *) command -v "$tool" >/dev/null ;;
    esac
}

# missing_packages TOOL...: the packages to install, one a line.
missing_packages() {
    local tool
    for tool; do
        is_there "$tool" || echo "${tool##*:}"
    done | sort -u
}

# install_packages PACKAGE...: without starting the services that some of them bring.
install_packages() {
    local policy=/usr/sbin/policy-rc.d rc=0
    printf '#!/bin/sh\nexit 101\n' >"$work/policy-rc.d" # 101: the action is forbidden
    chmod 755 "$work/policy-rc.d"
    if [[ -e $policy ]]; then # the machine has its own: cover it in a mount namespace, do not touch it
        # shellcheck disable=SC2016 # expanded by the inner shell
        unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$work/policy-rc.d" "$policy" \
            env DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=600 --no-install-recommends "$@" || rc=$?
    else
        own_policy=$policy
        install -m 755 "$work/policy-rc.d" "$policy"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=600 --no-install-recommends "$@" || rc=$?
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
            unbound | nsd | knot | postgresql | prometheus) unit=$package.service ;;
            bind9) unit=named.service ;;
            certbot) unit=certbot.timer ;;
            *) continue ;;
        esac
        systemctl disable --quiet --now "$unit" || true
    done
}

# install_missing TOOL...: the packages of those that are not there; says so where that cannot be done.
install_missing() {
    local packages
    mapfile -t packages < <(missing_packages "$@")
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
