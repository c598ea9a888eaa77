//! Batches of datagrams: one system call receives all that have arrived, and one sends the replies.
//!
//! System calls are nearly the whole cost of a query, so sharing them among queries saves the most. All memory is
//! allocated at the start; a batch allocates nothing.

use std::array;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage};
use nix::sys::socket::{recvmmsg, sendmmsg};

use super::super::responder::Outcome;
use super::reply_path::{LocalAddress, ReplyPath, with_source_address};

/// Datagrams in one batch. Larger batches are not measurably faster.
const BATCH: usize = 32;
/// The longest query that is read whole, in bytes. The kernel truncates a longer one, which makes it malformed. The size
/// is no multiple of 4,096, because the first bytes of all buffers would then compete for the same cache lines.
const MAX_QUERY: usize = 4_096 + 64;
/// The longest reply over UDP, in bytes (RFC 9715); a batch of them fits the buffer.
const MAX_REPLY: usize = 1_232;

/// A socket, and one batch of datagrams from it.
pub struct Batch {
    socket: Arc<UdpSocket>,
    binding: LocalBinding,
    incoming: MultiHeaders<SockaddrStorage>,
    outgoing: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; MAX_QUERY]; BATCH]>,
    received: Vec<Datagram>,
    replies: Replies,
}

/// Whether a socket has to choose the source address of its replies.
#[derive(Clone, Copy)]
enum LocalBinding {
    /// The socket is bound to one address.
    Bound,
    /// The socket is bound to all IPv4 addresses.
    WildcardV4,
    /// The socket is bound to all addresses of both families.
    WildcardV6,
}

impl LocalBinding {
    fn of(bound_to: IpAddr) -> Self {
        match bound_to {
            IpAddr::V4(ip) if ip.is_unspecified() => Self::WildcardV4,
            IpAddr::V6(ip) if ip.is_unspecified() => Self::WildcardV6,
            _ => Self::Bound,
        }
    }

    /// Headers with room for exactly the one control message of this socket. The kernel overwrites the room with the
    /// length that it used, so only an exact fit can be reused.
    fn headers(self) -> MultiHeaders<SockaddrStorage> {
        let control = match self {
            Self::Bound => None,
            Self::WildcardV4 => Some(cmsg_space!(in_pktinfo)),
            Self::WildcardV6 => Some(cmsg_space!(in6_pktinfo)),
        };
        MultiHeaders::preallocate(BATCH, control)
    }
}

/// A received datagram, without its bytes.
struct Datagram {
    length: usize,
    peer: SockaddrStorage,
    local: Option<LocalAddress>,
}

/// The replies of a batch, one after the other. A query without a reply leaves no gap, which would be sent as an empty
/// datagram.
#[derive(Default)]
struct Replies {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
    /// The receiver of each reply, in the form that `sendmmsg` takes.
    peers: Vec<Option<SockaddrStorage>>,
    local: Vec<Option<LocalAddress>>,
}

impl Replies {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(BATCH * MAX_REPLY),
            ranges: Vec::with_capacity(BATCH),
            peers: Vec::with_capacity(BATCH),
            local: Vec::with_capacity(BATCH),
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
        self.peers.clear();
        self.local.clear();
    }

    fn push(&mut self, range: Range<usize>, datagram: &Datagram) {
        self.ranges.push(range);
        self.peers.push(Some(datagram.peer));
        self.local.push(datagram.local);
    }

    /// The replies from `start` on that leave from the same address. One system call takes one control message for all of
    /// its datagrams.
    fn run_from(&self, start: usize) -> Range<usize> {
        let local = self.local[start];
        let others = self.local[start..].iter().position(|other| *other != local);
        start..others.map_or(self.local.len(), |others| start + others)
    }

    fn bytes_of(&self, index: usize) -> &[u8] {
        self.ranges.get(index).map_or(&[], |range| &self.bytes[range.clone()])
    }
}

impl Batch {
    /// Creates a batch for a blocking `socket` with a read timeout, which is bound to `bound_to`.
    pub fn new(socket: UdpSocket, bound_to: IpAddr) -> Self {
        let binding = LocalBinding::of(bound_to);
        Self {
            socket: Arc::new(socket),
            binding,
            incoming: binding.headers(),
            outgoing: binding.headers(),
            buffers: Box::new([[0; MAX_QUERY]; BATCH]),
            received: Vec::with_capacity(BATCH),
            replies: Replies::new(),
        }
    }

    /// Waits for a datagram, and receives it and those that have arrived after it. Receives none if the read timeout
    /// expires first. After an error, the other datagrams of the batch can still be answered.
    pub fn receive(&mut self) -> io::Result<()> {
        self.received.clear();
        match self.receive_waiting() {
            // The timeout has expired, or an ICMP error has arrived for an earlier reply. The socket is fine.
            Err(error) if is_passing(error.kind()) => Ok(()),
            other => other,
        }
    }

