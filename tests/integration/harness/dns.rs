//! DNS messages by hand: built byte by byte, judged by another decoder.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::PATIENCE;

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const ANY: u16 = 255;
pub const CAA: u16 = 257;
/// A type that nobody knows (RFC 6895: private use).
pub const PRIVATE: u16 = 65_280;

/// The id of messages whose test does not choose one.
pub const ID: u16 = 0x5a17;

/// A query for one name and type, class IN, RD clear, without EDNS. The name keeps its case.
pub fn query(name: &str, rtype: u16) -> Vec<u8> {
    query_in(name, rtype, 1)
}

/// The same in another class.
pub fn query_in(name: &str, rtype: u16, class: u16) -> Vec<u8> {
    let mut message = ID.to_be_bytes().to_vec();
    message.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(&question(name, rtype, class));
    message
}

/// An entry of the question section.
pub fn question(name: &str, rtype: u16, class: u16) -> Vec<u8> {
    let mut out = wire_name(name);
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out
}

/// A name as labels, its case kept.
pub fn wire_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// What changes a message's header.
pub trait Change: Sized {
    fn id(self, id: u16) -> Self;
    /// The two bytes of flags, opcode and rcode.
    fn flags(self, flags: u16) -> Self;
    /// One of the four counts.
    fn count(self, index: usize, count: u16) -> Self;
    /// Appends bytes.
    fn and(self, bytes: &[u8]) -> Self;
    /// Appends an OPT record of version 0 with a UDP size.
    fn edns(self, size: u16) -> Self;
    /// Appends an OPT record.
    fn opt(self, size: u16, version: u8, flags: u16, options: &[u8]) -> Self;
}

impl Change for Vec<u8> {
    fn id(mut self, id: u16) -> Self {
        self[..2].copy_from_slice(&id.to_be_bytes());
        self
    }

    fn flags(mut self, flags: u16) -> Self {
        self[2..4].copy_from_slice(&flags.to_be_bytes());
        self
    }

    fn count(mut self, index: usize, count: u16) -> Self {
        self[4 + 2 * index..6 + 2 * index].copy_from_slice(&count.to_be_bytes());
        self
    }

    fn and(mut self, bytes: &[u8]) -> Self {
        self.extend_from_slice(bytes);
        self
    }

    fn edns(self, size: u16) -> Self {
        self.opt(size, 0, 0, &[])
    }

    fn opt(mut self, size: u16, version: u8, flags: u16, options: &[u8]) -> Self {
        self[11] += 1;
        self.extend_from_slice(&[0, 0, 41]);
        self.extend_from_slice(&size.to_be_bytes());
        self.extend_from_slice(&[0, version]);
        self.extend_from_slice(&flags.to_be_bytes());
        self.extend_from_slice(&(options.len() as u16).to_be_bytes());
        self.extend_from_slice(options);
        self
    }
}

/// A reply: its bytes, and what another decoder makes of them.
#[derive(Debug)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub message: Message,
}

