//! Asks for TXT from many networks at once, as a flood from everywhere does: each batch of queries leaves from another /24
//! of the loopback, `127.x.y.1`. What it finds is told in the words of dnsperf.
//!
//! `cargo run --profile dist --example networks -- <server> <queries> <networks> <seconds> <rate>`; `queries` is a file for
//! dnsperf, and a rate of 0 is as fast as the server answers.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

type Failure = Box<dyn std::error::Error>;

/// Queries of one network in a row, in one system call.
const BATCH: usize = 16;
/// Queries that wait for their replies at the same time.
const WINDOW: u64 = 128;
const MAX_NETWORKS: u32 = 32_768;
const MAX_SECONDS: u64 = 120;
/// How long a reply may take before it counts as lost.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, queries, networks, seconds, rate] = &arguments[..] else {
        return Err("networks <server> <queries> <networks> <seconds> <rate>".into());
    };
    let server: SocketAddrV4 = server.parse()?;
    if !server.ip().is_loopback() {
        return Err(format!("{server} is not on the loopback").into());
    }
    let queries: Vec<Vec<u8>> = std::fs::read_to_string(queries)?.lines().map(query).collect();
    let networks = networks.parse::<u32>()?.clamp(1, MAX_NETWORKS);
    let time = Duration::from_secs(seconds.parse::<u64>()?.min(MAX_SECONDS));
    let mut client = Client::new(server, &queries, networks)?;
    client.run(time, rate.parse()?)?;
    client.tell();
    Ok(())
}

/// A query for the first word of a line, with EDNS; its first two bytes are those of the number.
fn query(line: &str) -> Vec<u8> {
    let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in line.split_whitespace().next().unwrap_or_default().split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 16, 0, 1]);
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    query
}

struct Client<'q> {
    socket: UdpSocket,
    server: SockaddrIn,
    queries: &'q [Vec<u8>],
    networks: u32,
    outgoing: MultiHeaders<SockaddrIn>,
    incoming: MultiHeaders<SockaddrIn>,
    /// When the query with each number was sent; `None` once it is answered or given up.
    waiting: Vec<Option<Instant>>,
    sent: u64,
    answered: u64,
    lost: u64,
    codes: [u64; 16],
    latency: Duration,
    worst: Duration,
    took: Duration,
}

impl<'q> Client<'q> {
    fn new(server: SocketAddrV4, queries: &'q [Vec<u8>], networks: u32) -> Result<Self, Failure> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        // Nothing from elsewhere comes in, and nothing gets out.
        setsockopt(&socket, sockopt::BindToDevice, &"lo".into())?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        Ok(Self {
            socket,
            server: server.into(),
            queries,
            networks,
            outgoing: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(in_pktinfo))),
            incoming: MultiHeaders::preallocate(BATCH, None),
            waiting: vec![None; 1 << 16],
            sent: 0,
            answered: 0,
            lost: 0,
            codes: [0; 16],
            latency: Duration::ZERO,
            worst: Duration::ZERO,
            took: Duration::ZERO,
        })
    }

    fn run(&mut self, time: Duration, rate: u64) -> Result<(), Failure> {
        let start = Instant::now();
        while start.elapsed() < time {
            let is_due = rate == 0 || self.sent < start.elapsed().as_micros() as u64 * rate / 1_000_000;
            let waiting = self.sent - self.answered - self.lost;
            if is_due && waiting + BATCH as u64 <= WINDOW {
                self.send()?;
            } else if waiting > 0 {
                self.receive()?;
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        let end = Instant::now();
        while self.sent > self.answered + self.lost && end.elapsed() < 2 * PATIENCE {
            self.receive()?;
        }
        self.lost = self.sent - self.answered;
        self.took = end - start;
        Ok(())
    }

    /// Sends a batch from the next network.
    fn send(&mut self) -> Result<(), Failure> {
        // The multiplier is odd and the number of networks divides nothing of note, so names and networks meet in all pairs.
        let network = (self.sent / BATCH as u64).wrapping_mul(2_654_435_761) as u32 % self.networks;
        let source = Ipv4Addr::new(127, 1 + (network >> 8) as u8, network as u8, 1);
        let info = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let now = Instant::now();
        let packets: Vec<([u8; 2], &[u8])> = (self.sent..self.sent + BATCH as u64)
            .map(|number| {
                self.waiting[usize::from(number as u16)] = Some(now);
                let query = &self.queries[number as usize % self.queries.len()];
                ((number as u16).to_be_bytes(), &query[2..])
            })
            .collect();
        let slices: Vec<[IoSlice<'_>; 2]> =
            packets.iter().map(|(number, rest)| [IoSlice::new(number), IoSlice::new(rest)]).collect();
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let fd = self.socket.as_raw_fd();
        let servers = [Some(self.server); BATCH];
        let sent = sendmmsg(fd, &mut self.outgoing, &slices, servers, control, MsgFlags::empty())?.count();
        if sent < BATCH {
            return Err("the kernel takes no whole batch".into());
        }
        self.sent += BATCH as u64;
        Ok(())
    }

    /// Waits for replies; gives up those that have taken too long where none comes.
    fn receive(&mut self) -> Result<(), Failure> {
        let mut buffers = [[0; 512]; BATCH];
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(fd, &mut self.incoming, slices.iter_mut(), flags, None).map(Iterator::count);
        let now = Instant::now();
        let count = match received.map_err(std::io::Error::from) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.give_up(now);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for buffer in &buffers[..count] {
            let number = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            let Some(sent) = self.waiting[number].take() else { continue };
            self.answered += 1;
            self.codes[usize::from(buffer[3] & 0xf)] += 1;
            self.latency += now - sent;
            self.worst = self.worst.max(now - sent);
        }
        Ok(())
    }

    fn give_up(&mut self, now: Instant) {
        for waiting in &mut self.waiting {
            if waiting.is_some_and(|sent| now - sent > PATIENCE) {
                *waiting = None;
                self.lost += 1;
            }
        }
    }

    fn tell(&self) {
        let codes = self.codes.iter().enumerate().filter(|(_, count)| **count > 0);
        let codes: Vec<String> = codes
            .map(|(code, count)| {
                let name = if code == 0 { "NOERROR".into() } else { format!("RCODE{code}") };
                format!("{name} {count} ({:.2}%)", *count as f64 * 100.0 / self.answered as f64)
            })
            .collect();
        println!("Queries sent: {}", self.sent);
        println!("Queries completed: {}", self.answered);
        println!("Queries lost: {}", self.lost);
        println!("Response codes: {}", codes.join(", "));
        println!("Queries per second: {:.0}", self.answered as f64 / self.took.as_secs_f64());
        let mean = self.latency.as_secs_f64() / self.answered.max(1) as f64;
        println!("Average Latency (s): {mean:.6} (min 0.000000, max {:.6})", self.worst.as_secs_f64());
    }
}
