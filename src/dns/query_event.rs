//! What was sent in reply to one message, for observers such as `watch`.
//!
//! An event describes a reply that has been written: rate limits, truncation and cookies have had their effect. Every
//! message has an [`Observed`], which only borrows. A [`QueryEvent`] owns its parts and allocates, so one is made only if
//! there is an observer.

use std::fmt;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::crypto::tsig_record::{ReplyTsig, TsigError};
use crate::model::name::{Labels, MAX_NAME, Name, NameRef};
use crate::model::time::{PreciseTimestamp, Timestamp};
use crate::querylog::QueryRecord;

pub use crate::querylog::message::{CookieState, ReplyOutcome};

use super::answer::{Answer, AskedName, LiveTxt, Records};
use super::echo::Echo;
use super::ede::Ede;
use super::edns::Edns;
use super::source::MessageSource;

/// A name in uncompressed wire form, in the case in which it was sent: resolvers vary the case of letters (0x20).
#[derive(Clone, PartialEq, Eq)]
pub struct SentName(Box<[u8]>);

impl SentName {
    /// The name in canonical form. Never `None` for the name of a received question.
    pub fn canonical(&self) -> Option<Name> {
        Name::from_wire(&self.0).ok()
    }
}

impl fmt::Display for SentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Labels::of_wire(&self.0).fmt(f)
    }
}

impl fmt::Debug for SentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The question of a message, or the zone section of an UPDATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentQuestion {
    /// The name as sent.
    pub name: SentName,
    /// The type.
    pub rtype: RecordType,
}

/// The key that a message claims to be signed with (RFC 8945).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedKey {
    /// The key's name.
    pub name: Name,
    /// Why the signature was rejected; `None` if it was verified.
    pub error: Option<TsigError>,
}

/// One message and what was sent in reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryEvent {
    /// When the reply was written.
    pub at: Timestamp,
    /// The sender and the transport.
    pub source: MessageSource,
    /// The opcode: 0 for a query, 5 for an UPDATE.
    pub opcode: u8,
    /// The question; `None` unless the message holds exactly one readable question.
    pub question: Option<SentQuestion>,
    /// The OPT record of the message; `None` if it has none.
    pub edns: Option<Edns>,
    /// The cookie of the message.
    pub cookie: CookieState,
    /// The key of a signed message.
    pub key: Option<ClaimedKey>,
    /// The names that an UPDATE changes or would change, if its sections are readable.
    pub updated: Vec<Name>,
    /// What became of the reply.
    pub outcome: ReplyOutcome,
    /// The response code of the reply. If nothing was sent, the code of the reply that was held back.
    pub rcode: ResponseCode,
    /// The extended error in the reply. Only clients with EDNS get one.
    pub ede: Option<Ede>,
    /// Whether the reply had TC set, and therefore held no records.
    pub is_truncated: bool,
    /// The size of the reply in bytes; 0 if nothing was sent.
    pub size: usize,
    /// The TXT values in the reply, in its order: challenge values from newest to oldest, then persistent values.
    pub values: Vec<String>,
}

/// A message and its reply, as observers may see them; borrowed from the code that wrote the reply.
#[derive(Debug)]
pub struct Observed<'a> {
    pub source: MessageSource,
    pub echo: &'a Echo<'a>,
    pub tsig: Option<&'a ReplyTsig>,
    pub updated: &'a [Name],
    pub cookie: CookieState,
    /// The answer that was written or held back.
    pub answer: &'a Answer<'a>,
    pub outcome: ReplyOutcome,
    pub is_truncated: bool,
    /// The size of the reply in bytes; 0 if nothing was sent.
    pub size: usize,
}

impl Observed<'_> {
    /// Whether the question, or a name that an UPDATE changes, is `name` or lies below it.
    pub fn is_about(&self, name: &Name) -> bool {
        let mut buffer = [0; MAX_NAME];
        let is_asked = match self.echo.question_name() {
            Some(asked) => NameRef::lowered(asked, &mut buffer).below(name.as_ref()).is_some(),
            // A message without a readable question concerns only a watch on the root, which sees everything.
            None => name.parent().is_none(),
        };
        is_asked || self.updated.iter().any(|updated| updated.is_in(name))
    }

    /// Whether published values were sent.
    pub fn shows_values(&self) -> bool {
        let has_values = matches!(&self.answer.records, Records::Live(_));
        has_values && self.outcome == ReplyOutcome::Sent && !self.is_truncated
    }

    /// The TXT values that were sent: challenge values from newest to oldest, then persistent values.
    pub fn sent_values(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let sent = match &self.answer.records {
            Records::Live(txt) if self.shows_values() => Some(txt),
            _ => None,
        };
        sent.into_iter().flat_map(LiveTxt::texts)
    }

    /// The query for the query log; `None` if the log leaves it out.
    pub fn to_record(&self) -> Option<(QueryRecord, &[u8])> {
        let is_below = match self.answer.asked {
            AskedName::Owner => false,
            AskedName::BelowOwner => true,
            AskedName::Other => return None,
        };
        let MessageSource { address, port, local, transport } = self.source;
        let record = QueryRecord {
            at: PreciseTimestamp::now(),
            serial: self.answer.serial,
            source: address,
            port,
            listener: local,
            transport,
            rtype: self.echo.queried_type()?,
            edns_size: self.echo.edns.map(|edns| edns.udp_size),
            dnssec_ok: self.echo.edns.is_some_and(|edns| edns.dnssec_ok),
            cookie: self.cookie,
            rcode: self.answer.rcode,
            outcome: self.outcome,
            is_truncated: self.is_truncated,
            is_below,
        };
        Some((record, self.echo.question_name()?))
    }

    /// Copies the observation into an event.
    pub fn to_event(&self, at: Timestamp) -> QueryEvent {
        QueryEvent {
            at,
            source: self.source,
            opcode: self.echo.opcode,
            question: self.question(),
            edns: self.echo.edns,
            cookie: self.cookie,
            key: self.tsig.map(|tsig| ClaimedKey { name: tsig.key_name().clone(), error: tsig.error() }),
            updated: self.updated.to_vec(),
            outcome: self.outcome,
            rcode: self.answer.rcode,
            ede: self.answer.ede.filter(|_| self.outcome.is_sent() && self.echo.edns.is_some()),
            is_truncated: self.is_truncated,
            size: self.size,
            values: self.values(),
        }
    }

    fn question(&self) -> Option<SentQuestion> {
        let name = SentName(self.echo.question_name()?.into());
        Some(SentQuestion { name, rtype: self.echo.question_type()? })
    }

    fn values(&self) -> Vec<String> {
        self.sent_values().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }
}
