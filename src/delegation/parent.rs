//! What the parent zone says of a zone of this server: its NS records and glue.
//!
//! The servers of the parent are asked directly, as a resolver does on its way down from the root.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;
use crate::net::dns_client::{DnsClient, DnsReply, Protocol};

use super::finding::{Assessment, Finding, question, question_at};

/// The most servers of the parent zone that are asked.
const MAX_PARENT_SERVERS: usize = 4;

/// A nameserver and one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameserver {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub address: IpAddr,
}

impl fmt::Display for Nameserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The servers of the root have no names here.
        if self.name == Name::root() {
            return self.address.fmt(f);
        }
        write!(f, "{} ({})", self.name, self.address)
    }
}

/// The zone above another one, and its servers.
#[derive(Debug, Clone)]
pub struct ParentZone {
    /// The apex of the parent zone.
    pub apex: Name,
    /// Its servers.
    pub servers: Vec<Nameserver>,
}

/// What the parent says of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// The nameservers in the NS records.
    pub names: Vec<Name>,
    /// The addresses that the parent tells for them.
    pub glue: Vec<Nameserver>,
}

impl ParentZone {
    /// Looks up the zone above `apex`, and addresses of its servers.
    pub async fn find(apex: &Name, client: &DnsClient) -> Result<Self, Box<Finding>> {
        let mut above = apex.parent();
        while let Some(name) = above {
            match client.nameservers(&name).await {
                Ok(servers) => return Self::with_addresses(apex, name, servers, client).await,
                Err(error) if error.is_negative() => above = name.parent(),
                Err(error) => return Err(Finding::of_failure(apex, question(RecordType::NS, &name), &error).into()),
            }
        }
        let asked = format!("the parent zone of {apex}");
        Err(Finding::new(Assessment::Unknown, apex, asked, "no zone above it has nameservers").into())
    }

    async fn with_addresses(
        child: &Name,
        apex: Name,
        nameservers: Vec<Name>,
        client: &DnsClient,
    ) -> Result<Self, Box<Finding>> {
        let mut servers = Vec::new();
        let mut failure = None;
        for name in nameservers.into_iter().take(MAX_PARENT_SERVERS) {
            match client.addresses(&name).await {
                Ok(addresses) => {
                    servers.extend(addresses.into_iter().map(|address| Nameserver { name: name.clone(), address }));
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if servers.is_empty() => {
                let answer = format!("no nameserver of {apex} has a known address: {error}");
                let asked = format!("the addresses of the nameservers of {apex}");
                Err(Finding::new(Assessment::Unknown, child, asked, answer).into())
            }
            _ => Ok(Self { apex, servers }),
        }
    }

    /// Asks the servers one after the other for the delegation of `child`. Returns a fault if the parent has none,
    /// and an unknown if no server can tell.
    ///
    /// Only an authoritative answer shows that there is no delegation. A server that has lost the parent zone, or refers
    /// elsewhere, does not know.
    pub async fn referral(&self, child: &Name, client: &DnsClient, port: u16) -> Result<Referral, Box<Finding>> {
        let mut last = unknown(child, &self.apex, format!("the nameservers of {} have no addresses", self.apex));
        for server in &self.servers {
            let at = SocketAddr::new(server.address, port);
            last = match client.ask(at, Protocol::UdpThenTcp, child, RecordType::NS).await {
                Ok(reply) => match read_referral(&reply, child) {
                    Some(referral) => return Ok(referral),
                    None if is_denial(&reply) => return Err(self.undelegated(child, server).into()),
                    None => unknown(child, server, self.what_is_wrong_with(&reply, server)),
                },
                Err(error) => unknown(child, server, format!("{server} of {}: {error}", self.apex)),
            };
        }
        Err(last.into())
    }

    fn undelegated(&self, child: &Name, server: &Nameserver) -> Finding {
        let parent = &self.apex;
        let asked = question_at(RecordType::NS, child, server);
        Finding::new(
            Assessment::Fault,
            format!("the zone {parent} does not delegate {child}"),
            asked,
            format!("its nameserver {server} has no NS record for it"),
        )
        .advice(format!(
            "add NS records for {child} to the zone {parent}, one for each name in `ns` of the configuration"
        ))
    }

    fn what_is_wrong_with(&self, reply: &DnsReply, server: &Nameserver) -> String {
        match reply.rcode() {
            ResponseCode::NXDomain | ResponseCode::NoError => {
                format!("{server} is not authoritative for {}", self.apex)
            }
            rcode => format!("{server} of {} answers {rcode}", self.apex),
        }
    }
}

fn unknown(child: &Name, server: impl fmt::Display, answer: String) -> Finding {
    Finding::new(Assessment::Unknown, child, question_at(RecordType::NS, child, server), answer)
}

/// The delegation in a reply: an answer, or a referral.
fn read_referral(reply: &DnsReply, child: &Name) -> Option<Referral> {
    let names = reply.nameservers_of(child);
    if names.is_empty() {
        return None;
    }
    let glue = reply.addresses().into_iter().map(|(name, address)| Nameserver { name, address }).collect();
    Some(Referral { names, glue })
}

/// Whether an authority says that there are no NS records.
fn is_denial(reply: &DnsReply) -> bool {
    reply.is_authoritative() && matches!(reply.rcode(), ResponseCode::NXDomain | ResponseCode::NoError)
}

#[cfg(test)]
mod tests;
