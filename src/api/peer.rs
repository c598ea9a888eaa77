//! Who is at the other end of a connection.

use std::fmt;
use std::net::SocketAddr;

/// The other end of a connection. Each request has it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client on the network.
    Tcp(SocketAddr),
    /// A process on this machine that may open the socket's file.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("the admin socket"),
        }
    }
}
