//! `/v1/queries`, and `/queries` of the operator.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;
use crate::querylog::evidence::LoggedQuery;
use crate::querylog::message::{CookieState, ReplyOutcome, Transport};

/// The last queries for some names, from oldest to newest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryList {
    pub items: Vec<QueryView>,
    /// Whether there are older ones, past the limit of the request.
    pub truncated: bool,
    /// Since when none is missing but those past the limits of the request and of the log.
    pub complete_since: PreciseTimestamp,
}

/// One query, or several equal ones, and what was sent in reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryView {
    /// When the reply was written.
    pub time: PreciseTimestamp,
    /// How many equal queries followed, none later than 2 s after the one before.
    pub repeats: u32,
    /// When the reply to the last of them was written.
    pub until: PreciseTimestamp,
    /// The account's name that the query concerns.
    pub name: String,
    /// The name in the question, with its letters as sent.
    pub asked: String,
    /// Whether that lies below the account's name.
    pub below: bool,
    /// The type of the question.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The sender's address; the first one of its network where the log keeps networks only.
    pub source: IpAddr,
    /// The sender's network: /24 or /48.
    pub network: QueryNetwork,
    /// Whether the daemon itself has asked.
    pub own: bool,
    pub transport: Transport,
    /// The address and port that the query was sent to.
    pub listener: Option<SocketAddr>,
    /// The UDP size that the client offers; `None` without EDNS.
    pub edns_size: Option<u16>,
    /// Whether the client asks for DNSSEC records.
    pub dnssec_ok: bool,
    /// The state of the client's DNS cookie.
    pub cookie: CookieState,
    /// The response code, as dig prints it; of a reply that was held back, the code that it would have had.
    pub rcode: String,
    /// What became of the reply.
    pub outcome: ReplyOutcome,
    /// Whether the reply was truncated, so that it had no records.
    pub truncated: bool,
    /// The TXT values in the reply.
    pub values: Vec<String>,
}

impl QueryView {
    /// What the client got, in a word: the response code, and why there are no values where that does not say so.
    pub fn reply(&self) -> String {
        match self.outcome {
            ReplyOutcome::Sent if self.truncated => "truncated".to_owned(),
            ReplyOutcome::Sent => self.rcode.clone(),
            ReplyOutcome::Slipped => "limited: truncated".to_owned(),
            ReplyOutcome::Dropped => "limited: dropped".to_owned(),
            ReplyOutcome::Unanswered => "unanswered".to_owned(),
        }
    }

    /// A query for an owner.
    pub fn of(owner: &Owner, query: &LoggedQuery) -> Self {
        Self {
            time: query.at,
            repeats: query.repeats,
            until: query.until,
            name: owner.to_string(),
            asked: query.name.clone(),
            below: query.is_below,
            rtype: query.rtype.to_string(),
            source: query.source,
            network: query.network,
            own: query.is_own,
            transport: query.transport,
            listener: query.listener,
            edns_size: query.edns_size,
            dnssec_ok: query.dnssec_ok,
            cookie: query.cookie,
            rcode: format!("{:?}", query.rcode).to_ascii_uppercase(),
            outcome: query.outcome,
            truncated: query.is_truncated,
            values: query.values.clone(),
        }
    }
}
