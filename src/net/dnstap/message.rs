//! A message in the form of dnstap.proto: Protocol Buffers, of which dnstap uses four kinds of field.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::model::network::QueryNetwork;

/// The version of this server, as it is told.
const VERSION: &str = concat!("txtgate ", env!("CARGO_PKG_VERSION"));

/// The kind of a message: `Message.Type` of dnstap.proto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A query to an authoritative server.
    AuthQuery = 1,
    /// The reply to one.
    AuthResponse = 2,
    /// A DNS UPDATE.
    UpdateQuery = 13,
    /// The reply to one.
    UpdateResponse = 14,
}

impl Kind {
    fn is_response(self) -> bool {
        matches!(self, Self::AuthResponse | Self::UpdateResponse)
    }
}

/// The transport: `SocketProtocol` of dnstap.proto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Udp = 1,
    Tcp = 2,
    Tls = 3,
    Quic = 7,
}

/// A message, and how it came or went.
#[derive(Debug, Clone, Copy)]
pub struct Tapped<'a> {
    pub kind: Kind,
    pub protocol: Protocol,
    /// The sender of the query. Port 0: unknown.
    pub client: SocketAddr,
    /// The address that was asked.
    pub server: SocketAddr,
    /// When the query arrived, since 1970; of a response, `None` if that is not known any more.
    pub queried: Option<Duration>,
    /// When the response was written, since 1970; `None` for a query.
    pub responded: Option<Duration>,
    /// The message itself.
    pub bytes: &'a [u8],
}

impl Tapped<'_> {
    /// The message with the client's network in place of its address and port.
    pub fn without_host(&self) -> Self {
        let network = QueryNetwork::of(self.client.ip());
        Self { client: SocketAddr::new(network.address(), 0), ..*self }
    }

    /// The message as `Dnstap` of dnstap.proto.
    pub fn encode(&self, identity: &str) -> Vec<u8> {
        let mut message = Fields(Vec::with_capacity(self.bytes.len() + 96));
        message.varint(1, self.kind as u64);
        message.varint(2, if self.client.is_ipv4() { 1 } else { 2 });
        message.varint(3, self.protocol as u64);
        message.address(4, self.client.ip());
        message.address(5, self.server.ip());
        message.port(6, self.client.port());
        message.port(7, self.server.port());
        message.time(8, self.queried);
        if !self.kind.is_response() {
            message.bytes(10, self.bytes);
        }
        message.time(12, self.responded);
        if self.kind.is_response() {
            message.bytes(14, self.bytes);
        }
        let mut dnstap = Fields(Vec::with_capacity(message.0.len() + identity.len() + VERSION.len() + 12));
        if !identity.is_empty() {
            dnstap.bytes(1, identity.as_bytes());
        }
        dnstap.bytes(2, VERSION.as_bytes());
        dnstap.bytes(14, &message.0);
        dnstap.varint(15, 1); // Type MESSAGE, the only one there is.
        dnstap.0
    }
}

/// The wire types of Protocol Buffers.
const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// The fields of a message of Protocol Buffers, in wire form.
struct Fields(Vec<u8>);

impl Fields {
    fn tag(&mut self, field: u64, wire_type: u64) {
        self.number(field << 3 | wire_type);
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80); // the low seven bits, and that more follow
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.tag(field, VARINT);
        self.number(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, LENGTH_DELIMITED);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn address(&mut self, field: u64, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.bytes(field, &address.octets()),
            IpAddr::V6(address) => self.bytes(field, &address.octets()),
        }
    }

    fn port(&mut self, field: u64, port: u16) {
        if port != 0 {
            self.varint(field, port.into());
        }
    }

    /// The seconds in `field`, and the nanoseconds in the next one.
    fn time(&mut self, field: u64, time: Option<Duration>) {
        let Some(time) = time else { return };
        self.varint(field, time.as_secs());
        self.tag(field + 1, FIXED32);
        self.0.extend_from_slice(&time.subsec_nanos().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_bytes_that_the_schema_demands() {
        let query = Tapped {
            kind: Kind::AuthQuery,
            protocol: Protocol::Quic,
            client: "192.0.2.7:4660".parse().unwrap(),
            server: "[2001:db8::1]:53".parse().unwrap(),
            queried: Some(Duration::new(300, 0x0102_0304)),
            responded: None,
            bytes: b"dns",
        };
        let message = [
            &b"\x08\x01\x10\x01\x18\x07\x22\x04\xc0\x00\x02\x07\x2a\x10\x20\x01\x0d\xb8"[..],
            &[0; 11],
            b"\x01\x30\xb4\x24\x38\x35\x40\xac\x02\x4d\x04\x03\x02\x01\x52\x03dns",
        ]
        .concat();
        let version = VERSION.as_bytes();
        let expected = [
            &b"\x0a\x02me\x12"[..],
            &[version.len() as u8],
            version,
            b"\x72",
            &[message.len() as u8],
            &message,
            b"\x78\x01",
        ]
        .concat();
        assert_eq!(query.encode("me"), expected);
        assert_eq!(query.encode(""), expected[4..]);
        assert_eq!(query.without_host().client, "192.0.2.0:0".parse().unwrap());
    }
}
