//! The way path to who local: from the address that was local, also for a reply that is not ready with its batch.

use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, sendmsg};

/// The address that was local, where the socket listens on all of them: the reply comes from there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LocalAddress {
    V4(Ipv4Addr),
    /// A link-local address means nothing without its interface. For all others that is 0: the route decides, for
    /// the way path may not be the way that the query came.
    V6(Ipv6Addr, u32),
}

impl LocalAddress {
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
}

/// Hands `send` the control message with which a reply leaves from the address that was local.
pub fn with_source_address<T>(local: Option<LocalAddress>, send: impl FnOnce(&[ControlMessage<'_>]) -> T) -> T {
    match local {
        None => send(&[]),
        Some(LocalAddress::V4(address)) => {
            let (ipi_spec_dst, ipi_addr) =
                (in_addr { s_addr: u32::from_ne_bytes(address.octets()) }, in_addr { s_addr: 0 });
            send(&[ControlMessage::Ipv4PacketInfo(&in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr })])
        }
        Some(LocalAddress::V6(address, ipi6_ifindex)) => {
            let ipi6_addr = in6_addr { s6_addr: address.octets() };
            send(&[ControlMessage::Ipv6PacketInfo(&in6_pktinfo { ipi6_addr, ipi6_ifindex })])
        }
    }
}

/// The way path of one datagram, kept for a reply that is sent later.
pub struct ReplyPath {
    pub socket: Arc<UdpSocket>,
    pub peer: SockaddrStorage,
    pub local: Option<LocalAddress>,
}

impl ReplyPath {
    /// Sends the reply. One that cannot be sent is lost like any datagram: the client asks again.
    pub fn send(&self, reply: &[u8]) {
        let (fd, reply) = (self.socket.as_raw_fd(), [IoSlice::new(reply)]);
        let send =
            |control: &[ControlMessage<'_>]| sendmsg(fd, &reply, control, MsgFlags::MSG_DONTWAIT, Some(&self.peer));
        _ = with_source_address(self.local, send);
    }
}
