//! Which nameservers a zone of this server is delegated to.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use tracing::debug;

use crate::model::name::Name;
use crate::model::text::listed;
use crate::net::dns_client::{DNS_PORT, DnsClient};
use crate::zone::Zone;
use crate::zone::zonefile::StaticRecords;

use super::finding::{Assessment, Finding, question};
use super::parent::{Nameserver, ParentZone, Referral};

/// The most addresses of one delegation that are asked.
const MAX_NAMESERVERS: usize = 32;

/// The nameservers of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Each address of each nameserver.
    pub servers: Vec<Nameserver>,
    /// Nameservers whose addresses could not be looked up, and why.
    pub unresolved: Vec<(Name, String)>,
    /// Whether the parent zone told them, and not the configuration.
    pub is_of_parent: bool,
}

impl Delegation {
    /// Asks the parent zone. If it cannot be asked, takes the nameservers of the configuration, and the finding is
    /// unknown. `None` and a fault if the parent has no delegation: no CA can find the zone then.
    pub async fn find(zone: &Zone, client: &DnsClient) -> (Option<Self>, Vec<Finding>) {
        let apex = zone.name.apex();
        let configured = zone.nameservers();
        let mut findings = Vec::new();
        let mut is_of_parent = true;
        let referral = match ask_parent(apex, client).await {
            Ok(referral) => referral,
            Err(finding) if finding.is_fault() => return (None, vec![*finding]),
            Err(finding) => {
                is_of_parent = false;
                findings.push(finding.meaning("the nameservers of the configuration are checked instead"));
                Referral { glue: configured_addresses(&zone.statics, &configured), names: configured.clone() }
            }
        };
        findings.extend(differences(apex, &referral.names, &configured));
        let mut servers = Vec::new();
        let mut unresolved = Vec::new();
        for name in referral.names {
            match addresses(&name, &referral.glue, client).await {
                Ok(addresses) => {
                    servers.extend(addresses.into_iter().map(|address| Nameserver { name: name.clone(), address }));
                }
                Err(finding) => {
                    // A nameserver that has no address is of no use to a CA either.
                    if finding.is_unknown() {
                        unresolved.push((name, finding.answer.clone()));
                    }
                    findings.push(*finding);
                }
            }
        }
        for cut in servers.drain(MAX_NAMESERVERS.min(servers.len())..) {
            let problem = format!("not asked: the delegation has over {MAX_NAMESERVERS} addresses");
            unresolved.push((cut.name, problem));
        }
        debug!(zone = %zone.name, servers = %listed(servers.iter().map(|server| format!("{} ({})", server.name, server.address))), "the delegation");
        (Some(Self { servers, unresolved, is_of_parent }), findings)
    }
}

async fn ask_parent(apex: &Name, client: &DnsClient) -> Result<Referral, Box<Finding>> {
    ParentZone::find(apex, client).await?.referral(apex, client, DNS_PORT).await
}

/// Nameservers that only the parent has, or only the configuration.
fn differences(apex: &Name, delegated: &[Name], configured: &[Name]) -> Vec<Finding> {
    let asked = question(RecordType::NS, apex);
    let mut findings = Vec::new();
    for name in delegated.iter().filter(|name| !configured.contains(name)) {
        let answer = format!("the parent zone names the nameserver {name}, which is not in `ns`");
        findings.push(Finding::new(Assessment::Warning, apex, &*asked, answer));
    }
    for name in configured.iter().filter(|name| !delegated.contains(name)) {
        let answer = format!("the parent zone does not name the nameserver {name}, which is in `ns`");
        findings.push(Finding::new(Assessment::Warning, apex, &*asked, answer));
    }
    findings
}

/// The addresses that the configuration has for nameservers in the zone itself.
pub fn configured_addresses(statics: &StaticRecords, nameservers: &[Name]) -> Vec<Nameserver> {
    let mut found = Vec::new();
    for name in nameservers {
        for set in statics.at(name.as_ref()).unwrap_or_default() {
            let addresses = set.rdatas.iter().filter_map(|rdata| address(set.rtype, rdata));
            found.extend(addresses.map(|address| Nameserver { name: name.clone(), address }));
        }
    }
    found
}

fn address(rtype: RecordType, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        RecordType::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        RecordType::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The addresses of a nameserver: its glue, otherwise what resolvers say.
async fn addresses(name: &Name, glue: &[Nameserver], client: &DnsClient) -> Result<Vec<IpAddr>, Box<Finding>> {
    let known: Vec<IpAddr> = glue.iter().filter(|server| server.name == *name).map(|server| server.address).collect();
    if !known.is_empty() {
        return Ok(known);
    }
    client.addresses(name).await.map_err(|error| {
        let assessment = if error.is_conclusive() { Assessment::Warning } else { Assessment::Unknown };
        Finding::new(assessment, name, format!("A and AAAA of {name}"), error)
            .meaning("the nameserver is not checked")
            .into()
    })
}

#[cfg(test)]
mod tests;
