//! Copies of messages for dnstap: queries as they arrived, and replies as they are sent.

use std::time::{Duration, SystemTime};

use crate::model::wire::HEADER;
use crate::net::dnstap::{Kind, Protocol, Tap, Tapped};

use super::source::{MessageSource, Transport};

/// The opcode of UPDATE (RFC 2136).
const UPDATE: u8 = 5;

/// Tells dnstap what DNS knows about each message; a cheap handle.
#[derive(Clone, Debug)]
pub struct MessageTap(Tap);

impl MessageTap {
    pub fn new(tap: Tap) -> Self {
        Self(tap)
    }

    /// Copies a message that has arrived. Returns when that was, since 1970. Bytes that are not a request are not copied:
    /// responses, and what is too short for a header.
    pub fn query(&self, packet: &[u8], source: MessageSource) -> Duration {
        let now = now();
        let is_request = packet.len() >= HEADER && packet[2] & 0x80 == 0;
        if is_request {
            let kind = if is_update(packet) { Kind::UpdateQuery } else { Kind::AuthQuery };
            self.record(kind, packet, source, Some(now), None);
        }
        now
    }

    /// Copies a reply that is sent. `queried`: when its query arrived, if that is known still.
    pub fn response(&self, reply: &[u8], source: MessageSource, queried: Option<Duration>) {
        let kind = if is_update(reply) { Kind::UpdateResponse } else { Kind::AuthResponse };
        self.record(kind, reply, source, queried, Some(now()));
    }

    fn record(
        &self,
        kind: Kind,
        bytes: &[u8],
        source: MessageSource,
        queried: Option<Duration>,
        responded: Option<Duration>,
    ) {
        let protocol = match source.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
            Transport::Tls => Protocol::Tls,
            Transport::Quic => Protocol::Quic,
        };
        let client = (source.address, source.port).into();
        self.0.record(&Tapped { kind, protocol, client, server: source.local, queried, responded, bytes });
    }
}

fn is_update(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags >> 3 & 0xf == UPDATE)
}

/// The time since 1970. dnstap wants nanoseconds, which the daemon's own clock does not have.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
