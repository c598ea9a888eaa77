//! The sender of a message, and the transport that carried it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use crate::querylog::message::Transport;

/// A socket address without the mapping of IPv4 into IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The sender of a message, and the transport that carried it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageSource {
    /// The sender's address.
    pub address: IpAddr,
    /// The sender's port; 0 if a proxy does not tell it.
    pub port: u16,
    /// The address and port that the message was sent to.
    pub local: SocketAddr,
    /// The kind of listener that received it.
    pub transport: Transport,
}

impl MessageSource {
    /// A sender of whom only the address is known.
    pub const fn of(address: IpAddr, transport: Transport) -> Self {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { address, port: 0, local, transport }
    }
}
