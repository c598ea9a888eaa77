//! Many datagrams a system call: what has arrived is received at once, answered, and sent at once.
//!
//! The calls into the kernel are nearly all that a query costs, so that sharing them is the one saving to be had. All
//! memory is taken at the start; a round allocates nothing.

use std::array;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage};
use nix::sys::socket::{recvmmsg, sendmmsg};

use super::super::responder::Outcome;
use super::reply_path::{LocalAddress, ReplyPath, with_source_address};

/// Datagrams in one batch. More save nothing that can be measured.
const BATCH: usize = 32;
/// The longest query that is read whole. A longer one is cut by the kernel, which makes it malformed. Not a multiple of
/// 4,096: the first bytes of all buffers would compete for the same lines of the processor's cache.
const MAX_QUERY: usize = 4_096 + 64;
/// The longest reply over UDP (RFC 9715), so that a batch of them fits what is set aside.
const MAX_REPLY: usize = 1_232;

/// A socket, and one batch of datagrams from it. Stays in the thread that made it.
pub struct Batch {
    socket: Arc<UdpSocket>,
    binding: LocalBinding,
    incoming: MultiHeaders<SockaddrStorage>,
    outgoing: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; MAX_QUERY]; BATCH]>,
    received: Vec<Datagram>,
    replies: Replies,
}

/// Whether a socket has to say from which of the machine's addresses it replies.
#[derive(Clone, Copy)]
enum LocalBinding {
    /// It is bound to one.
    Bound,
    WildcardV4,
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

    /// Headers with room for just the one control message of this socket: the kernel leaves in them the room that it
    /// used, so that only an exact fit can be used again.
    fn headers(self) -> MultiHeaders<SockaddrStorage> {
        let control = match self {
            Self::Bound => None,
            Self::WildcardV4 => Some(cmsg_space!(in_pktinfo)),
            Self::WildcardV6 => Some(cmsg_space!(in6_pktinfo)),
        };
        MultiHeaders::preallocate(BATCH, control)
    }
}

/// What came, from whom, and where to.
struct Datagram {
    length: usize,
    peer: SockaddrStorage,
    local: Option<LocalAddress>,
}

/// The batch's replies, one behind the other. A query that gets none leaves no gap: an empty datagram would be sent.
#[derive(Default)]
struct Replies {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
    /// As long as `ranges`, in the form in which the kernel takes them.
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

    /// The replies from `start` on that leave from one address. One call takes one control message for all of its
    /// datagrams.
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
    /// A batch of `socket`, which is bound to `bound_to`; blocking, with a read timeout.
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

    /// Waits for a datagram and takes it and those that stand behind it. None where the read timeout ends first. What
    /// came beside one that is an error is taken.
    pub fn receive(&mut self) -> io::Result<()> {
        self.received.clear();
        match self.receive_waiting() {
            // The wait is over; or an ICMP error for some earlier reply, which says nothing about this socket.
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
                // An error says that there was no room for it, and concerns this one datagram alone.
                LocalBinding::WildcardV4 | LocalBinding::WildcardV6 => {
                    message.cmsgs().ok().and_then(|mut control| control.find_map(LocalAddress::of))
                }
            };
            // A place without an address or a destination keeps its number, and gets no reply.
            let peer = message.address.unwrap_or_else(|| std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into());
            self.received.push(Datagram { length: message.bytes, peer, local });
        }
        if self.received.iter().any(|datagram| !self.can_reply(datagram)) {
            // The kernel has left less room in that place than the next datagram needs.
            self.incoming = self.binding.headers();
            return Err(io::Error::other("a query came without the address that it was sent to, and gets no answer"));
        }
        Ok(())
    }

    /// Hands each datagram and its sender's address to `respond`, which appends the reply if there is one yet.
    pub fn answer(&mut self, mut respond: impl FnMut(&[u8], IpAddr, &mut Vec<u8>) -> Outcome) {
        self.replies.clear();
        for (datagram, buffer) in self.received.iter().zip(self.buffers.iter()) {
            let Some((address, port)) = address_of(&datagram.peer) else { continue };
            // Port 0 cannot be answered; it is only ever forged.
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

    /// Sends the replies. One that cannot be sent (no route, a full buffer) is lost like any datagram: the client asks
    /// again. Returns how many there were.
    pub fn send(&mut self) -> usize {
        let mut at = 0;
        while at < self.replies.ranges.len() {
            let run = self.replies.run_from(at);
            // An error is the first one's; those behind it are tried again.
            at += self.send_run(run).unwrap_or(1).max(1);
        }
        self.replies.ranges.len()
    }

    /// Sends replies that leave from one address; returns how many the kernel took.
    fn send_run(&mut self, run: Range<usize>) -> io::Result<usize> {
        let replies = &self.replies;
        let slices: [_; BATCH] = array::from_fn(|index| [IoSlice::new(replies.bytes_of(run.start + index))]);
        let (slices, peers) = (&slices[..run.len()], &replies.peers[run.clone()]);
        let fd = self.socket.as_raw_fd();
        // Without waiting: replies that no longer fit the send buffer are lost rather than holding up the queries.
        let send = |control: &[ControlMessage<'_>]| {
            sendmmsg(fd, &mut self.outgoing, slices, peers, control, MsgFlags::MSG_DONTWAIT).map(Iterator::count)
        };
        Ok(with_source_address(replies.local[run.start], send)?)
    }
}

fn is_passing(binding: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(binding, ErrorKind::WouldBlock | ErrorKind::TimedOut | Interrupted | ConnectionRefused | ConnectionReset)
        || matches!(binding, HostUnreachable | NetworkUnreachable)
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

    /// Queries that get themselves path, of one batch; and whether it was received without an error.
    fn echo(batch: &mut Batch) -> (usize, bool) {
        let mut count = 0;
        let received = batch.receive();
        batch.answer(|query, _, out| {
            count += 1;
            out.extend_from_slice(query);
            let (rcode, is_truncated, pause) = (ResponseCode::NoError, false, Duration::ZERO);
            Outcome::Replied(WrittenReply { rcode, is_truncated, pause })
        });
        batch.send();
        (count, received.is_ok())
    }

    #[test]
    fn after_a_datagram_whose_address_was_cut_off_the_next_are_answered() {
        let Ok(socket) = UdpSocket::bind("[::]:0") else { return };
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        setsockopt(&socket, Ipv6RecvPacketInfo, &true).unwrap();
        let (options, port) = (socket.try_clone().unwrap(), socket.local_addr().unwrap().port());
        let mut batch = Batch::new(socket, Ipv6Addr::UNSPECIFIED.into());
        let Ok(client) = UdpSocket::bind("[::1]:0") else { return };
        client.connect(("::1", port)).unwrap();
        // As a socket could come from a service manager: with a second control message, for which there is no room.
        for (has_timestamps, outcome) in [(false, (1, true)), (true, (0, false)), (false, (1, true))] {
            setsockopt(&options, ReceiveTimestamp, &has_timestamps).unwrap();
            client.send(b"query").unwrap();
            assert_eq!(echo(&mut batch), outcome, "timestamps: {has_timestamps}");
        }
    }
}
