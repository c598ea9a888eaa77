//! Where a walk from the root of the DNS begins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::dns_client::DNS_PORT;

/// The IPv4 addresses of the root servers a to m (<https://www.iana.org/domains/root/servers>).
const IPV4: [[u8; 4]; 13] = [
    [198, 41, 0, 4],
    [170, 247, 170, 2],
    [192, 33, 4, 12],
    [199, 7, 91, 13],
    [192, 203, 230, 10],
    [192, 5, 5, 241],
    [192, 112, 36, 4],
    [198, 97, 190, 53],
    [192, 36, 148, 17],
    [192, 58, 128, 30],
    [193, 0, 14, 129],
    [199, 7, 83, 42],
    [202, 12, 27, 33],
];

/// The IPv6 addresses of the root servers a, f, k and l: enough for a machine without IPv4.
const IPV6: [[u16; 8]; 4] = [
    [0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30],
    [0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf],
    [0x2001, 0x7fd, 0, 0, 0, 0, 0, 1],
    [0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42],
];

/// The servers of the root, and the port of all nameservers below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    servers: Vec<IpAddr>,
    port: u16,
}

impl Default for Roots {
    /// The root of the public DNS.
    fn default() -> Self {
        let v4 = IPV4.into_iter().map(|bytes| Ipv4Addr::from(bytes).into());
        let v6 = IPV6.into_iter().map(|words| Ipv6Addr::from(words).into());
        Self { servers: v4.chain(v6).collect(), port: DNS_PORT }
    }
}

impl Roots {
    /// The root of a private DNS, whose nameservers all listen on one port: that of the hints. `None` for no hints, or
    /// hints with different ports.
    pub fn private(hints: &[SocketAddr]) -> Option<Self> {
        let port = hints.first()?.port();
        let is_one_port = hints.iter().all(|hint| hint.port() == port);
        is_one_port.then(|| Self { servers: hints.iter().map(SocketAddr::ip).collect(), port })
    }

    /// The addresses of the root servers.
    pub fn servers(&self) -> &[IpAddr] {
        &self.servers
    }

    /// The port of every nameserver.
    pub fn port(&self) -> u16 {
        self.port
    }
}
