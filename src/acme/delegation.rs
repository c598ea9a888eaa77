//! Where a zone of ours is delegated to, and whether those servers show what has been published.
//!
//! As a CA's resolvers see it: the parent zone's own servers are asked for the delegation, then each server that they
//! name, over UDP and TCP. A wrong answer is wrong for the CA as well. No answer may be a matter of this machine alone,
//! since many cannot reach their own public address from inside, so that only warns.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{NS, TXT};
use hickory_proto::rr::{RData, RecordType};
use tracing::{debug, warn};

use crate::lookup::direct::{Transport, ask};
use crate::lookup::{Lookup, ours};
use crate::name::{Name, Owner, ZoneName};
use crate::publisher::{Author, PublishError, Publisher};
use crate::txt::TxtValue;
use crate::zone::{Zone, zone_named};

use super::error::{AcmeError, Result};
use super::key::{Key, base64url};

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
    pub async fn find(zone: &Zone, lookup: &Lookup) -> Result<Self> {
        let (apex, nameservers) = (zone.name.apex(), zone.nameservers());
        let referral = match parent(apex, lookup).await {
            Ok((parent, servers)) => referral(apex, &parent, &servers).await?,
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
    pub async fn shows(&mut self, owner: &Owner, values: &[String]) -> Result<()> {
        let name: Name =
            owner.to_string().parse().map_err(|error| AcmeError::Nameservers(format!("{owner}: {error}")))?;
        let mut wrong = Vec::new();
        let mut reached = Vec::new();
        for server in std::mem::take(&mut self.servers) {
            let at = SocketAddr::new(server.address, self.port);
            let mut is_reached = false;
            for transport in [Transport::Udp, Transport::Tcp] {
                match look(at, transport, &name, values).await {
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

/// Looks before anything is ordered whether the delegations of the owners' zones lead here, by a value that nobody else
/// can show.
pub async fn verified(publisher: &Publisher, lookup: &Lookup, owners: &[Owner]) -> Result<Vec<(ZoneName, Delegation)>> {
    let mut found: Vec<(ZoneName, Delegation)> = Vec::new();
    for owner in owners {
        if found.iter().any(|(zone, _)| *zone == owner.zone) {
            continue;
        }
        let zone = zone_named(&publisher.zones().load(), &owner.zone).cloned();
        let zone = zone.ok_or_else(|| PublishError::NoZone(owner.zone.clone()))?;
        let mut delegation = Delegation::find(&zone, lookup).await?;
        let probe = probe()?;
        publisher.publish(Author::Operator, owner.clone(), probe).await?;
        let shown = delegation.shows(owner, &[probe.to_string()]).await;
        publisher.retire(Author::Operator, owner.clone(), Some(probe)).await?;
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
async fn parent(apex: &Name, lookup: &Lookup) -> std::result::Result<(Name, Vec<Server>), String> {
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
async fn referral(apex: &Name, parent: &Name, servers: &[Server]) -> Result<std::result::Result<Named, String>> {
    let mut reason = format!("the nameservers of {parent} have no addresses");
    for server in servers {
        let asked = match ask(SocketAddr::new(server.address, DNS_PORT), Transport::Udp, apex, RecordType::NS).await {
            Ok(message) => message,
            Err(error) => {
                reason = format!("{} ({}) of {parent}: {error}", server.name, server.address);
                continue;
            }
        };
        let named = named(&asked, apex);
        if !named.is_empty() {
            return Ok(Ok((named, glue(&asked))));
        }
        match asked.metadata.response_code {
            ResponseCode::NXDomain | ResponseCode::NoError => {
                return Err(AcmeError::Nameservers(format!(
                    "the zone {parent} does not delegate {apex}: its nameserver {} ({}) has no NS record for it; add \
                     the NS records that README tells of",
                    server.name, server.address
                )));
            }
            rcode => reason = format!("{} ({}) of {parent} answers {rcode}", server.name, server.address),
        }
    }
    Ok(Err(reason))
}

fn named(message: &Message, apex: &Name) -> Vec<Name> {
    let of_apex = message.all_sections().filter(|record| ours(&record.name).as_ref() == Some(apex));
    let names = of_apex.filter_map(|record| match &record.data {
        RData::NS(NS(name)) => ours(name),
        _ => None,
    });
    names.collect()
}

fn glue(message: &Message) -> Vec<Server> {
    let address = |record: &hickory_proto::rr::Record| {
        Some(Server { name: ours(&record.name)?, address: record.data.ip_addr()? })
    };
    message.all_sections().filter_map(address).collect()
}

/// The addresses of nameservers in the zone itself, as the configuration has them.
fn glue_of(zone: &Zone, nameservers: &[Name]) -> Vec<Server> {
    let mut found = Vec::new();
    for name in nameservers {
        let sets = zone.statics.at(name.as_ref()).unwrap_or_default();
        for rdata in sets.iter().flat_map(|set| set.rdatas.iter().map(move |rdata| (set.rtype, rdata))) {
            let address = match rdata {
                (RecordType::A, octets) => <[u8; 4]>::try_from(&octets[..]).ok().map(IpAddr::from),
                (RecordType::AAAA, octets) => <[u8; 16]>::try_from(&octets[..]).ok().map(IpAddr::from),
                _ => None,
            };
            found.extend(address.map(|address| Server { name: name.clone(), address }));
        }
    }
    found
}

async fn addresses(name: &Name, glue: &[Server], lookup: &Lookup) -> Vec<IpAddr> {
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
async fn look(server: SocketAddr, transport: Transport, name: &Name, values: &[String]) -> Seen {
    let answer = match ask(server, transport, name, RecordType::TXT).await {
        Ok(answer) => answer,
        Err(error) => return Seen::Nothing(error.to_string()),
    };
    if answer.metadata.truncation && transport == Transport::Udp {
        return Seen::Right; // TCP has the whole answer
    }
    match answer.metadata.response_code {
        ResponseCode::NoError if answer.metadata.authoritative => {}
        ResponseCode::NoError => return Seen::Wrong("does not serve the zone: its answer is no authority's".into()),
        rcode => return Seen::Wrong(format!("answers {rcode}: it is not this server")),
    }
    let shown = |value: &String| {
        answer.answers.iter().any(|record| match &record.data {
            RData::TXT(TXT { txt_data, .. }) => txt_data.concat() == value.as_bytes(),
            _ => false,
        })
    };
    match values.iter().find(|value| !shown(value)) {
        None => Seen::Right,
        Some(value) => {
            Seen::Wrong(format!("shows {} TXT records without {value}: it is not this server", answer.answers.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_proto::op::MessageType;
    use hickory_proto::rr::Record;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UdpSocket};

    use crate::name::OwnerLabel;

    use super::*;

    /// A nameserver on 127.0.0.1 that shows these values over UDP and TCP; none: it refuses.
    async fn nameserver(udp: &[&str], tcp: &[&str]) -> u16 {
        let (listener, socket) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (listener, socket);
            }
        };
        let port = listener.local_addr().unwrap().port();
        let own = |values: &[&str]| -> Arc<[String]> { values.iter().map(ToString::to_string).collect() };
        let (udp, tcp) = (own(udp), own(tcp));
        tokio::spawn(async move {
            let mut octets = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut octets).await {
                _ = socket.send_to(&reply(&octets[..length], &udp), peer).await;
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut query = vec![0; stream.read_u16().await.unwrap().into()];
                stream.read_exact(&mut query).await.unwrap();
                let reply = reply(&query, &tcp);
                stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
        port
    }

    fn reply(query: &[u8], values: &[String]) -> Vec<u8> {
        let mut message = Message::from_vec(query).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.metadata.authoritative = values.first().is_none_or(|value| value != "lame");
        if values.is_empty() {
            message.metadata.response_code = ResponseCode::Refused;
        }
        let name = message.queries[0].name().clone();
        for value in values {
            message.add_answer(Record::from_rdata(name.clone(), 1, RData::TXT(TXT::new(vec![value.clone()]))));
        }
        message.to_vec().unwrap()
    }

    fn owner() -> Owner {
        Owner { zone: "auth.example.org".parse::<ZoneName>().unwrap(), label: OwnerLabel::Challenge }
    }

    fn of(port: u16) -> Delegation {
        let name = "ns1.auth.example.org".parse().unwrap();
        Delegation { servers: vec![Server { name, address: [127, 0, 0, 1].into() }], port }
    }

    #[tokio::test]
    async fn values_must_be_shown_over_both_transports() {
        let (one, two) = ("1".repeat(43), "2".repeat(43));
        let values = [one.clone(), two.clone()];
        let both = [&one[..], &two, "other"];
        let mut right = of(nameserver(&both, &both).await);
        assert!(right.shows(&owner(), &values).await.is_ok());
        assert_eq!(right.servers.len(), 1, "it is asked again for the next name");
        for (udp, tcp, found) in [
            (&both[..], &both[1..], "over TCP shows 2 TXT records without 111"),
            (&both[..1], &both[..], "over UDP shows 1 TXT records without 222"),
            (&["lame"][..], &both[..], "over UDP does not serve the zone"),
            (&[][..], &[][..], "over UDP answers Query Refused: it is not this server"),
        ] {
            let wrong = of(nameserver(udp, tcp).await).shows(&owner(), &values).await.unwrap_err();
            let said = wrong.explained();
            assert!(said.contains(found) && said.contains("ns1.auth.example.org (127.0.0.1)"), "{said}");
            assert!(said.contains("compare the delegation"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_reached_is_left_out_and_does_not_stop_the_order() {
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut delegation = of(closed);
        assert!(delegation.shows(&owner(), &["1".repeat(43)]).await.is_ok());
        assert_eq!(delegation.servers, []);
    }
}
