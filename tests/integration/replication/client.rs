//! A secondary by hand: asks for transfers, checks the form of what comes, and keeps the zone.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::{RData, Record};

use crate::harness::ZONE;
use crate::harness::dns::{Change, ID, Reply, SOA, Tcp, framed, query, wire_name};
use crate::harness::tsig::{Key, Signed};

pub const AXFR: u16 = 252;
pub const IXFR: u16 = 251;

/// A key for both sides, whose file is written beside the configuration.
pub fn key(folder: &Path) -> Key {
    let secret = *b"0123456789abcdef0123456789abcdef";
    let key = Key { name: "ns2.example.org".into(), algorithm: "hmac-sha256".into(), secret: secret.to_vec() };
    let path = folder.join("ns2.tsig");
    std::fs::write(&path, format!("hmac-sha256:ns2.example.org:{}\n", STANDARD.encode(secret))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    key
}

/// A query for what has changed since a serial.
pub fn ixfr(zone: &str, serial: u32) -> Vec<u8> {
    let mut soa = wire_name(zone);
    soa.extend_from_slice(&[0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    soa.extend_from_slice(&serial.to_be_bytes());
    soa.extend_from_slice(&[0; 16]);
    query(zone, IXFR).count(2, 1).and(&soa)
}

/// What a transfer has brought: the records of its messages.
#[derive(Debug)]
pub struct Transferred {
    pub messages: usize,
    pub records: Vec<Record>,
}

pub fn serial_of(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    }
}

/// A record as text.
pub fn text(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}

impl Transferred {
    /// Reads messages to the end of the transfer. `open` makes a reply of each.
    pub fn read(mut next: impl FnMut() -> Reply) -> Self {
        let mut transferred = Self { messages: 0, records: Vec::new() };
        while !transferred.is_whole() {
            let reply = next();
            assert_eq!(reply.rcode(), hickory_proto::op::ResponseCode::NoError, "{reply:?}");
            assert!(reply.is_authoritative() && !reply.is_truncated(), "{:?}", reply.counts());
            assert_eq!(reply.message.metadata.id, ID);
            assert!(!reply.answers().is_empty());
            transferred.messages += 1;
            transferred.records.extend(reply.answers().iter().cloned());
        }
        transferred
    }

    fn is_whole(&self) -> bool {
        let Some(serial) = self.records.first().and_then(serial_of) else { return false };
        let ends = self.records.iter().filter(|record| serial_of(record) == Some(serial)).count();
        // The newest serial also begins the last additions.
        match self.records.get(1).map(serial_of) {
            None => true,
            Some(None) => ends == 2,
            Some(Some(_)) => ends == 3,
        }
    }

    pub fn serial(&self) -> u32 {
        serial_of(&self.records[0]).expect("a SOA record first")
    }

    /// Whether it is the SOA record alone.
    pub fn is_soa_alone(&self) -> bool {
        self.records.len() == 1
    }

    /// Whether it brings differences.
    pub fn is_incremental(&self) -> bool {
        self.records.get(1).is_some_and(|record| serial_of(record).is_some())
    }

    /// The whole zone that it brings, as text.
    pub fn zone(&self) -> BTreeSet<String> {
        assert!(!self.is_soa_alone() && !self.is_incremental());
        assert_eq!(self.records.first(), self.records.last());
        let records = &self.records[..self.records.len() - 1];
        let zone: BTreeSet<String> = records.iter().map(text).collect();
        assert_eq!(zone.len(), records.len(), "no record is there twice");
        zone
    }

    /// Applies the differences to a zone of the serial from which they start.
    pub fn apply(&self, zone: &mut BTreeSet<String>) {
        assert!(self.is_incremental());
        let mut removes = false;
        for record in &self.records[1..self.records.len() - 1] {
            if serial_of(record).is_some() {
                removes = !removes;
            }
            match removes {
                true => assert!(zone.remove(&text(record)), "{record} is not there"),
                false => assert!(zone.insert(text(record)), "{record} is there already"),
            }
        }
        assert!(zone.contains(&text(&self.records[0])));
    }
}

/// Asks over TCP.
pub fn transfer(server: SocketAddr, message: &[u8]) -> Transferred {
    let mut stream = Tcp::to(server);
    stream.send(message);
    Transferred::read(|| Reply::of(stream.receive()))
}

/// The whole zone.
pub fn axfr(server: SocketAddr) -> Transferred {
    transfer(server, &query(ZONE, AXFR))
}

/// Asks over any connection.
pub fn transfer_on<S: Read + Write>(stream: &mut S, message: &[u8]) -> Transferred {
    stream.write_all(&framed(message)).unwrap();
    Transferred::read(|| {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).unwrap();
        Reply::of(message)
    })
}

/// The same with a signature, over TCP. The signature of every message is verified.
pub fn signed_transfer(server: SocketAddr, key: &Key, message: &[u8]) -> Transferred {
    let mut stream = Tcp::to(server);
    let request = key.sign(message);
    stream.send(&request.bytes);
    let mut before: Option<Signed> = None;
    Transferred::read(|| {
        let bytes = stream.receive();
        let (reply, mac) = match &before {
            None => key.open_first(&request, &bytes),
            Some(before) => key.open_next(&before.mac, &bytes),
        };
        before = Some(Signed { bytes, mac });
        reply
    })
}

/// The serial of the SOA record that queries get.
pub fn served_serial(server: SocketAddr) -> u32 {
    let reply = crate::harness::dns::ask_tcp(server, &query(ZONE, SOA));
    serial_of(&reply.answers()[0]).unwrap()
}
