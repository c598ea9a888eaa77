//! `resolvers` and `detours`: whom the daemon asks about the DNS of others.

use std::net::{IpAddr, SocketAddr};

use crate::net::dns_client::{DNS_PORT, Detours};

use super::read::Reader;

impl Reader<'_> {
    pub(super) fn resolvers(&self, resolvers: &[String]) -> Vec<SocketAddr> {
        let read = |(index, text): (usize, &String)| {
            let address = address(text);
            let wanted = "write a resolver's address, like \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
            let address = address.ok_or_else(|| format!("{wanted}; found {text:?}"));
            self.take(&format!("resolvers.{index}"), address)
        };
        resolvers.iter().enumerate().filter_map(read).collect()
    }

    pub(super) fn detours(&self, detours: &[String]) -> Detours {
        let read = |(index, text): (usize, &String)| {
            let read = detour(text).ok_or_else(|| {
                let wanted = "write two addresses like \"203.0.113.7=10.0.0.7\" or \"203.0.113.7=127.0.0.1:5300\"";
                format!("{wanted}; found {text:?}")
            });
            self.take(&format!("detours.{index}"), read)
        };
        detours.iter().enumerate().filter_map(read).collect()
    }
}

/// The address that the DNS tells, and the one to ask instead.
fn detour(text: &str) -> Option<(IpAddr, SocketAddr)> {
    let (told, way) = text.split_once('=')?;
    Some((told.trim().parse().ok()?, address(way.trim())?))
}

/// The address of a server, with a port or without.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let ip = || text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT));
    text.parse().ok().or_else(ip)
}
