//! Where a zone of ours is delegated to, and whether those servers show what has been published.
//!
//! As a CA's resolvers see it: the parent zone's own servers are asked for the delegation, then each server that they
//! name, over UDP and TCP. A wrong answer is wrong for the CA as well. No answer may be a matter of this machine alone,
//! since many cannot reach their own public address from inside, so that only warns.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tracing::{debug, warn};

use crate::model::actor::Actor;
use crate::model::name::{Name, Owner, ZoneName};
use crate::model::txt::TxtValue;
use crate::net::dns_client::{DnsClient, DnsReply, Protocol};
use crate::publisher::{Abort, AccessError, Publisher, ValueError};
use crate::zone::{Zone, zone_named};

use super::challenge_target::Placed;
use crate::acme::error::{AcmeError, Result};
use crate::acme::key::{Key, base64url};

/// Where nameservers listen.
const DNS_PORT: u16 = 53;
/// The parent's servers that are asked.
const PARENTS: usize = 4;
/// The addresses of one delegation that are asked.
const MAX_SERVERS: usize = 32;

/// The servers of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    servers: Vec<Server>,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    name: Name,
    address: IpAddr,
}

/// What a server is found to show.
enum Seen {
    /// The value.
    Right,
    /// Nothing: it could not be asked.
    Nothing(String),
    /// Something else.
    Wrong(String),
}

impl Delegation {
    /// The servers that the parent zone names; those of the configuration where the parent cannot be asked.
    ///
    /// Fails where the parent has no delegation for the zone: then no CA can find it either.
    pub async fn find(zone: &Zone, lookup: &DnsClient) -> Result<Self> {
        let (apex, nameservers) = (zone.name.apex(), zone.nameservers());
        let referral = match parent(apex, lookup).await {
            Ok((parent, servers)) => referral(lookup, apex, &parent, &servers, DNS_PORT).await?,
            Err(reason) => Err(reason),
        };
        let (named, glue) = match referral {
            Ok(found) => found,
            Err(reason) => {
                warn!(zone = %zone.name, "the delegation cannot be looked up, so it is taken to be as configured: {reason}");
                (nameservers.clone(), glue_of(zone, &nameservers))
            }
        };
        for name in named.iter().filter(|name| !nameservers.contains(name)) {
            warn!(zone = %zone.name, "the parent zone names the nameserver {name}, which is not in `ns`");
        }
        for name in nameservers.iter().filter(|name| !named.contains(name)) {
            warn!(zone = %zone.name, "the parent zone does not name the nameserver {name}, which is in `ns`");
        }
        let mut servers = Vec::new();
        for name in named {
            servers.extend(
                addresses(&name, &glue, lookup).await.into_iter().map(|address| Server { name: name.clone(), address }),
            );
        }
        servers.truncate(MAX_SERVERS);
        debug!(zone = %zone.name, ?servers, "the delegation");
        Ok(Self { servers, port: DNS_PORT })
    }

    /// Asks every server for values, over UDP and TCP. An error says all that was wrong; what cannot be reached is left
    /// out from then on.
    pub async fn shows(&mut self, client: &DnsClient, owner: &Owner, values: &[String]) -> Result<()> {
        let name: Name =
            owner.to_string().parse().map_err(|error| AcmeError::Nameservers(format!("{owner}: {error}")))?;
        let mut wrong = Vec::new();
        let mut reached = Vec::new();
        for server in std::mem::take(&mut self.servers) {
            let at = SocketAddr::new(server.address, self.port);
            let mut is_reached = false;
            for transport in [Protocol::Udp, Protocol::Tcp] {
                match look(client, at, transport, &name, values).await {
                    Seen::Right => is_reached = true,
                    Seen::Nothing(reason) => warn!(
                        "the nameserver {} ({}) cannot be asked over {transport} from here: {reason}; if it cannot from \
                         elsewhere either, the CA will say no",
                        server.name, server.address
                    ),
                    Seen::Wrong(what) => {
                        wrong.push(format!("{} ({}) over {transport} {what}", server.name, server.address));
                    }
                }
            }
            reached.extend(is_reached.then_some(server));
        }
        self.servers = reached;
        if wrong.is_empty() { Ok(()) } else { Err(AcmeError::Nameservers(format!("of {name}, {}", wrong.join("; ")))) }
    }
}

/// Looks before anything is ordered whether the delegations of the zones in which names are proven lead here, by a value
/// that nobody else can show.
pub async fn verified(
    publisher: &Publisher,
    lookup: &DnsClient,
    placed: &[Placed],
) -> Result<Vec<(ZoneName, Delegation)>> {
    let mut found: Vec<(ZoneName, Delegation)> = Vec::new();
    for owner in placed.iter().filter_map(|placed| placed.owner.as_ref()) {
        if found.iter().any(|(zone, _)| *zone == owner.zone) {
            continue;
        }
        let zone = zone_named(&publisher.zones().load(), &owner.zone).cloned();
        let zone = zone.ok_or_else(|| Abort::<ValueError>::from(AccessError::NoZone(owner.zone.clone())))?;
        let mut delegation = Delegation::find(&zone, lookup).await?;
        let probe = probe()?;
        publisher.publish(Actor::CERTIFICATES, owner.clone(), probe).await?;
        let shown = delegation.shows(lookup, owner, &[probe.to_string()]).await;
        publisher.retire(Actor::CERTIFICATES, owner.clone(), Some(probe)).await?;
        shown?;
        found.push((owner.zone.clone(), delegation));
    }
    Ok(found)
}

