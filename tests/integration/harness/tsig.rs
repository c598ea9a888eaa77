//! TSIG by hand (RFC 8945), apart from the daemon's own: messages are signed, and replies verified to the last byte.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use md5::Md5;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::dns::{Reply, Tcp, Udp, wire_name};

const TSIG: [u8; 2] = [0, 250];
const CLASS_AND_TTL: [u8; 6] = [0, 255, 0, 0, 0, 0];
pub const FUDGE: u16 = 300;

/// An account's key, as `account tsig create --json` prints it.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub algorithm: String,
    pub secret: Vec<u8>,
}

/// A signed message, and what its reply's signature begins with.
#[derive(Clone, Debug)]
pub struct Signed {
    pub bytes: Vec<u8>,
    pub mac: Vec<u8>,
}

/// A reply's TSIG record.
#[derive(Clone, Debug, PartialEq)]
pub struct Seal {
    pub time: u64,
    pub error: u16,
    pub other: Vec<u8>,
    pub is_signed: bool,
}

/// A reply without its TSIG record, and the record's fields.
struct Opened {
    message: Vec<u8>,
    seal: Seal,
    mac: Vec<u8>,
    fudge: u16,
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Key {
    pub fn of(json: &Value) -> Self {
        let text = |field: &str| json[field].as_str().unwrap_or_else(|| panic!("{field} in {json}")).to_owned();
        Self { name: text("name"), algorithm: text("algorithm"), secret: STANDARD.decode(text("secret")).unwrap() }
    }

    fn algorithm_name(&self) -> Vec<u8> {
        let name = if self.algorithm == "hmac-md5" { "HMAC-MD5.SIG-ALG.REG.INT" } else { &self.algorithm };
        wire_name(name)
    }

    fn mac(&self, bytes: &[u8]) -> Vec<u8> {
        match self.algorithm.as_str() {
            "hmac-md5" => mac::<Md5>(&self.secret, bytes),
            "hmac-sha1" => mac::<Sha1>(&self.secret, bytes),
            "hmac-sha384" => mac::<Sha384>(&self.secret, bytes),
            "hmac-sha512" => mac::<Sha512>(&self.secret, bytes),
            _ => mac::<Sha256>(&self.secret, bytes),
        }
    }

    pub fn sign(&self, message: &[u8]) -> Signed {
        self.sign_at(message, now(), FUDGE)
    }

    pub fn sign_at(&self, message: &[u8], time: u64, fudge: u16) -> Signed {
        let mac = self.mac(&[message, &self.covered(time, fudge, 0, &[])].concat());
        self.with_mac(message, time, fudge, &mac)
    }

    /// A message with any bytes for its MAC.
    pub fn with_mac(&self, message: &[u8], time: u64, fudge: u16, mac: &[u8]) -> Signed {
        let mut rdata = self.algorithm_name();
        rdata.extend_from_slice(&time.to_be_bytes()[2..]);
        rdata.extend_from_slice(&fudge.to_be_bytes());
        rdata.extend_from_slice(&counted(mac));
        rdata.extend_from_slice(&message[..2]);
        rdata.extend_from_slice(&[0; 4]);
        let mut bytes = message.to_vec();
        bytes[11] += 1;
        let name = wire_name(&self.name);
        bytes.extend_from_slice(&[&name[..], &TSIG, &CLASS_AND_TTL, &counted(&rdata)].concat());
        Signed { bytes, mac: mac.to_vec() }
    }

    /// What a MAC covers beside the message (section 4.3.3).
    fn covered(&self, time: u64, fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
        let name = wire_name(&self.name.to_lowercase());
        let algorithm = self.algorithm_name().to_ascii_lowercase();
        let times = [&time.to_be_bytes()[2..], &fudge.to_be_bytes(), &error.to_be_bytes()].concat();
        [&name, &CLASS_AND_TTL[..], &algorithm, &times, &counted(other)].concat()
    }

    /// Takes a reply's TSIG record off, and verifies it where it has a MAC.
    pub fn open(&self, request: &Signed, reply: &[u8]) -> (Reply, Seal) {
        let Opened { message, seal, mac, fudge } = self.unseal(reply);
        if seal.is_signed {
            let fields = self.covered(seal.time, fudge, seal.error, &seal.other);
            let covered = [counted(&request.mac), message.clone(), fields].concat();
            assert_eq!(mac, self.mac(&covered), "the reply's MAC");
        }
        (Reply::of(message), seal)
    }

    /// The same of the first message of a transfer, which must be signed; with its MAC.
    pub fn open_first(&self, request: &Signed, reply: &[u8]) -> (Reply, Vec<u8>) {
        let (opened, seal) = self.open(request, reply);
        assert!(seal.is_signed && seal.error == 0, "{seal:?}");
        (opened, self.unseal(reply).mac)
    }

    /// The same of a later message, which covers the MAC of the one before and of its own fields the times alone
    /// (RFC 8945 section 5.3.1).
    pub fn open_next(&self, before: &[u8], reply: &[u8]) -> (Reply, Vec<u8>) {
        let Opened { message, seal, mac, fudge } = self.unseal(reply);
        let times = [&seal.time.to_be_bytes()[2..], &fudge.to_be_bytes()].concat();
        assert_eq!(mac, self.mac(&[counted(before), message.clone(), times].concat()), "the MAC of a later message");
        (Reply::of(message), mac)
    }

    /// A request of the daemon's own without its record, which is verified.
    pub fn open_request(&self, request: &[u8]) -> Vec<u8> {
        let Opened { message, seal, mac, fudge } = self.unseal(request);
        let fields = self.covered(seal.time, fudge, seal.error, &seal.other);
        assert_eq!(mac, self.mac(&[message.clone(), fields].concat()), "the request's MAC");
        message
    }

    /// Signs the reply to a request that is signed.
    pub fn sign_reply(&self, reply: &[u8], request: &[u8]) -> Vec<u8> {
        let before = counted(&self.unseal(request).mac);
        let time = now();
        let mac = self.mac(&[&before, reply, &self.covered(time, FUDGE, 0, &[])].concat());
        self.with_mac(reply, time, FUDGE, &mac).bytes
    }

    /// Takes a reply's TSIG record apart.
    fn unseal(&self, reply: &[u8]) -> Opened {
        let start = [&wire_name(&self.name)[..], &TSIG].concat();
        let at = reply.windows(start.len()).rposition(|window| window == start);
        let at = at.unwrap_or_else(|| panic!("no TSIG of {}: {reply:02x?}", self.name));
        let mut message = reply[..at].to_vec();
        message[11] -= 1;
        let rdata = &reply[at + start.len() + 8..];
        let algorithm = self.algorithm_name();
        assert!(rdata[..algorithm.len()].eq_ignore_ascii_case(&algorithm), "{reply:02x?}");
        let rest = &rdata[algorithm.len()..];
        let number = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        let time = rest[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
        let (fudge, length) = (number(6), usize::from(number(8)));
        let (mac, end) = (rest[10..10 + length].to_vec(), 10 + length);
        assert_eq!(rest[end..end + 2], reply[..2], "the original id");
        let (error, other) = (number(end + 2), rest[end + 6..].to_vec());
        assert_eq!(usize::from(number(end + 4)), other.len(), "nothing is behind it");
        Opened { message, seal: Seal { time, error, other, is_signed: !mac.is_empty() }, mac, fudge }
    }

    /// The reply to a message that is signed now, over TCP; it must be signed.
    pub fn ask(&self, server: SocketAddr, message: &[u8]) -> Reply {
        let (reply, seal) = self.exchange(server, &self.sign(message));
        assert!(seal.is_signed && seal.error == 0, "{seal:?} {reply:?}");
        assert!(seal.time.abs_diff(now()) < 60, "{seal:?}");
        reply
    }

    /// The same over UDP.
    pub fn ask_udp(&self, server: SocketAddr, message: &[u8]) -> Reply {
        let signed = self.sign(message);
        let (reply, seal) = self.open(&signed, &Udp::to(server).ask(&signed.bytes));
        assert!(seal.is_signed && seal.error == 0, "{seal:?} {reply:?}");
        reply
    }

    /// The reply to a signed message, whatever it is.
    pub fn exchange(&self, server: SocketAddr, signed: &Signed) -> (Reply, Seal) {
        let mut stream = Tcp::to(server);
        stream.send(&signed.bytes);
        self.open(signed, &stream.receive())
    }
}

fn mac<D: EagerHash>(secret: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<D> as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}
