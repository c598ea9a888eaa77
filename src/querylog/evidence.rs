//! What is known of the queries for one owner's names: plain data, from which a verdict is drawn.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::message::{CookieState, ReplyOutcome, Transport};

/// All that the query log holds of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerEvidence {
    /// The owner.
    pub owner: Owner,
    /// Since when nothing is missing: the start of the daemon, or the last time at which queries for this owner were
    /// lost or forgotten to stay within the memory limit. That the oldest of [`queries`](Self::queries) made room for
    /// newer ones does not count.
    pub complete_since: PreciseTimestamp,
    /// The last queries for the owner's name and for names below it, from oldest to newest.
    pub queries: Vec<LoggedQuery>,
    /// The values that are or were published here, from newest to oldest.
    pub values: Vec<ValueEvidence>,
}

/// One query, and what was sent in reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedQuery {
    /// When the reply was written.
    pub at: PreciseTimestamp,
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
    /// The networks that got it, in the order in which they first did. Queries of the daemon itself are left out.
    pub networks: Vec<NetworkEvidence>,
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
