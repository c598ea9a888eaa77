//! The DNS listeners of the daemon that is rehearsed with.

use std::net::{IpAddr, SocketAddr};

use crate::net::interfaces;

/// A DNS listener: where the configuration places it, and the socket by which the rehearsal reaches it.
#[derive(Debug, Clone, Copy)]
pub struct DnsListener {
    /// The address in the configuration.
    pub configured: SocketAddr,
    /// The address to ask.
    pub socket: SocketAddr,
}

impl DnsListener {
    /// A listener at its own address, which is reached over the loopback if it stands for all addresses.
    pub fn at(address: SocketAddr) -> Self {
        Self { configured: address, socket: interfaces::reachable(address) }
    }

    /// Whether this listener receives what is sent to `address` on this machine.
    pub fn receives(&self, address: IpAddr) -> bool {
        let own = self.configured.ip();
        own == address || (own.is_unspecified() && own.is_ipv4() == address.is_ipv4())
    }

    /// Whether this listener may receive what is sent to `address`, because a 1:1 NAT in front of the machine changes the
    /// address: it listens on a private address of the same family.
    pub fn may_receive_by_nat(&self, address: IpAddr) -> bool {
        match (self.configured.ip(), address) {
            (IpAddr::V4(own), IpAddr::V4(address)) => own.is_private() && !address.is_private(),
            _ => false,
        }
    }
}
