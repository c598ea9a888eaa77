//! Where a message comes from, and what carries it.

use std::net::IpAddr;

use crate::zone::signing::Way;

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

    /// What carries its messages.
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::Datagram,
            Self::Tcp | Self::Tls | Self::Quic => Carrier::Stream,
        }
    }
}

/// What carries a message, as far as its size and the rationing of signatures depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// One datagram.
    Datagram,
    /// A stream, with a length before each message.
    Stream,
}

impl Carrier {
    /// The same for the signer.
    pub fn way(self) -> Way {
        match self {
            Self::Datagram => Way::Datagram,
            Self::Stream => Way::Stream,
        }
    }
}

/// The sender of a message, and the transport that brought it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageSource {
    /// The address that the message came from.
    pub address: IpAddr,
    /// The kind of listener that received it.
    pub transport: Transport,
}
