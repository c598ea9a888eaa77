//! The sender of a message, and the transport that carried it.

use std::net::IpAddr;

use crate::zone::signing::Carrier;

/// The kind of listener that received a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Quic,
}

impl Transport {
    /// The name in lower case, for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    /// Whether it carries messages in datagrams or streams.
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::Datagram,
            Self::Tcp | Self::Tls | Self::Quic => Carrier::Stream,
        }
    }
}

/// The sender of a message, and the transport that carried it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageSource {
    /// The sender's address.
    pub address: IpAddr,
    /// The kind of listener that received it.
    pub transport: Transport,
}
