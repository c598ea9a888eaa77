//! DNS over UDP: threads of the operating system, each with a socket of its own on the shared address.
//!
//! No task per packet and no queue in between: a thread receives, responds and sends. The kernel's socket buffer is
//! the only queue, and its length is bounded.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use tracing::{error, warn};

use crate::net::bind::UdpSockets;

use super::{Heartbeat, Responder, Source, Transport};

/// How long a thread waits for a query before it looks at the stop flag and beats again.
const TURN: Duration = Duration::from_millis(250);
/// The pause after an error of the socket itself, and how often that is logged.
const PAUSE: Duration = Duration::from_millis(100);
const LOG_EVERY: Duration = Duration::from_secs(60);
/// The longest query that is read whole. A longer one is cut by the kernel, which makes it malformed.
const MAX_QUERY: usize = 4_096;

/// The running listener on one address. Dropping it stops it.
#[derive(Debug)]
pub struct UdpListener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    heartbeats: Vec<Heartbeat>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts one thread for each socket.
pub fn spawn(bound: UdpSockets, responder: &Responder) -> io::Result<UdpListener> {
    let UdpSockets { sockets, address, .. } = bound;
    let stop = Arc::new(AtomicBool::new(false));
    let mut listener = UdpListener { address, stop, heartbeats: Vec::new(), threads: Vec::new() };
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_read_timeout(Some(TURN))?;
        let heartbeat = Heartbeat::default();
        let worker = Worker {
            port: Port { socket, is_wildcard: address.ip().is_unspecified() },
            responder: responder.clone(),
            stop: listener.stop.clone(),
            heartbeat: heartbeat.clone(),
            logged: None,
        };
        let thread = thread::Builder::new().name(format!("dns-udp-{index}")).spawn(move || worker.run())?;
        listener.heartbeats.push(heartbeat);
        listener.threads.push(thread);
    }
    Ok(listener)
}

impl UdpListener {
    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One count for each thread.
    pub fn heartbeats(&self) -> &[Heartbeat] {
        &self.heartbeats
    }

    /// Stops the threads and waits for them, at most a turn of 250 ms. Blocks: in a task, call it where that is allowed.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a DNS thread of UDP {} had panicked", self.address);
            }
        }
    }
}

impl Drop for UdpListener {
    fn drop(&mut self) {
        self.halt();
    }
}

struct Worker {
    port: Port,
    responder: Responder,
    stop: Arc<AtomicBool>,
    heartbeat: Heartbeat,
    logged: Option<Instant>,
}

impl Worker {
    fn run(mut self) {
        let mut query = [0; MAX_QUERY];
        let mut reply = Vec::with_capacity(MAX_QUERY);
        while !self.stop.load(Ordering::Relaxed) {
            self.heartbeat.beat();
            match self.port.receive(&mut query) {
                Ok(Some(datagram)) => self.reply(&query[..datagram.length], &datagram, &mut reply),
                Ok(None) => {}
                Err(error) => self.rest(&error),
            }
        }
    }

    fn reply(&self, query: &[u8], datagram: &Datagram, reply: &mut Vec<u8>) {
        reply.clear();
        let source = Source { address: datagram.peer.ip().to_canonical(), transport: Transport::Udp };
        // Port 0 cannot be answered; it is only ever forged.
        if datagram.peer.port() != 0 && self.responder.respond(query, source, reply).is_some() {
            // A reply that cannot be sent (no route, a full buffer) is lost like any datagram: the client asks again.
            _ = self.port.send(reply, datagram);
        }
    }

    fn rest(&mut self, error: &io::Error) {
        if self.logged.is_none_or(|then| then.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            warn!("DNS over UDP: cannot receive: {error}");
        }
        thread::sleep(PAUSE);
    }
}

/// What came, and where to.
struct Datagram {
    length: usize,
    peer: SocketAddr,
    /// The address that was asked, where the socket listens on all of them.
    asked: Option<Asked>,
}

/// In the forms in which the kernel gives it and wants it back.
#[derive(Clone, Copy)]
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Asked {
    fn of(message: ControlMessageOwned) -> Option<Self> {
        match message {
            // Index 0 lets the route decide on the interface: the way back may not be the way that the query came.
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Self::V4(in_pktinfo { ipi_ifindex: 0, ..info })),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                // A link-local address means nothing without its interface.
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let ipi6_ifindex = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                Some(Self::V6(in6_pktinfo { ipi6_ifindex, ..info }))
            }
            _ => None,
        }
    }
}

struct Port {
    socket: UdpSocket,
    is_wildcard: bool,
}

impl Port {
    /// Waits for a datagram, at most for a turn.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        let received =
            if self.is_wildcard { self.receive_with_destination(buffer) } else { self.receive_plain(buffer) };
        match received {
            Ok(datagram) => Ok(datagram),
            // The turn is over; or an ICMP error for some earlier reply, which says nothing about this socket.
            Err(error) if is_passing(error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive_plain(&self, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        let (length, peer) = self.socket.recv_from(buffer)?;
        Ok(Some(Datagram { length, peer, asked: None }))
    }

    fn receive_with_destination(&self, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        // Room for either family's answer; kept on the stack.
        let mut control = [0; 128];
        let mut slices = [IoSliceMut::new(buffer)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::empty())?;
        let asked = message.cmsgs()?.find_map(Asked::of);
        let (length, address) = (message.bytes, message.address);
        Ok(address.and_then(socket_address).map(|peer| Datagram { length, peer, asked }))
    }

    fn send(&self, reply: &[u8], datagram: &Datagram) -> io::Result<usize> {
        match datagram.asked {
            None => self.socket.send_to(reply, datagram.peer),
            Some(Asked::V4(info)) => self.send_from(reply, datagram.peer, &ControlMessage::Ipv4PacketInfo(&info)),
            Some(Asked::V6(info)) => self.send_from(reply, datagram.peer, &ControlMessage::Ipv6PacketInfo(&info)),
        }
    }

    fn send_from(&self, reply: &[u8], peer: SocketAddr, from: &ControlMessage<'_>) -> io::Result<usize> {
        let (slices, peer) = ([IoSlice::new(reply)], SockaddrStorage::from(peer));
        Ok(sendmsg(self.socket.as_raw_fd(), &slices, &[*from], MsgFlags::empty(), Some(&peer))?)
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | Interrupted | ConnectionRefused | ConnectionReset)
        || matches!(kind, HostUnreachable | NetworkUnreachable)
}

fn socket_address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(SocketAddrV4::from(*v4)));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(SocketAddrV6::from(*v6))))
}
