//! What a walk has asked, what came back, and where it has ended.

use std::fmt;
use std::time::Duration;

use hickory_proto::dnssec::rdata::DS;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use thiserror::Error;

use crate::delegation::parent::Nameserver;
use crate::model::name::Name;
use crate::net::dns_client::{AskError, DnsReply, Protocol};

/// One question of a walk.
#[derive(Debug)]
pub struct Step {
    /// The zone whose nameserver was asked.
    pub zone: Name,
    /// That nameserver.
    pub server: Nameserver,
    /// The name with its letters as they were sent.
    pub sent: String,
    /// The type that was asked for: A while the walk still looks for the zone (RFC 9156 section 2.1).
    pub rtype: RecordType,
    /// How the reply arrived.
    pub protocol: Protocol,
    /// The time until the reply.
    pub elapsed: Duration,
    /// What the reply was.
    pub outcome: StepOutcome,
}

/// What a reply means for the walk.
#[derive(Debug)]
pub enum StepOutcome {
    /// Another zone is responsible.
    Referral(Referred),
    /// The name is an alias of another one.
    Alias(Name),
    /// So many records of the type that was asked for.
    Records(usize),
    /// The name exists and has no such record.
    NoData,
    /// Neither the name nor one below it exists.
    NameError,
    /// The reply is of no use, or there is none. The walk asks the next nameserver.
    Fault(ServerFault),
}

/// A referral as it was sent.
#[derive(Debug, Clone)]
pub struct Referred {
    /// The zone further down.
    pub zone: Name,
    /// Its nameservers.
    pub nameservers: Vec<Name>,
    /// The addresses that came along and that the sender may tell: those of names within its own zone.
    pub glue: Vec<Nameserver>,
    /// The zone's DS records; none if the zone is unsigned.
    pub ds: Vec<DS>,
}

impl Referred {
    /// The nameservers that can only be reached by glue, and whose glue is missing.
    pub fn without_glue(&self) -> impl Iterator<Item = &Name> {
        let has_glue = |name: &Name| self.glue.iter().any(|server| server.name == *name);
        self.nameservers.iter().filter(move |name| name.is_in(&self.zone) && !has_glue(name))
    }
}

/// Why a nameserver's reply is of no use.
#[derive(Debug, Error)]
pub enum ServerFault {
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Only where addresses lead elsewhere by a table.
    #[error("no server has this address")]
    NoRoute,
    #[error("the answer is {0}")]
    Rcode(ResponseCode),
    #[error("the answer is not authoritative: the server does not serve {0}")]
    Lame(Name),
    #[error("a referral to {0}, which does not lead down to the name")]
    WrongReferral(Name),
    #[error("truncated, even over TCP")]
    Truncated,
}

/// Why a walk has found no answer.
#[derive(Debug, Error)]
pub enum WalkError {
    #[error("no nameserver of {zone} gives a usable answer; the last one, {server}: {fault}")]
    NoServer { zone: Name, server: Nameserver, fault: String },
    #[error("{zone} is delegated to {nameserver} without that name's address, which lies in the zone itself (glue)")]
    NoGlue { zone: Name, nameserver: Name },
    #[error("no nameserver of {zone} has an address: {problem}")]
    NoAddress { zone: Name, problem: String },
    #[error("the CNAMEs from {0} on form a loop, or a chain that is too long for resolvers")]
    LongChain(Name),
    #[error("{0} takes more questions than a resolver asks")]
    TooManyQuestions(Name),
}

/// The end of a walk: the answer of the name's own nameserver.
#[derive(Debug)]
pub struct Found {
    /// The name at the end of the CNAMEs.
    pub name: Name,
    /// The zone that the name is in.
    pub zone: Name,
    /// The nameserver that has answered.
    pub server: Nameserver,
    /// Its answer: records, no data or a name error.
    pub reply: DnsReply,
    /// Whether the records are signed by a key that the parent's DS names.
    pub signatures: Signatures,
}

/// What the signatures of an answer are worth, below the DS of its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signatures {
    /// The parent has no DS for the zone.
    Unsigned,
    /// The DS names a key of the zone, which has signed the keys and the records.
    Valid,
    /// A validating resolver gives SERVFAIL, for this reason.
    Invalid(String),
}

/// The way from the root to a name, and its end.
#[derive(Debug)]
pub struct Walk {
    /// Each question in the order in which it was asked.
    pub steps: Vec<Step>,
    /// Where the walk has ended.
    pub end: Result<Found, WalkError>,
}

impl fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Referral(referred) => write!(f, "referral to {}", referred.zone),
            Self::Alias(target) => write!(f, "CNAME {target}"),
            Self::Records(1) => f.write_str("1 record"),
            Self::Records(count) => write!(f, "{count} records"),
            Self::NoData => f.write_str("no such record"),
            Self::NameError => f.write_str("NXDOMAIN"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}
