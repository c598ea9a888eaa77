//! Why a question has no answer.

use std::io;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use thiserror::Error;

use crate::model::name::Name;

/// The longest chain of CNAMEs that is followed. Most resolvers give up at about this length.
pub const MAX_CHAIN: usize = 16;

/// Why recursive resolvers gave no records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LookupError {
    /// NXDOMAIN: neither this name nor one below it exists.
    #[error("the name {0} does not exist")]
    NameError(Name),
    /// NOERROR without a record of this type (RFC 2308).
    #[error("the name {name} has no {rtype} record")]
    NoData { name: Name, rtype: RecordType },
    /// A resolver has answered with a failure. The usual cause is a nameserver of the domain.
    #[error("the resolver could not look up {rtype} of {name}: it answered {rcode}")]
    Failed { name: Name, rtype: RecordType, rcode: ResponseCode },
    /// No resolver has answered in time.
    #[error("no resolver answered a question for {rtype} of {name}: {reason}")]
    Unreachable { name: Name, rtype: RecordType, reason: String },
    /// Nameservers that were asked themselves give no answer.
    #[error("{rtype} of {name} could not be looked up: {reason}")]
    NoAnswer { name: Name, rtype: RecordType, reason: String },
    #[error("the CNAMEs from {0} on form a loop, or a chain of more than {MAX_CHAIN} names")]
    LongChain(Name),
    #[error("there are no resolvers to ask: {0}; list some as `resolvers` in the configuration")]
    NoResolvers(String),
}

impl LookupError {
    /// Whether the DNS says that there is no such record.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::NameError(_) | Self::NoData { .. })
    }

    /// Whether the DNS itself says that nothing usable is there. Every other error leaves that open.
    pub fn is_conclusive(&self) -> bool {
        self.is_negative() || matches!(self, Self::LongChain(_))
    }
}

/// Why one server gave no reply to a direct question.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error(transparent)]
    Network(#[from] io::Error),
    #[error("the reply does not answer the question")]
    NotAnAnswer,
    #[error("the reply repeats the question in letters of another case; a strict resolver takes it for a forgery")]
    CaseChanged,
    #[error("the question cannot be written: {0}")]
    Unwritable(String),
    #[error("too many other DNS questions are under way")]
    Busy,
}
