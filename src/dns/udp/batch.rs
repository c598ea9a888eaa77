//! Batches of datagrams: one system call receives all that have arrived, and one sends the replies.
//!
//! System calls are nearly the whole cost of a query, so sharing them among queries saves the most. All memory is
//! allocated at the start; a batch allocates nothing.

use std::array;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
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
/// Bytes of a datagram that go into its own buffer: all of nearly any. The size is not a multiple of 4,096, because the first
/// bytes of all buffers would then compete for the same cache lines.
const SHORT: usize = 4_096 + 64;
/// More bytes than a datagram can have.
const LONG: usize = 65_536;
/// The longest reply over UDP, in bytes (RFC 9715); a batch of them fits the buffer.
const MAX_REPLY: usize = 1_232;

/// A socket, and one batch of datagrams from it.
pub struct Batch {
    socket: Arc<UdpSocket>,
    binding: LocalBinding,
    incoming: MultiHeaders<SockaddrStorage>,
    outgoing: MultiHeaders<SockaddrStorage>,
    /// The first bytes of each datagram.
    buffers: Box<[[u8; SHORT]; BATCH]>,
    /// Room of [`LONG`] bytes for each datagram. Bytes behind the first go to where they would be if the first were here,
    /// too. The kernel gives this memory to the process only when a long datagram arrives.
    overflow: Vec<u8>,
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

    fn can_reply(self, datagram: &Datagram) -> bool {
        datagram.local.is_some() || matches!(self, Self::Bound)
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
            buffers: Box::new([[0; SHORT]; BATCH]),
            overflow: vec![0; BATCH * LONG],
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
        let mut overflow = self.overflow.chunks_exact_mut(LONG);
        let mut slices = self.buffers.each_mut().map(|buffer| {
            let rest = overflow.next().map_or(&mut [][..], |long| &mut long[SHORT..]);
            [IoSliceMut::new(buffer), IoSliceMut::new(rest)]
        });
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
        let binding = self.binding;
        if self.received.iter().any(|datagram| !binding.can_reply(datagram)) {
            // The kernel has left less room in that header than the next datagram needs.
            self.incoming = self.binding.headers();
            return Err(io::Error::other("a query without its destination address is not answered"));
        }
        Ok(())
    }

    /// Calls `respond` with each datagram, its sender, and its destination if the socket listens on all addresses.
    /// `respond` appends the reply, if there is one yet.
    pub fn answer(&mut self, mut respond: impl FnMut(&[u8], SocketAddr, Option<IpAddr>, &mut Vec<u8>) -> Outcome) {
        self.replies.clear();
        let buffers = self.buffers.iter().zip(self.overflow.chunks_exact_mut(LONG));
        for (datagram, (short, long)) in self.received.iter().zip(buffers) {
            let Some(peer) = address_of(&datagram.peer) else { continue };
            // Port 0 is forged, and cannot receive a reply.
            if peer.port() == 0 || !self.binding.can_reply(datagram) {
                continue;
            }
            let start = self.replies.bytes.len();
            let query = whole(short, long, datagram.length);
            match respond(query, peer, datagram.local.map(LocalAddress::ip), &mut self.replies.bytes) {
                // A transfer over UDP is a reply.
                Outcome::Silence | Outcome::Transfer(_) => {}
                Outcome::Replied(_) => self.replies.push(start..self.replies.bytes.len(), datagram),
                Outcome::Update(update) => {
                    let path = ReplyPath { socket: self.socket.clone(), peer: datagram.peer, local: datagram.local };
                    update.carry_out(move |reply| path.send(reply));
                }
            }
        }
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

/// A datagram of `length` bytes, in one piece. `short` holds its first bytes, and `long` the rest at its place.
fn whole<'b>(short: &'b [u8; SHORT], long: &'b mut [u8], length: usize) -> &'b [u8] {
    if length <= SHORT {
        return &short[..length];
    }
    long[..SHORT].copy_from_slice(short);
    &long[..length]
}

fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | Interrupted | ConnectionRefused | ConnectionReset)
        || matches!(kind, HostUnreachable | NetworkUnreachable)
}

fn address_of(peer: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = peer.as_sockaddr_in().map(|v4| SocketAddr::new(v4.ip().into(), v4.port()));
    v4.or_else(|| peer.as_sockaddr_in6().map(|v6| SocketAddr::new(v6.ip().to_canonical(), v6.port())))
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
        batch.answer(|query, _, _, out| {
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

    /// The kernel cut datagrams over 4,160 bytes off, and with them the TSIG record of a long UPDATE.
    #[test]
    fn datagrams_of_any_length_arrive_whole_and_beside_short_ones() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(socket.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(socket, Ipv4Addr::LOCALHOST.into());
        for lengths in [&[30, 65_507, 31, SHORT, SHORT + 1, 32][..], &[40_000, SHORT - 1], &[50, 51, 52]] {
            let bytes = |length: usize| (0..length).map(|at| (at * 7 + at / 251 + length) as u8).collect::<Vec<u8>>();
            let sent: Vec<Vec<u8>> = lengths.iter().map(|length| bytes(*length)).collect();
            sent.iter().for_each(|datagram| _ = client.send(datagram).unwrap());
            let mut received = Vec::new();
            while received.len() < sent.len() {
                batch.receive().unwrap();
                batch.answer(|query, _, _, _| {
                    received.push(query.to_vec());
                    Outcome::Silence
                });
            }
            assert!(received == sent, "{lengths:?}");
        }
    }
}
