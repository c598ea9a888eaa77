//! Whether a nameserver's reply leads on.

use std::io::ErrorKind;

use hickory_proto::op::ResponseCode;
use thiserror::Error;

use crate::model::name::Name;
use crate::net::dns_client::{AskError, DnsReply};

/// Why a nameserver is of no use for a zone that is delegated to it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerFailure {
    /// No answer, or a closed port.
    #[error("does not answer ({0})")]
    Silent(String),
    /// This machine has no route to the address, as without IPv6.
    #[error("cannot be reached from this machine ({0})")]
    NoRoute(String),
    /// This process has too many questions under way.
    #[error("was not asked ({0})")]
    NotAsked(String),
    /// It answers with a failure.
    #[error("answers {0}")]
    Rcode(ResponseCode),
    /// It answers without authority for the zone.
    #[error("is not authoritative for {}", .0.as_zone())]
    Lame(Name),
}

impl From<&AskError> for ServerFailure {
    fn from(error: &AskError) -> Self {
        match error {
            AskError::Network(cause)
                if matches!(
                    cause.kind(),
                    ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
                ) =>
            {
                Self::NoRoute(cause.to_string())
            }
            AskError::Busy | AskError::Unwritable(_) => Self::NotAsked(error.to_string()),
            other => Self::Silent(other.to_string()),
        }
    }
}

impl ServerFailure {
    /// What is wrong with the reply of a nameserver of `zone` for a name in it; `None` for an answer with authority, and
    /// for a referral to a zone further down on the way to the name.
    pub fn of(reply: &DnsReply, zone: &Name, name: &Name) -> Option<Self> {
        match reply.rcode() {
            ResponseCode::NoError | ResponseCode::NXDomain if reply.is_authoritative() => None,
            ResponseCode::NoError if leads_down(reply, zone, name) => None,
            ResponseCode::NoError | ResponseCode::NXDomain => Some(Self::Lame(zone.clone())),
            rcode => Some(Self::Rcode(rcode)),
        }
    }

    /// Whether the nameserver answers, and does not have the zone.
    pub fn is_lame(&self) -> bool {
        match self {
            Self::Lame(_) => true,
            Self::Rcode(rcode) => matches!(*rcode, ResponseCode::Refused | ResponseCode::NotAuth),
            Self::Silent(_) | Self::NoRoute(_) | Self::NotAsked(_) => false,
        }
    }

    /// Whether the reason may be on this machine alone.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::NoRoute(_) | Self::NotAsked(_))
    }
}

/// Whether a reply refers to a zone below `zone`, on the way to `name`.
fn leads_down(reply: &DnsReply, zone: &Name, name: &Name) -> bool {
    reply.referral().is_some_and(|to| to != *zone && to.is_in(zone) && name.is_in(&to))
}

/// A reply that leads on.
pub fn usable(reply: Result<DnsReply, AskError>, zone: &Name, name: &Name) -> Result<DnsReply, ServerFailure> {
    let reply = reply.map_err(|error| ServerFailure::from(&error))?;
    match ServerFailure::of(&reply, zone, name) {
        None => Ok(reply),
        Some(failure) => Err(failure),
    }
}
