//! The addresses of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

/// The most addresses of one message; container hosts have hundreds.
const MOST: usize = 8;

/// `; it has 10.0.0.5 (eth0), 127.0.0.1 (lo)`; empty where the kernel does not tell.
pub fn listed(is_ipv4: bool) -> String {
    let found: Vec<String> = all()
        .into_iter()
        .filter(|(ip, _)| ip.is_ipv4() == is_ipv4)
        .map(|(ip, name)| format!("{ip} ({name})"))
        .take(MOST)
        .collect();
    if found.is_empty() { String::new() } else { format!("; it has {}", found.join(", ")) }
}

/// The addresses of this machine and their interfaces, without link-local ones.
pub fn all() -> Vec<(IpAddr, String)> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let addresses = all.filter_map(|interface| Some((ip_of(&interface.address?)?, interface.interface_name)));
    addresses.filter(|(ip, _)| !is_link_local(ip)).collect()
}

/// The addresses of this machine that can be reached from everywhere.
pub fn public() -> Vec<IpAddr> {
    all().into_iter().map(|(ip, _)| ip).filter(is_public).collect()
}

/// Whether an interface of this machine has an address.
pub fn has(ip: IpAddr) -> bool {
    all().iter().any(|(own, _)| *own == ip)
}

/// Where a listener is reached from this machine: one on all addresses over the loopback.
pub fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Whether an address can be reached from everywhere (RFC 6890).
pub fn is_public(ip: &IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, third, _] = v4.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            let is_special = first == 0 || first >= 224 || (first == 192 && second == 0 && third == 0);
            let is_local = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            !(is_local || is_shared || is_special)
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_only_some_can_reach_are_not_public() {
        for (text, public) in [
            ("9.9.9.9", true),
            ("2620:fe::fe", true),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(&text.parse().unwrap()), public, "{text}");
        }
        assert!(listed(true).contains("127.0.0.1 ("), "{}", listed(true));
    }
}
