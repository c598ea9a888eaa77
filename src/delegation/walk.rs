//! A walk from the root down to a name, as the resolver of a CA takes it.
//!
//! Strict where resolvers differ, because one strict resolver among a CA's vantage points is enough to fail a validation:
//! nothing is cached; each nameserver learns only one label more than it serves, and a name error on the way is final
//! (RFC 9156, RFC 8020); letters of random case must come back; answers must be authoritative; a referral must lead down;
//! glue is believed only for names in the zone of who tells it; and of an answer's CNAMEs only the first.

mod reading;
mod step;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::dnssec::rdata::DS;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;
use crate::model::time::PreciseTimestamp;
use crate::net::dns_client::{DnsClient, DnsReply, Protocol};

use super::parent::Nameserver;
use super::signatures::ZoneKeys;

pub use step::{Found, Referred, ServerFault, Signatures, Step, StepOutcome, Walk, WalkError};

/// The longest chain of CNAMEs that all large resolvers follow.
pub const MAX_CHAIN: usize = 8;
/// The most questions of one walk, those for the addresses of nameservers included.
pub const MAX_STEPS: usize = 80;
/// How deep walks for the addresses of nameservers may be nested.
const MAX_DEPTH: usize = 3;
/// The most nameserver names of one zone whose addresses are looked up.
const MAX_LOOKED_UP: usize = 4;

/// The sockets to which addresses of nameservers lead. Other addresses lead nowhere.
pub type Routes = Arc<HashMap<IpAddr, SocketAddr>>;

/// Walks from the root. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Walker {
    client: DnsClient,
    roots: Arc<[Nameserver]>,
    routes: Routes,
    sources: Arc<[IpAddr]>,
    turn: usize,
}

/// The nameservers that are asked next.
struct Zone {
    apex: Name,
    servers: Vec<Nameserver>,
    /// The DS records of the referral to this zone.
    ds: Vec<DS>,
}

/// The end of the way for one name.
enum Descended {
    Alias(Name),
    Found(Box<Found>),
}

impl Walker {
    /// A walker that begins at these nameservers of the root.
    pub fn new(client: DnsClient, roots: Vec<Nameserver>, routes: Routes) -> Self {
        Self { client, roots: roots.into(), routes, sources: [].into(), turn: 0 }
    }

    /// Has the questions leave from these addresses of this machine: the first of each family counts.
    pub fn from_sources(mut self, sources: &[IpAddr]) -> Self {
        self.sources = sources.into();
        self
    }

    /// Begins with another one of several nameservers, so that a few walkers together ask all of them.
    pub fn starting_at(mut self, turn: usize) -> Self {
        self.turn = turn;
        self
    }

    /// Walks to the records of a name and type, CNAMEs followed. Takes at most [`MAX_STEPS`] questions.
    pub async fn walk(&self, name: &Name, rtype: RecordType) -> Walk {
        let mut steps = Vec::new();
        let end = self.follow(name, rtype, &mut steps, 0).await;
        Walk { steps, end }
    }

    /// Descends for the name, and for what it is an alias of: each time from the root, since an alias is not believed
    /// about another zone.
    async fn follow(
        &self,
        name: &Name,
        rtype: RecordType,
        steps: &mut Vec<Step>,
        depth: usize,
    ) -> Result<Found, WalkError> {
        let mut chain = vec![name.clone()];
        loop {
            let at = chain.last().unwrap_or(name).clone();
            match self.descend(&at, rtype, steps, depth).await? {
                Descended::Found(found) => return Ok(*found),
                Descended::Alias(target) if chain.contains(&target) || chain.len() > MAX_CHAIN => {
                    return Err(WalkError::LongChain(name.clone()));
                }
                Descended::Alias(target) => chain.push(target),
            }
        }
    }

    async fn descend(
        &self,
        name: &Name,
        rtype: RecordType,
        steps: &mut Vec<Step>,
        depth: usize,
    ) -> Result<Descended, WalkError> {
        let mut zone = Zone { apex: Name::root(), servers: self.roots.to_vec(), ds: Vec::new() };
        let mut known = Name::root();
        loop {
            let asked = one_label_more(&known, name);
            let is_last = asked == *name;
            let asked_type = if is_last { rtype } else { RecordType::A };
            let reply = self.ask_one_of(&zone, &asked, asked_type, steps).await?;
            let last = steps.last().map(|step| &step.outcome);
            match last {
                Some(StepOutcome::Referral(referred)) => {
                    let referred = referred.clone();
                    let servers = self.servers_of(&referred, steps, depth).await?;
                    known = referred.zone.clone();
                    zone = Zone { apex: referred.zone, servers, ds: referred.ds };
                }
                Some(StepOutcome::Alias(target)) if is_last => return Ok(Descended::Alias(target.clone())),
                Some(StepOutcome::NameError) => return Ok(self.found(name, rtype, zone, reply, steps).await),
                _ if is_last => return Ok(self.found(name, rtype, zone, reply, steps).await),
                _ => known = asked,
            }
        }
    }

    async fn found(
        &self,
        name: &Name,
        rtype: RecordType,
        zone: Zone,
        (server, reply): (Nameserver, DnsReply),
        steps: &mut Vec<Step>,
    ) -> Descended {
        let is_positive = reply.rcode() == ResponseCode::NoError && !reply.rdatas(rtype).is_empty();
        let signatures = match zone.ds.is_empty() {
            true => Signatures::Unsigned,
            // A denial proves nothing that a walk wants to know.
            false if !is_positive => Signatures::Unsigned,
            false => match self.verified(name, rtype, &zone, &server, &reply, steps).await {
                Ok(()) => Signatures::Valid,
                Err(problem) => Signatures::Invalid(problem),
            },
        };
        Descended::Found(Found { name: name.clone(), zone: zone.apex, server, reply, signatures }.into())
    }