    fn receive_waiting(&mut self) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let wait_for_one = MsgFlags::MSG_WAITFORONE;
        for message in recvmmsg(fd, &mut self.incoming, slices.iter_mut(), wait_for_one, None)? {
            let local = match self.binding {
                LocalBinding::Bound => None,
                // An error means that there was no room for the control message of this one datagram.
                LocalBinding::WildcardV4 | LocalBinding::WildcardV6 => {
                    message.cmsgs().ok().and_then(|mut control| control.find_map(LocalAddress::of))
                }
            };
            // A datagram without an address keeps its index, because the buffers have the same order. It gets no reply.
            let peer = message.address.unwrap_or_else(|| std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into());
            self.received.push(Datagram { length: message.bytes, peer, local });
        }
        if self.received.iter().any(|datagram| !self.can_reply(datagram)) {
            // The kernel has left less room in that header than the next datagram needs.
            self.incoming = self.binding.headers();
            return Err(io::Error::other("a query without its destination address is not answered"));
        }
        Ok(())
    }

    /// Calls `respond` with each datagram and its sender's address. `respond` appends the reply, if there is one yet.
    pub fn answer(&mut self, mut respond: impl FnMut(&[u8], IpAddr, &mut Vec<u8>) -> Outcome) {
        self.replies.clear();
        for (datagram, buffer) in self.received.iter().zip(self.buffers.iter()) {
            let Some((address, port)) = address_of(&datagram.peer) else { continue };
            // Port 0 is forged, and cannot receive a reply.
            if port == 0 || !self.can_reply(datagram) {
                continue;
            }
            let start = self.replies.bytes.len();
            match respond(&buffer[..datagram.length], address, &mut self.replies.bytes) {
                Outcome::Silence => {}
                Outcome::Replied(_) => self.replies.push(start..self.replies.bytes.len(), datagram),
                Outcome::Update(update) => {
                    let path = ReplyPath { socket: self.socket.clone(), peer: datagram.peer, local: datagram.local };
                    update.carry_out(move |reply| path.send(reply));
                }
            }
        }
    }

    fn can_reply(&self, datagram: &Datagram) -> bool {
        datagram.local.is_some() || matches!(self.binding, LocalBinding::Bound)
    }

    /// Sends the replies, and returns how many there are. A reply that cannot be sent (no route, a full buffer) is lost
    /// like any datagram, and the client asks again.
    pub fn send(&mut self) -> usize {
        let mut at = 0;
        while at < self.replies.ranges.len() {
            let run = self.replies.run_from(at);
            // An error concerns the first reply of the run. The others are tried again.
            at += self.send_run(run).unwrap_or(1).max(1);
        }
        self.replies.ranges.len()
    }

    /// Sends replies that leave from the same address. Returns how many the kernel accepted.
    fn send_run(&mut self, run: Range<usize>) -> io::Result<usize> {
        let replies = &self.replies;
        let slices: [_; BATCH] = array::from_fn(|index| [IoSlice::new(replies.bytes_of(run.start + index))]);
        let slices = &slices[..run.len()];
        let peers = &replies.peers[run.clone()];
        let fd = self.socket.as_raw_fd();
        let sent = with_source_address(replies.local[run.start], |control| {
            // Replies that do not fit the send buffer are lost: waiting would hold up the queries.
            sendmmsg(fd, &mut self.outgoing, slices, peers, control, MsgFlags::MSG_DONTWAIT).map(Iterator::count)
        });
        Ok(sent?)
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | Interrupted | ConnectionRefused | ConnectionReset)
        || matches!(kind, HostUnreachable | NetworkUnreachable)
}

fn address_of(peer: &SockaddrStorage) -> Option<(IpAddr, u16)> {
    let v4 = peer.as_sockaddr_in().map(|v4| (v4.ip().into(), v4.port()));
    v4.or_else(|| peer.as_sockaddr_in6().map(|v6| (v6.ip().to_canonical(), v6.port())))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use hickory_proto::op::ResponseCode;
    use nix::sys::socket::setsockopt;
    use nix::sys::socket::sockopt::{Ipv6RecvPacketInfo, ReceiveTimestamp};

    use super::super::super::reply::WrittenReply;
    use super::*;

    /// Answers the queries of one batch with themselves. Returns their number, and whether all was received without an
    /// error.
    fn echo(batch: &mut Batch) -> (usize, bool) {
        let mut count = 0;
        let received = batch.receive();
        batch.answer(|query, _, out| {
            count += 1;
            out.extend_from_slice(query);
            let rcode = ResponseCode::NoError;
            Outcome::Replied(WrittenReply { rcode, is_truncated: false, pause: Duration::ZERO })
        });
        batch.send();
        (count, received.is_ok())
    }

    #[test]
    fn after_a_datagram_whose_address_was_cut_off_the_next_are_answered() {
        let Ok(socket) = UdpSocket::bind("[::]:0") else { return };
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        setsockopt(&socket, Ipv6RecvPacketInfo, &true).unwrap();
        let options = socket.try_clone().unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut batch = Batch::new(socket, Ipv6Addr::UNSPECIFIED.into());
        let Ok(client) = UdpSocket::bind("[::1]:0") else { return };
        client.connect(("::1", port)).unwrap();
        // A service manager could pass a socket with a second control message, for which there is no room.
        for (has_timestamps, outcome) in [(false, (1, true)), (true, (0, false)), (false, (1, true))] {
            setsockopt(&options, ReceiveTimestamp, &has_timestamps).unwrap();
            client.send(b"query").unwrap();
            assert_eq!(echo(&mut batch), outcome, "timestamps: {has_timestamps}");
        }
    }
}
