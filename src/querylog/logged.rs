//! One logged query as it is kept: small, since memory decides how far back the log reaches.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::{Labels, Name};
use crate::model::network::QueryNetwork;
use crate::model::serial::Serial;
use crate::model::time::PreciseTimestamp;

use super::evidence::LoggedQuery;
use super::message::{CookieState, ReplyOutcome, Transport};

/// Equal queries of one sender count as one while none comes later than this after the one before.
const REPEATED_WITHIN: Duration = Duration::from_secs(2);
/// More than a query waits in its queue.
const QUEUED: Duration = Duration::from_secs(1);

/// An address and a port, in less room than a `SocketAddr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    ip: IpAddr,
    port: u16,
}

impl Endpoint {
    pub fn of(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }

    /// The address; `None` where it is not known.
    fn address(self) -> Option<SocketAddr> {
        (self.port > 0).then(|| SocketAddr::new(self.ip, self.port))
    }
}

/// All of a query that two queries must share to count as one, but for the values in the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryTraits {
    pub source: IpAddr,
    pub is_own: bool,
    pub transport: Transport,
    pub listener: Endpoint,
    pub rtype: RecordType,
    pub is_below: bool,
    pub edns_size: Option<u16>,
    pub dnssec_ok: bool,
    pub cookie: CookieState,
    pub rcode: ResponseCode,
    pub outcome: ReplyOutcome,
    pub is_truncated: bool,
}

impl QueryTraits {
    /// Equal for equal traits, and seldom for others: enough to leave out most comparisons with older queries.
    pub fn fingerprint(&self) -> u32 {
        let source = match self.source {
            IpAddr::V4(v4) => v4.to_bits(),
            IpAddr::V6(v6) => v6.to_bits().to_le_bytes().chunks_exact(4).fold(0_u32, |sum, part| {
                let part = part.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
                sum.rotate_left(5) ^ part
            }),
        };
        source ^ u32::from(u16::from(self.rtype)).rotate_left(24)
    }
}

/// A query that is to be logged.
#[derive(Clone, Copy, Debug)]
pub struct NewQuery<'q> {
    pub traits: QueryTraits,
    /// When the reply was written.
    pub at: PreciseTimestamp,
    /// The zone's serial with it.
    pub serial: Serial,
    /// The name in wire form, as sent.
    pub sent: &'q [u8],
}

/// A query, or several equal ones.
#[derive(Debug)]
pub struct KeptQuery {
    pub traits: QueryTraits,
    first: PreciseTimestamp,
    last: PreciseTimestamp,
    /// The zone's serial with the first of them.
    pub serial: Serial,
    count: u32,
    name: SentName,
    values: ValueNumbers,
    /// Whether the file has it. It stays as it is from then on.
    pub is_archived: bool,
}

impl KeptQuery {
    /// Keeps a query for the owner with this name. `values`: the numbers of those in the reply.
    pub fn new(query: &NewQuery<'_>, name: &Name, values: &[u16]) -> Self {
        let NewQuery { traits, at, serial, sent } = *query;
        Self {
            traits,
            first: at,
            last: at,
            serial,
            count: 1,
            name: SentName::of(name, sent),
            values: ValueNumbers::of(values),
            is_archived: false,
        }
    }

    /// The numbers of the values in the reply, in its order.
    pub fn values(&self) -> &[u16] {
        self.values.as_slice()
    }

    /// Counts another query, if it is equal and soon enough.
    pub fn repeats(&mut self, traits: &QueryTraits, at: PreciseTimestamp, values: &[u16]) -> bool {
        let is_soon = !self.is_archived && at.since(self.last) <= REPEATED_WITHIN;
        let is_one = is_soon && self.traits == *traits && self.values() == values;
        if is_one {
            self.last = self.last.max(at);
            self.count = self.count.saturating_add(1);
        }
        is_one
    }

    /// Whether no other query can count as one with it any more. Queues are emptied a moment after the reply.
    pub fn is_over(&self, now: PreciseTimestamp) -> bool {
        now.since(self.last) > REPEATED_WITHIN + QUEUED
    }

    /// When the reply to the last of them was written.
    pub fn last(&self) -> PreciseTimestamp {
        self.last
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        let name = match &self.name {
            SentName::Owners(_) => 0,
            SentName::Other(name) => name.len(),
        };
        name + self.values.heap()
    }

    /// The query for readers. `text`: the value with a number.
    pub fn told<'v>(&self, name: &Name, text: impl Fn(u16) -> Option<&'v str>) -> LoggedQuery {
        let values = self.values().iter().filter_map(|number| text(*number)).map(str::to_owned).collect();
        LoggedQuery {
            repeats: self.count - 1,
            until: self.last,
            ..logged(&self.traits, self.first, self.serial, self.name.text(name), values)
        }
    }
}

impl NewQuery<'_> {
    /// The query for readers.
    pub fn told<'v>(&self, values: impl Iterator<Item = &'v [u8]>) -> LoggedQuery {
        let values = values.map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        logged(&self.traits, self.at, self.serial, Labels::of_wire(self.sent).to_string(), values)
    }
}

