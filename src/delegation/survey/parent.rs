//! What one nameserver of the parent zone says to a question for the NS records of a zone.

use std::fmt;

use hickory_proto::rr::RecordType;

use crate::delegation::iterative::ServerFailure;
use crate::delegation::parent::{Nameserver, Referral};
use crate::model::name::Name;
use crate::model::text::listed;
use crate::net::dns_client::{AskError, DnsReply, Protocol};

use super::Surveyor;

/// One nameserver of the parent zone.
#[derive(Debug)]
pub struct ParentServer {
    /// The nameserver.
    pub server: Nameserver,
    /// What it says.
    pub answer: ParentAnswer,
    /// Whether it repeats questions in letters of another case, which strict resolvers take for forgeries.
    pub changes_case: bool,
}

/// An answer of the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentAnswer {
    /// A referral to the zone's nameservers.
    Delegation(Referral),
    /// The nameserver has a zone of that name itself, with these NS records.
    OwnZone(Referral),
    /// There is a CNAME record in the place of the NS records.
    Alias(Name),
    /// There is no NS record.
    Nothing,
    /// The nameserver is of no use.
    Failure(ServerFailure),
}

impl Surveyor {
    /// Asks a nameserver of `parent` for the NS records of `apex`, first as strictly as a CA does.
    pub(super) async fn parent_server(self, server: Nameserver, parent: Name, apex: Name) -> ParentServer {
        let at = self.at(&server);
        let mut reply = self.client.ask_strictly(&[], at, Protocol::UdpThenTcp, &apex, RecordType::NS).await.reply;
        let changes_case = matches!(reply, Err(AskError::CaseChanged));
        if changes_case {
            reply = self.client.ask(at, Protocol::UdpThenTcp, &apex, RecordType::NS).await;
        }
        let answer = match reply {
            Ok(reply) => ParentAnswer::read(&reply, &parent, &apex),
            Err(error) => ParentAnswer::Failure(ServerFailure::from(&error)),
        };
        ParentServer { server, answer, changes_case }
    }
}

impl ParentAnswer {
    fn read(reply: &DnsReply, parent: &Name, apex: &Name) -> Self {
        if let Some(failure) = ServerFailure::of(reply, parent, apex) {
            return Self::Failure(failure);
        }
        if let Some(target) = reply.cnames().into_iter().next() {
            return Self::Alias(target);
        }
        let names = reply.nameservers_of(apex);
        if names.is_empty() {
            return Self::Nothing;
        }
        let told = reply.addresses().into_iter().filter(|(name, _)| names.contains(name));
        let glue = told.map(|(name, address)| Nameserver { name, address }).collect();
        let referral = Referral { names, glue };
        if reply.is_authoritative() { Self::OwnZone(referral) } else { Self::Delegation(referral) }
    }
}

impl fmt::Display for ParentAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation(referral) => write!(f, "refers to {}", listed(&referral.names)),
            Self::OwnZone(referral) => write!(f, "has the zone itself, with NS {}", listed(&referral.names)),
            Self::Alias(target) => write!(f, "has a CNAME to {target}"),
            Self::Nothing => f.write_str("has no NS record"),
            Self::Failure(failure) => failure.fmt(f),
        }
    }
}
