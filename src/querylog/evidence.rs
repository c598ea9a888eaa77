//! What is known of the queries for one owner's names: plain data, from which a verdict is drawn.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::serial::Serial;
use crate::model::time::PreciseTimestamp;

use super::message::{CookieState, ReplyOutcome, Transport};

/// How far an expiry is off at most: deadlines are in whole seconds of another clock than dates.
const EXPIRY_PRECISION: Duration = Duration::from_secs(1);

/// All that the query log holds of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerEvidence {
    /// The owner.
    pub owner: Owner,
    /// Since when nothing is missing: the start of the daemon, or the last time at which queries for this owner were
    /// lost or forgotten to stay within the memory limit. That the oldest of [`queries`](Self::queries) made room for
    /// newer ones does not count.
    pub complete_since: PreciseTimestamp,
    /// The time of which some changes are not known; `None`: all are known.
    pub gap: Option<ChangeGap>,
    /// The last queries for the owner's name and for names below it, from oldest to newest.
    pub queries: Vec<LoggedQuery>,
    /// The values that are or were published here, from newest to oldest.
    pub values: Vec<ValueEvidence>,
}

/// A time of which not all changes are known: the log could not follow them, and has read their result from the zone. Values
/// that came or went meanwhile are dated at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeGap {
    /// The last moment before it at which every change was known.
    pub from: PreciseTimestamp,
    /// When the zone was read.
    pub until: PreciseTimestamp,
}

impl ChangeGap {
    /// The time of both gaps, and what is between them.
    pub fn with(self, earlier: Option<Self>) -> Self {
        let from = earlier.map_or(self.from, |earlier| earlier.from.min(self.from));
        Self { from, until: earlier.map_or(self.until, |earlier| earlier.until.max(self.until)) }
    }
}

/// One query, and what was sent in reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedQuery {
    /// When the reply was written.
    pub at: PreciseTimestamp,
    /// The zone's serial, read together with the records of the reply: the state of the zone from which it was answered.
    /// `None` for a query that only the file has.
    pub serial: Option<Serial>,
    /// How many equal queries of the same sender followed, none later than 2 s after the one before. They are kept as
    /// one, so that a client that asks again and again pushes no other query out.
    pub repeats: u32,
    /// When the reply to the last of them was written; [`at`](Self::at) without any.
    pub until: PreciseTimestamp,
    /// The sender's address; the first one of its network where addresses are private.
    pub source: IpAddr,
    /// The sender's network.
    pub network: QueryNetwork,
    /// Whether the daemon itself has asked: a self-check, or a look-up before an order. No CA has seen such an answer.
    pub is_own: bool,
    /// How the query arrived.
    pub transport: Transport,
    /// The address of the listener that received it, where that is known.
    pub listener: Option<SocketAddr>,
    /// The type of the question.
    pub rtype: RecordType,
    /// The name with its letters as sent (0x20), without the closing dot.
    pub name: String,
    /// Whether the name lies below the owner's, where no values are.
    pub is_below: bool,
    /// The UDP size that the client offers, in bytes; `None` without EDNS.
    pub edns_size: Option<u16>,
    /// Whether the client asks for DNSSEC records.
    pub dnssec_ok: bool,
    /// The state of the client's DNS cookie.
    pub cookie: CookieState,
    /// The response code; of a reply that was held back, the code that it would have had.
    pub rcode: ResponseCode,
    /// What became of the reply.
    pub outcome: ReplyOutcome,
    /// Whether the reply had TC set, and therefore no records.
    pub is_truncated: bool,
    /// The TXT values in the reply, as they were sent.
    pub values: Vec<String>,
}

/// One value, and who has got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueEvidence {
    /// The value: of a challenge, or a persistent authorization.
    pub value: String,
    /// When it was first served; a later publication of the same value does not change that while it is served.
    pub published: PreciseTimestamp,
    /// When it was retired or expired; `None` while it is served.
    pub retired: Option<PreciseTimestamp>,
    /// The states of the zone that have it.
    pub serials: ServedSerials,
    /// The networks that got it, in the order in which they first did. Queries of the daemon itself are left out.
    pub networks: Vec<NetworkEvidence>,
}

/// The states of a zone that have a value, by the zone's serials (RFC 1982).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServedSerials {
    /// The serial of the commit that published it; `None` if that was before the log knew of its owner.
    pub since: Option<Serial>,
    /// The serial of the commit that retired it; `None` while it is served, and if it has only expired.
    pub until: Option<Serial>,
    /// Whether it expired, which takes no commit.
    pub is_expired: bool,
}

/// Where a query stands in the time of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    BeforePublication,
    WhileServed,
    AfterRetirement,
}

impl ValueEvidence {
    /// Where a query stands in the time of this value.
    ///
    /// What tells is the serial from which the query was answered. Its date does not: the thread that answers and the one that
    /// commits each look at the clock a moment later, in the same millisecond or in any order.
    pub fn phase_of(&self, query: &LoggedQuery) -> Phase {
        if self.is_before(query) {
            return Phase::BeforePublication;
        }
        if self.is_after(query) { Phase::AfterRetirement } else { Phase::WhileServed }
    }

    /// Whether the value may have come or gone in a time of which not all changes are known.
    pub fn is_uncertain(&self, gap: ChangeGap) -> bool {
        self.published <= gap.until && self.retired.is_none_or(|retired| retired >= gap.from)
    }

    fn is_before(&self, query: &LoggedQuery) -> bool {
        match (query.serial, self.serials.since) {
            (Some(serial), Some(since)) => since.is_after(serial),
            _ => query.at < self.published,
        }
    }

    fn is_after(&self, query: &LoggedQuery) -> bool {
        let Some(retired) = self.retired else { return false };
        let has_expired = self.serials.is_expired && query.at.plus(EXPIRY_PRECISION) >= retired;
        let is_retired = match (query.serial, self.serials.until) {
            (Some(serial), Some(until)) => !until.is_after(serial),
            _ => query.at > retired,
        };
        has_expired || is_retired
    }
}

/// One network that got a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkEvidence {
    /// The network.
    pub network: QueryNetwork,
    /// The first answer with the value.
    pub first: PreciseTimestamp,
    /// The last answer with the value.
    pub last: PreciseTimestamp,
    /// The transports that carried it, each once.
    pub transports: Vec<Transport>,
    /// How many answers had the value.
    pub answers: u64,
}
