//! Addresses of DNS servers.

use std::net::{IpAddr, SocketAddr};

/// The port of DNS over UDP and TCP.
pub const DNS_PORT: u16 = 53;

/// The address of a server as people write it, with a port or without: `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]`.
pub fn server_address(text: &str, port: u16) -> Option<SocketAddr> {
    let ip = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    text.parse().ok().or_else(|| ip().map(|ip| SocketAddr::new(ip, port)))
}