fn logged(
    traits: &QueryTraits,
    at: PreciseTimestamp,
    serial: Serial,
    name: String,
    values: Vec<String>,
) -> LoggedQuery {
    LoggedQuery {
        at,
        serial: Some(serial),
        repeats: 0,
        until: at,
        source: traits.source,
        network: QueryNetwork::of(traits.source),
        is_own: traits.is_own,
        transport: traits.transport,
        listener: traits.listener.address(),
        rtype: traits.rtype,
        name,
        is_below: traits.is_below,
        edns_size: traits.edns_size,
        dnssec_ok: traits.dnssec_ok,
        cookie: traits.cookie,
        rcode: traits.rcode,
        outcome: traits.outcome,
        is_truncated: traits.is_truncated,
        values,
    }
}

/// Value numbers that need no memory of their own.
const FEW: usize = 3;

/// The numbers of the values in a reply. Nearly every reply has none, one or two.
#[derive(Debug)]
enum ValueNumbers {
    Few(u8, [u16; FEW]),
    Many(Box<[u16]>),
}

impl ValueNumbers {
    fn of(numbers: &[u16]) -> Self {
        let mut few = [0; FEW];
        match few.get_mut(..numbers.len()) {
            Some(room) => {
                room.copy_from_slice(numbers);
                Self::Few(numbers.len() as u8, few)
            }
            None => Self::Many(numbers.into()),
        }
    }

    fn as_slice(&self) -> &[u16] {
        match self {
            Self::Few(count, numbers) => &numbers[..usize::from(*count)],
            Self::Many(numbers) => numbers,
        }
    }

    fn heap(&self) -> usize {
        match self {
            Self::Few(..) => 0,
            Self::Many(numbers) => size_of_val(&**numbers),
        }
    }
}

/// Bits for the bytes of a name.
const BITS: usize = 128;

/// The name as it was sent. Resolvers vary the case of letters (0x20), so the owner's name is kept as one bit a byte.
#[derive(Debug)]
enum SentName {
    /// The owner's name: which of its bytes are upper-case letters.
    Owners([u64; BITS / 64]),
    /// Another name, or one of over 128 bytes, in wire form.
    Other(Box<[u8]>),
}

impl SentName {
    fn of(name: &Name, sent: &[u8]) -> Self {
        if sent.len() <= BITS && sent == name.as_wire() {
            return Self::Owners([0; BITS / 64]);
        }
        if sent.len() > BITS || !sent.eq_ignore_ascii_case(name.as_wire()) {
            return Self::Other(sent.into());
        }
        let mut upper = [0; BITS / 64];
        for (at, byte) in sent.iter().enumerate() {
            // The length of a label is 63 at most, and so no letter.
            upper[at / 64] |= u64::from(byte.is_ascii_uppercase()) << (at % 64);
        }
        Self::Owners(upper)
    }

    fn text(&self, name: &Name) -> String {
        let upper = match self {
            Self::Other(sent) => return Labels::of_wire(sent).to_string(),
            Self::Owners(upper) => upper,
        };
        let mut sent = name.as_wire().to_vec();
        for (at, byte) in sent.iter_mut().enumerate().take(BITS) {
            if upper[at / 64] >> (at % 64) & 1 == 1 {
                byte.make_ascii_uppercase();
            }
        }
        Labels::of_wire(&sent).to_string()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A query for TXT over UDP.
    pub fn query_from(source: IpAddr) -> NewQuery<'static> {
        let traits = QueryTraits {
            source,
            is_own: false,
            transport: Transport::Udp,
            listener: Endpoint { ip: source, port: 53 },
            rtype: RecordType::TXT,
            is_below: false,
            edns_size: None,
            dnssec_ok: false,
            cookie: CookieState::Absent,
            rcode: ResponseCode::NoError,
            outcome: ReplyOutcome::Sent,
            is_truncated: false,
        };
        NewQuery { traits, at: PreciseTimestamp::from_millis(1), serial: Serial(1), sent: b"\x00" }
    }

    #[test]
    fn a_name_is_told_in_the_case_in_which_it_was_sent() {
        let name: Name = "shop-1.auth.example.org".parse().unwrap();
        let long: Name = format!("{0}.{0}.{0}.auth.example.org", "x".repeat(50)).parse().unwrap();
        for (name, sent) in [
            (&name, b"\x06ShOP-1\x04auTH\x07EXAMPLE\x03org\x00".to_vec()),
            (&name, b"\x01X\x06shop-1\x04auth\x07example\x03org\x00".to_vec()),
            (&long, long.as_wire().to_ascii_uppercase()),
        ] {
            assert_eq!(SentName::of(name, &sent).text(name), Labels::of_wire(&sent).to_string());
        }
        assert!(matches!(SentName::of(&name, &name.as_wire().to_ascii_uppercase()), SentName::Owners(_)));
    }

    #[test]
    fn few_and_many_value_numbers_are_kept_in_their_order() {
        for count in 0..=FEW + 2 {
            let numbers: Vec<u16> = (0..count as u16).map(|number| 500 - number).collect();
            let kept = ValueNumbers::of(&numbers);
            assert_eq!((kept.as_slice(), kept.heap() > 0), (&*numbers, count > FEW));
        }
    }

    #[test]
    fn a_kept_query_is_small() {
        assert!(size_of::<KeptQuery>() <= 144, "{}", size_of::<KeptQuery>());
    }
}