/// A value in the form of a challenge's that no CA looks for.
fn probe() -> Result<TxtValue> {
    let key = Key::generate()?;
    key.txt_value(&base64url(b"probe")).ok_or_else(|| AcmeError::Setup("no random value".into()))
}

/// The zone above one, and addresses of its servers.
async fn parent(apex: &Name, lookup: &DnsClient) -> std::result::Result<(Name, Vec<Server>), String> {
    let mut above = apex.parent();
    let mut reason = "it has no parent".to_owned();
    while let Some(name) = above {
        match lookup.nameservers(&name).await {
            Ok(servers) => {
                let mut found = Vec::new();
                for server in servers.into_iter().take(PARENTS) {
                    let addresses = lookup.addresses(&server).await.unwrap_or_default();
                    found.extend(addresses.into_iter().map(|address| Server { name: server.clone(), address }));
                }
                return Ok((name, found));
            }
            Err(error) if error.is_negative() => reason = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
        above = name.parent();
    }
    Err(reason)
}

type Named = (Vec<Name>, Vec<Server>);

/// What the parent's servers say of the zone: names and glue; inside, why none of them has said anything.
///
/// That there is no delegation only an authority says: a server that has lost its zone, or refers elsewhere, does not know.
async fn referral(
    client: &DnsClient,
    apex: &Name,
    parent: &Name,
    servers: &[Server],
    port: u16,
) -> Result<std::result::Result<Named, String>> {
    let mut reason = format!("the nameservers of {parent} have no addresses");
    for server in servers {
        let asked =
            match client.ask(SocketAddr::new(server.address, port), Protocol::UdpThenTcp, apex, RecordType::NS).await {
                Ok(message) => message,
                Err(error) => {
                    reason = format!("{} ({}) of {parent}: {error}", server.name, server.address);
                    continue;
                }
            };
        let named = asked.nameservers_of(apex);
        if !named.is_empty() {
            return Ok(Ok((named, glue(&asked))));
        }
        match asked.rcode() {
            ResponseCode::NXDomain | ResponseCode::NoError if asked.is_authoritative() => {
                return Err(AcmeError::Nameservers(format!(
                    "the zone {parent} does not delegate {apex}: its nameserver {} ({}) has no NS record for it; add \
                     the NS records that README tells of",
                    server.name, server.address
                )));
            }
            ResponseCode::NXDomain | ResponseCode::NoError => {
                reason = format!("{} ({}) is no authority for {parent}", server.name, server.address);
            }
            rcode => reason = format!("{} ({}) of {parent} answers {rcode}", server.name, server.address),
        }
    }
    Ok(Err(reason))
}

fn glue(reply: &DnsReply) -> Vec<Server> {
    reply.addresses().into_iter().map(|(name, address)| Server { name, address }).collect()
}

/// The addresses of nameservers in the zone itself, as the configuration has them.
fn glue_of(zone: &Zone, nameservers: &[Name]) -> Vec<Server> {
    let mut found = Vec::new();
    for name in nameservers {
        let sets = zone.statics.at(name.as_ref()).unwrap_or_default();
        for rdata in sets.iter().flat_map(|set| set.rdatas.iter().map(move |rdata| (set.rtype, rdata))) {
            let address = match rdata {
                (RecordType::A, bytes) => <[u8; 4]>::try_from(&bytes[..]).ok().map(IpAddr::from),
                (RecordType::AAAA, bytes) => <[u8; 16]>::try_from(&bytes[..]).ok().map(IpAddr::from),
                _ => None,
            };
            found.extend(address.map(|address| Server { name: name.clone(), address }));
        }
    }
    found
}

async fn addresses(name: &Name, glue: &[Server], lookup: &DnsClient) -> Vec<IpAddr> {
    let known: Vec<IpAddr> = glue.iter().filter(|server| server.name == *name).map(|server| server.address).collect();
    if !known.is_empty() {
        return known;
    }
    match lookup.addresses(name).await {
        Ok(addresses) => addresses,
        Err(error) => {
            warn!("the nameserver {name} is not asked: {error}");
            Vec::new()
        }
    }
}

/// What a server shows of the values that should be there.
async fn look(client: &DnsClient, server: SocketAddr, protocol: Protocol, name: &Name, values: &[String]) -> Seen {
    let reply = match client.ask(server, protocol, name, RecordType::TXT).await {
        Ok(reply) => reply,
        Err(error) => return Seen::Nothing(error.to_string()),
    };
    if reply.is_truncated() && protocol == Protocol::Udp {
        return Seen::Right; // TCP has the whole answer
    }
    match reply.rcode() {
        ResponseCode::NoError if reply.is_authoritative() => {}
        ResponseCode::NoError => return Seen::Wrong("does not serve the zone: its answer is no authority's".into()),
        rcode => return Seen::Wrong(format!("answers {rcode}: it is not this server")),
    }
    let shown = reply.txt_values();
    match values.iter().find(|value| !shown.iter().any(|text| text == value.as_bytes())) {
        None => Seen::Right,
        Some(value) => {
            Seen::Wrong(format!("shows {} TXT records without {value}: it is not this server", reply.answer_count()))
        }
    }
}

#[cfg(test)]
mod tests;