    async fn verified(
        &self,
        name: &Name,
        rtype: RecordType,
        zone: &Zone,
        server: &Nameserver,
        reply: &DnsReply,
        steps: &mut Vec<Step>,
    ) -> Result<(), String> {
        let keys = self.ask(server, &zone.apex, &zone.apex, RecordType::DNSKEY, steps).await;
        let keys = keys.ok_or_else(|| format!("{server} does not tell the keys of {}", zone.apex))?;
        let now = PreciseTimestamp::now().seconds();
        let keys = ZoneKeys::named_by(&zone.ds, &zone.apex, &keys, now).map_err(|fault| fault.to_string())?;
        keys.check_set(name, rtype, reply.answers(), now).map_err(|fault| fault.to_string())
    }

    /// The first usable reply of the zone's nameservers, whose meaning is the last of the steps.
    async fn ask_one_of(
        &self,
        zone: &Zone,
        name: &Name,
        rtype: RecordType,
        steps: &mut Vec<Step>,
    ) -> Result<(Nameserver, DnsReply), WalkError> {
        let first = self.turn % zone.servers.len().max(1);
        for server in zone.servers[first..].iter().chain(&zone.servers[..first]) {
            if steps.len() >= MAX_STEPS {
                return Err(WalkError::TooManyQuestions(name.clone()));
            }
            if let Some(reply) = self.ask(server, &zone.apex, name, rtype, steps).await {
                return Ok((server.clone(), reply));
            }
        }
        Err(no_server(&zone.apex, steps))
    }

    /// Asks one nameserver and adds the step; `None` if its reply is of no use.
    async fn ask(
        &self,
        server: &Nameserver,
        zone: &Name,
        name: &Name,
        rtype: RecordType,
        steps: &mut Vec<Step>,
    ) -> Option<DnsReply> {
        let mut step = Step {
            zone: zone.clone(),
            server: server.clone(),
            sent: name.to_string(),
            rtype,
            protocol: Protocol::Udp,
            elapsed: Duration::ZERO,
            outcome: StepOutcome::Fault(ServerFault::NoRoute),
        };
        let mut usable = None;
        if let Some(&at) = self.routes.get(&server.address) {
            let asked = self.client.ask_strictly(&self.sources, at, Protocol::UdpThenTcp, name, rtype).await;
            (step.sent, step.protocol, step.elapsed) = (asked.sent, asked.protocol, asked.elapsed);
            match asked.reply {
                Ok(reply) => {
                    step.outcome = reading::read(&reply, zone, name, rtype);
                    usable = Some(reply);
                }
                Err(error) => step.outcome = StepOutcome::Fault(error.into()),
            }
        }
        let is_fault = matches!(step.outcome, StepOutcome::Fault(_));
        steps.push(step);
        usable.filter(|_| !is_fault)
    }

    /// The nameservers of a referral with their addresses: the glue, or else what is found by their names.
    async fn servers_of(
        &self,
        referred: &Referred,
        steps: &mut Vec<Step>,
        depth: usize,
    ) -> Result<Vec<Nameserver>, WalkError> {
        if !referred.glue.is_empty() {
            return Ok(referred.glue.clone());
        }
        let zone = &referred.zone;
        let mut problem = "its name has none".to_owned();
        let mut servers = Vec::new();
        for name in referred.nameservers.iter().filter(|name| !name.is_in(zone)).take(MAX_LOOKED_UP) {
            if depth >= MAX_DEPTH {
                problem = format!("the way to {name} leads through too many other zones");
                continue;
            }
            for rtype in [RecordType::A, RecordType::AAAA] {
                match Box::pin(self.follow(name, rtype, steps, depth + 1)).await {
                    Ok(found) => servers.extend(addresses(name, &found)),
                    Err(error) => problem = format!("{name}: {error}"),
                }
            }
        }
        if !servers.is_empty() {
            return Ok(servers);
        }
        match referred.without_glue().next() {
            Some(nameserver) => Err(WalkError::NoGlue { zone: zone.clone(), nameserver: nameserver.clone() }),
            None => Err(WalkError::NoAddress { zone: zone.clone(), problem }),
        }
    }
}

/// The addresses of a nameserver from the answer to a question for them.
fn addresses(name: &Name, found: &Found) -> Vec<Nameserver> {
    let own = found.reply.addresses().into_iter().filter(|(owner, _)| *owner == found.name);
    own.map(|(_, address)| Nameserver { name: name.clone(), address }).collect()
}

fn no_server(zone: &Name, steps: &[Step]) -> WalkError {
    match steps.last() {
        Some(Step { server, outcome, .. }) => {
            WalkError::NoServer { zone: zone.clone(), server: server.clone(), fault: outcome.to_string() }
        }
        None => WalkError::NoAddress { zone: zone.clone(), problem: "there are none to ask".into() },
    }
}

/// The name of `name`'s that has one label more than `known`, which is above it or equal to it.
fn one_label_more(known: &Name, name: &Name) -> Name {
    let mut at = name.clone();
    while at != *known {
        match at.parent() {
            Some(above) if above != *known => at = above,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests;