impl Reply {
    pub fn of(bytes: Vec<u8>) -> Self {
        let message = Message::from_vec(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
        Self { bytes, message }
    }

    pub fn rcode(&self) -> ResponseCode {
        self.message.metadata.response_code
    }

    pub fn is_authoritative(&self) -> bool {
        self.bytes[2] & 4 != 0
    }

    pub fn is_truncated(&self) -> bool {
        self.bytes[2] & 2 != 0
    }

    /// Question, answer, authority and additional records, as the header counts them.
    pub fn counts(&self) -> [u16; 4] {
        [4, 6, 8, 10].map(|at| u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    pub fn answers(&self) -> &[Record] {
        &self.message.answers
    }

    /// The texts of the answer's TXT records, their strings joined.
    pub fn txts(&self) -> Vec<String> {
        self.answers().iter().filter_map(text_of).collect()
    }

    /// The addresses in the answer.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
    }

    /// The extended error's code (RFC 8914).
    pub fn ede(&self) -> Option<u16> {
        let bytes = option(&self.bytes, 15)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Whether there is an OPT record.
    pub fn has_opt(&self) -> bool {
        self.message.edns.is_some()
    }

    /// A negative answer: no records, AA, and a SOA whose TTL is its MINIMUM (RFC 2308 section 3).
    pub fn assert_negative(&self, rcode: ResponseCode) {
        assert_eq!(self.rcode(), rcode, "{self:?}");
        assert!(self.is_authoritative() && self.answers().is_empty(), "{self:?}");
        let [soa] = &self.message.authorities[..] else { panic!("one SOA in the authority section: {self:?}") };
        let RData::SOA(data) = &soa.data else { panic!("a SOA: {soa:?}") };
        assert_eq!(soa.ttl, data.minimum, "the negative TTL");
    }

    /// Records of one type in the answer.
    pub fn of_type(&self, rtype: u16) -> usize {
        self.answers().iter().filter(|record| record.record_type() == RecordType::from(rtype)).count()
    }
}

fn text_of(record: &Record) -> Option<String> {
    match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
        _ => None,
    }
}

/// The content of an EDNS option, found without a decoder: OPT is the last record of each of our replies, and the only
/// additional one.
pub fn option(message: &[u8], code: u16) -> Option<&[u8]> {
    let opt = message.windows(5).rposition(|window| window == [0, 0, 41, 0x04, 0xd0])?;
    let mut rdata = message.get(opt + 11..)?;
    while let [c0, c1, l0, l1, rest @ ..] = rdata {
        let (content, next) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        if u16::from_be_bytes([*c0, *c1]) == code {
            return Some(content);
        }
        rdata = next;
    }
    None
}

/// How often a question is sent before it counts as unanswered.
const ATTEMPTS: u32 = 12;

/// A UDP socket that talks to one server.
pub struct Udp(UdpSocket);

impl Udp {
    pub fn to(server: SocketAddr) -> Self {
        Self::from("127.0.0.1", server)
    }

    /// From another loopback address.
    pub fn from(local: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((local, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub fn send(&self, message: &[u8]) {
        self.0.send(message).unwrap();
    }

    /// Sends a message to a server that may not listen yet; whether that has gone out.
    pub fn try_send(&self, message: &[u8]) -> bool {
        self.0.send(message).is_ok()
    }

    pub fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 65_536];
        let length = self.0.recv(&mut buffer).expect("a reply over UDP");
        buffer[..length].to_vec()
    }

    /// What comes within a time, if anything does.
    pub fn receive_within(&self, time: Duration) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 65_536];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    /// The reply to a message, which is sent again after a while, as resolvers do: where tests flood the loopback, the
    /// kernel drops packets whose queue is full.
    pub fn ask(&self, message: &[u8]) -> Vec<u8> {
        let attempt = |_| {
            self.send(message);
            self.receive_within(PATIENCE / ATTEMPTS)
        };
        let reply = (0..ATTEMPTS).find_map(attempt).expect("a reply over UDP");
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        reply
    }
}

/// The reply to a message over UDP.
pub fn ask(server: SocketAddr, message: &[u8]) -> Reply {
    Reply::of(Udp::to(server).ask(message))
}

/// The reply over TCP.
pub fn ask_tcp(server: SocketAddr, message: &[u8]) -> Reply {
    let mut stream = Tcp::to(server);
    stream.send(message);
    Reply::of(stream.receive())
}

/// The TXT values at a name.
pub fn txts(server: SocketAddr, name: &str) -> Vec<String> {
    ask_tcp(server, &query(name, TXT)).txts()
}

/// A TCP connection to a DNS server.
pub struct Tcp(pub TcpStream);

impl Tcp {
    pub fn to(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, message: &[u8]) {
        self.0.write_all(&framed(message)).unwrap();
    }

    pub fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).expect("a reply over TCP");
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut message).expect("the whole reply");
        message
    }

    /// Waits until the server closes it, at most so long; whether it did.
    pub fn closes_within(&mut self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        match self.0.read(&mut [0; 64]) {
            Ok(0) => true,
            Ok(_) => panic!("the server says something"),
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// A message with its length before it (RFC 1035 section 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}
