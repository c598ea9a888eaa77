//! What was sent in reply to one message, for everybody who observes: `watch`, and the query log.
//!
//! An event is made after the reply has been written, so that it tells of rate limits, truncation and cookies as the
//! client met them. Only [`Observed`], a set of references, exists for every message. [`QueryEvent`] owns its parts and
//! allocates, so it is made only for an observer.

use std::fmt;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::{Labels, MAX_NAME, Name, NameRef};
use crate::model::time::Timestamp;

use super::answer::{Answer, Records};
use super::ede::Ede;
use super::question::{Echo, Edns};
use super::source::MessageSource;
use super::tsig::{ReplyTsig, TsigError};

/// What became of the reply to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reply was sent.
    Sent,
    /// The client's network is over the rate limit: an empty reply with TC was sent, and the client can retry over TCP.
    Slipped,
    /// The client's network is over the rate limit for errors: nothing was sent.
    Dropped,
    /// Nothing was sent for another reason: no turn to sign a denial was free, or the same UPDATE is in progress and its
    /// sender gets the one reply.
    Unanswered,
}

impl Verdict {
    /// The name in lower case, for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Slipped => "slipped",
            Self::Dropped => "dropped",
            Self::Unanswered => "unanswered",
        }
    }

    /// Whether the rate limit decided.
    pub fn is_limited(self) -> bool {
        matches!(self, Self::Slipped | Self::Dropped)
    }

    /// Whether a message went out.
    pub fn is_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Slipped)
    }
}

/// What a client showed of a DNS cookie (RFC 7873).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieState {
    /// No COOKIE option.
    Absent,
    /// A COOKIE option of a length that none may have: a format error.
    Malformed,
    /// A client cookie alone, or beside a server cookie of a form that is not ours.
    ClientOnly,
    /// A server cookie that is not ours, not this client's, or too old.
    Invalid,
    /// A server cookie that this server, or one that shares its secret, gave to this client.
    Valid,
}

impl CookieState {
    /// The name in lower case, for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Malformed => "malformed",
            Self::ClientOnly => "client-only",
            Self::Invalid => "invalid",
            Self::Valid => "valid",
        }
    }
}

/// A name in uncompressed wire form, with the case of its letters as sent: resolvers vary it (0x20).
#[derive(Clone, PartialEq, Eq)]
pub struct SentName(Box<[u8]>);

impl SentName {
    /// The same name in canonical form. `None` never happens for a name of a received question.
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

/// The question of a message; of an UPDATE, its zone section.
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
    /// Its name.
    pub name: Name,
    /// Why the signature was rejected; `None`: it was verified.
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
    /// The question; `None` where the message does not hold exactly one that can be read.
    pub question: Option<SentQuestion>,
    /// The EDNS record of the message; `None` where it has none.
    pub edns: Option<Edns>,
    /// The cookie of the message.
    pub cookie: CookieState,
    /// The key of a signed message.
    pub key: Option<ClaimedKey>,
    /// The names that an UPDATE changes or asks to change, as far as they could be read.
    pub updated: Vec<Name>,
    /// What became of the reply.
    pub verdict: Verdict,
    /// The response code that was sent; where nothing was sent, the one that would have been.
    pub rcode: ResponseCode,
    /// The extended error that was sent: only clients with EDNS get one.
    pub ede: Option<Ede>,
    /// Whether the reply said TC and so held no records.
    pub is_truncated: bool,
    /// Bytes of the reply; 0 where nothing was sent.
    pub size: usize,
    /// The TXT values in the reply, in its order: challenges, newest first, and persistent ones behind them.
    pub values: Vec<String>,
}

/// What there is to observe of one message, borrowed from where the reply was written.
#[derive(Debug)]
pub struct Observed<'a> {
    pub source: MessageSource,
    pub echo: &'a Echo<'a>,
    pub tsig: Option<&'a ReplyTsig>,
    pub updated: &'a [Name],
    pub cookie: CookieState,
    /// The answer that was written, or would have been.
    pub answer: &'a Answer<'a>,
    pub verdict: Verdict,
    pub is_truncated: bool,
    /// Bytes of the reply; 0 where nothing was sent.
    pub size: usize,
}

impl Observed<'_> {
    /// Whether the message is about `name` or a name below it: by its question, or by what an UPDATE changes.
    pub fn is_about(&self, name: &Name) -> bool {
        let mut buffer = [0; MAX_NAME];
        let is_asked = match self.echo.question_name() {
            Some(asked) => NameRef::lowered(asked, &mut buffer).below(name.as_ref()).is_some(),
            // A message without a readable question is about no name but the root, under which everything lies.
            None => name.parent().is_none(),
        };
        is_asked || self.updated.iter().any(|updated| updated.is_in(name))
    }

    /// The event of this moment.
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
            verdict: self.verdict,
            rcode: self.answer.rcode,
            ede: self.answer.ede.filter(|_| self.verdict.is_sent() && self.echo.edns.is_some()),
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
        match &self.answer.records {
            Records::Live(txt) if self.verdict == Verdict::Sent && !self.is_truncated => {
                txt.texts().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
            }
            _ => Vec::new(),
        }
    }
}
