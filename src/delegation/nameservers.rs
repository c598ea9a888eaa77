//! Which nameservers a zone of this server is delegated to, and whether they show what has been published.
//!
//! Each server that the parent zone names is asked over UDP and TCP, as the resolvers of a CA do. A wrong answer is wrong
//! for the CA as well. No answer may have a reason on this machine alone: many machines cannot reach their own public
//! address from inside. So a server that cannot be asked is unknown, and no fault.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tracing::debug;

use crate::model::name::Name;
use crate::net::dns_client::{DnsClient, DnsReply, Protocol};
use crate::zone::Zone;

use super::finding::{Assessment, Finding, question, question_at};
use super::parent::{Nameserver, ParentZone, Referral};

/// The port of nameservers.
const DNS_PORT: u16 = 53;
/// The most addresses of one delegation that are asked.
const MAX_NAMESERVERS: usize = 32;

/// The nameservers of a delegation that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    servers: Vec<Nameserver>,
    port: u16,
}

impl Delegation {
    /// Asks the parent zone. If it cannot be asked, takes the nameservers of the configuration, and the finding is
    /// unknown. `None` and a fault if the parent has no delegation: no CA can find the zone then.
    pub async fn find(zone: &Zone, client: &DnsClient) -> (Option<Self>, Vec<Finding>) {
        let apex = zone.name.apex();
        let configured = zone.nameservers();
        let mut findings = Vec::new();
        let referral = match ask_parent(apex, client).await {
            Ok(referral) => referral,
            Err(finding) if finding.is_fault() => return (None, vec![*finding]),
            Err(finding) => {
                findings.push(finding.meaning("the nameservers of the configuration are checked instead"));
                Referral { glue: configured_addresses(zone, &configured), names: configured.clone() }
            }
        };
        findings.extend(differences(apex, &referral.names, &configured));
        let mut servers = Vec::new();
        for name in referral.names {
            match addresses(&name, &referral.glue, client).await {
                Ok(addresses) => {
                    servers.extend(addresses.into_iter().map(|address| Nameserver { name: name.clone(), address }));
                }
                Err(finding) => findings.push(*finding),
            }
        }
        servers.truncate(MAX_NAMESERVERS);
        debug!(zone = %zone.name, ?servers, "the delegation");
        (Some(Self { servers, port: DNS_PORT }), findings)
    }

    /// Asks every server over UDP and TCP for TXT values at a name. Servers that cannot be reached are left out from then
    /// on.
    pub async fn check_values(&mut self, client: &DnsClient, name: &Name, values: &[String]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut reached = Vec::new();
        for server in std::mem::take(&mut self.servers) {
            let udp = self.check_server(client, &server, Protocol::Udp, name, values).await;
            let tcp = self.check_server(client, &server, Protocol::Tcp, name, values).await;
            if [&udp, &tcp].iter().any(|finding| finding.assessment == Assessment::Good) {
                reached.push(server);
            }
            findings.push(udp);
            findings.push(tcp);
        }
        self.servers = reached;
        findings
    }

    async fn check_server(
        &self,
        client: &DnsClient,
        server: &Nameserver,
        protocol: Protocol,
        name: &Name,
        values: &[String],
    ) -> Finding {
        let subject = format!("{server} over {protocol}");
        let asked = question_at(RecordType::TXT, name, &subject);
        let address = SocketAddr::new(server.address, self.port);
        let reply = match client.ask(address, protocol, name, RecordType::TXT).await {
            Ok(reply) => reply,
            Err(error) => {
                return Finding::new(Assessment::Unknown, subject, asked, error)
                    .meaning(format!("the nameserver cannot be asked over {protocol} from here"))
                    .advice("if others cannot reach it either, the CA will refuse; open UDP and TCP port 53");
            }
        };
        match wrong_answer(&reply, protocol, values) {
            None => Finding::new(Assessment::Good, subject, asked, "shows what is published"),
            Some((answer, meaning)) => Finding::new(Assessment::Fault, subject, asked, answer)
                .meaning(meaning)
                .advice("compare the delegation in the parent zone with this server's addresses"),
        }
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
fn configured_addresses(zone: &Zone, nameservers: &[Name]) -> Vec<Nameserver> {
    let mut found = Vec::new();
    for name in nameservers {
        for set in zone.statics.at(name.as_ref()).unwrap_or_default() {
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

/// What a reply shows instead of the values, and what that means; `None` if it has them all.
fn wrong_answer(reply: &DnsReply, protocol: Protocol, values: &[String]) -> Option<(String, &'static str)> {
    if reply.is_truncated() && protocol == Protocol::Udp {
        return None; // The complete answer comes over TCP.
    }
    match reply.rcode() {
        ResponseCode::NoError if reply.is_authoritative() => {}
        ResponseCode::NoError => {
            return Some(("does not serve the zone".into(), "its answer is not authoritative"));
        }
        rcode => return Some((format!("answers {rcode}"), "it is not this server")),
    }
    let shown = reply.txt_values();
    let absent = values.iter().find(|value| !shown.iter().any(|text| text == value.as_bytes()))?;
    let answer = format!("shows {} TXT records without {absent}", reply.answer_count());
    Some((answer, "it is not this server"))
}

#[cfg(test)]
mod tests;
