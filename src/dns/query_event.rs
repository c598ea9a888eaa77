//! What was sent in reply to one message, for observers such as `watch`.
//!
//! An event describes a reply that has been written: rate limits, truncation and cookies have had their effect. Every
//! message has an [`Observed`], which only borrows. A [`QueryEvent`] owns its parts and allocates, so one is made only if
//! there is an observer.

use std::fmt;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::{Labels, MAX_NAME, Name, NameRef};
use crate::model::time::Timestamp;

use super::answer::{Answer, Records};
use super::ede::Ede;
use super::edns::Edns;
use super::question::Echo;
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
    /// Nothing was sent for another reason: the signing limit is exhausted, or the same UPDATE is already in progress and
    /// its sender gets one reply.
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

    /// Whether the rate limit prevented the full reply.
    pub fn is_limited(self) -> bool {
        matches!(self, Self::Slipped | Self::Dropped)
    }

    /// Whether a message went out.
    pub fn is_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Slipped)
    }
}

/// The state of the DNS cookie in a message (RFC 7873).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieState {
    /// No COOKIE option.
    Absent,
    /// A COOKIE option of an invalid length, which is a format error.
    Malformed,
    /// A client cookie alone, or with a server cookie in another server's format.
    ClientOnly,
    /// A server cookie that is forged, belongs to another client, or is too old.
    Invalid,
    /// A server cookie that this server, or one with the same secret, gave to this client.
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
    pub verdict: Verdict,
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
    pub verdict: Verdict,
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
