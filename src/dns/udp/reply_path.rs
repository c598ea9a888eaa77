//! Sends replies from the address that the query was sent to, including those that are not ready with their batch.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, sendmsg};

/// The address that a query was sent to, if the socket listens on all addresses. The reply must come from this address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LocalAddress {
    V4(Ipv4Addr),
    /// The address and its interface. A link-local address is ambiguous without the interface. For all others the
    /// interface is 0, so that the routing table decides: the route back may differ from the route of the query.
    V6(Ipv6Addr, u32),
}

impl LocalAddress {
    /// The address in a control message, if it is one of packet information.
    pub fn of(message: ControlMessageOwned) -> Option<Self> {
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Self::V4(info.ipi_spec_dst.s_addr.to_ne_bytes().into())),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let interface = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                Some(Self::V6(address, interface))
            }
            _ => None,
        }
    }

    /// The address, without the mapping of IPv4 into IPv6.
    pub fn ip(self) -> IpAddr {
        match self {
            Self::V4(address) => address.into(),
            Self::V6(address, _) => IpAddr::V6(address).to_canonical(),
        }
    }
}

/// Calls `send` with the control message that makes a reply leave from `local`.
pub fn with_source_address<T>(local: Option<LocalAddress>, send: impl FnOnce(&[ControlMessage<'_>]) -> T) -> T {
    match local {
        None => send(&[]),
        Some(LocalAddress::V4(address)) => {
            let ipi_spec_dst = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
            let ipi_addr = in_addr { s_addr: 0 };
            send(&[ControlMessage::Ipv4PacketInfo(&in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr })])
        }
        Some(LocalAddress::V6(address, ipi6_ifindex)) => {
            let ipi6_addr = in6_addr { s6_addr: address.octets() };
            send(&[ControlMessage::Ipv6PacketInfo(&in6_pktinfo { ipi6_addr, ipi6_ifindex })])
        }
    }
}

/// Where to send the reply to one datagram, for a reply that is ready later than its batch.
pub struct ReplyPath {
    pub socket: Arc<UdpSocket>,
    pub peer: SockaddrStorage,
    pub local: Option<LocalAddress>,
}

impl ReplyPath {
    /// Sends the reply. A reply that cannot be sent is lost like any datagram, and the client asks again.
    pub fn send(&self, reply: &[u8]) {
        let reply = [IoSlice::new(reply)];
        _ = with_source_address(self.local, |control| {
            sendmsg(self.socket.as_raw_fd(), &reply, control, MsgFlags::MSG_DONTWAIT, Some(&self.peer))
        });
    }
}
