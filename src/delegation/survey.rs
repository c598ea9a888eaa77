//! What every server on the way says about one zone of this server: gathered once, so that the checks of a delegation
//! judge the same answers and ask nobody twice.

mod parent;
mod servers;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::dnssec::rdata::DS;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use crate::model::name::Name;
use crate::net::dns_client::DnsClient;

use super::chain::Chain;
use super::iterative::{IterativeError, IterativeResolver, ZoneCut};
use super::parent::Nameserver;
use super::roots::Roots;
use super::signatures::ds_records;

pub use parent::{ParentAnswer, ParentServer};
pub use servers::{ServerSurvey, SoaView};

/// The most nameserver names of one delegation that are looked at.
const MAX_NAMES: usize = 16;
/// The most addresses of the parent zone that are asked.
const MAX_PARENT_SERVERS: usize = 12;
/// The most addresses of one delegation that are asked.
const MAX_NAMESERVERS: usize = 32;

/// With which means a survey is made.
#[derive(Debug, Clone)]
pub struct Surveyor {
    /// Asks nameservers.
    pub client: DnsClient,
    /// Walks from the root.
    pub resolver: IterativeResolver,
    /// The root, and the port of all nameservers.
    pub roots: Roots,
}

/// What was found about one zone.
#[derive(Debug)]
pub struct Survey {
    /// The zone's apex.
    pub apex: Name,
    /// The parent zone and what it says, or why nobody tells.
    pub parent: Result<ParentSurvey, IterativeError>,
    /// The nameservers of the delegation, in the parent's order.
    pub names: Vec<NameSurvey>,
    /// Their addresses, and what each of them answers.
    pub servers: Vec<ServerSurvey>,
}

/// What the parent zone says.
#[derive(Debug)]
pub struct ParentSurvey {
    /// The parent zone and its nameservers.
    pub zone: Arc<ZoneCut>,
    /// What each of its nameservers says to a question for the NS records.
    pub servers: Vec<ParentServer>,
    /// The DS records.
    pub ds: Vec<DS>,
    /// Whether the parent denies the name of the zone (NXDOMAIN).
    pub is_name_error: bool,
    /// Whether validators accept the answers of the parent zone.
    pub chain: Chain,
}

/// A nameserver by its name.
#[derive(Debug)]
pub struct NameSurvey {
    /// The name.
    pub name: Name,
    /// The addresses that the parent tells along with the delegation.
    pub glue: Vec<IpAddr>,
    /// What its own zone says. `None` for a name within the zone that is surveyed, which only glue leads to.
    pub found: Option<Result<Vec<IpAddr>, NameFault>>,
}

/// Why a nameserver's name leads to no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("it is a CNAME to {0}")]
    Alias(Name),
    #[error("the name does not exist")]
    NameError,
    #[error("the name has neither an A nor an AAAA record")]
    NoAddress,
    #[error("{0}")]
    Unanswered(String),
}

impl ParentSurvey {
    /// The answer that resolvers work with: the first delegation, otherwise the zone that a nameserver of the parent has
    /// itself, otherwise a denial. `None` if no nameserver gives a usable answer.
    pub fn answer(&self) -> Option<&ParentAnswer> {
        let find =
            |wanted: fn(&ParentAnswer) -> bool| self.servers.iter().map(|server| &server.answer).find(|a| wanted(a));
        find(|answer| matches!(answer, ParentAnswer::Delegation(_)))
            .or_else(|| find(|answer| matches!(answer, ParentAnswer::OwnZone(_))))
            .or_else(|| find(|answer| matches!(answer, ParentAnswer::Alias(_) | ParentAnswer::Nothing)))
    }
}

impl NameSurvey {
    /// The addresses under which resolvers ask it. Within the zone, only glue leads there.
    pub fn addresses(&self) -> &[IpAddr] {
        match &self.found {
            Some(Ok(addresses)) => addresses,
            _ => &self.glue,
        }
    }
}

impl Survey {
    /// Looks at everything. Takes milliseconds with servers that answer, and up to ten seconds with dead ones.
    pub async fn take(surveyor: Surveyor, apex: Name) -> Self {
        let parent = surveyor.parent(&apex).await;
        let answer = parent.as_ref().ok().and_then(ParentSurvey::answer).cloned();
        // A nameserver of the parent that serves the zone as well tells the addresses of all names in it.
        let (referral, needs_glue) = match answer {
            Some(ParentAnswer::Delegation(referral)) => (Some(referral), true),
            Some(ParentAnswer::OwnZone(referral)) => (Some(referral), false),
            _ => (None, false),
        };
        let (mut names, mut servers) = (Vec::new(), Vec::new());
        if let Some(referral) = referral {
            let glue_of = |name: &Name| -> Vec<IpAddr> {
                referral.glue.iter().filter(|server| server.name == *name).map(|server| server.address).collect()
            };
            let wanted = referral.names.iter().take(MAX_NAMES);
            names = side_by_side(wanted.map(|name| {
                let is_circular = needs_glue && name.is_in(&apex);
                surveyor.clone().name(name.clone(), glue_of(name), is_circular)
            }))
            .await;
            let addresses = names.iter().flat_map(nameservers).take(MAX_NAMESERVERS);
            servers = side_by_side(addresses.map(|server| surveyor.clone().server(server, apex.clone()))).await;
        }
        Self { apex, parent, names, servers }
    }

    /// What the addresses of one nameserver answer.
    pub fn servers_of<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a ServerSurvey> {
        self.servers.iter().filter(move |server| server.server.name == *name)
    }
}

fn nameservers(name: &NameSurvey) -> Vec<Nameserver> {
    name.addresses().iter().map(|address| Nameserver { name: name.name.clone(), address: *address }).collect()
}

impl Surveyor {
    async fn parent(&self, apex: &Name) -> Result<ParentSurvey, IterativeError> {
        let resolved = self.resolver.resolve(apex, RecordType::DS).await?;
        // Some nameservers refer to the zone even where its DS records are asked for.
        let above = resolved.zone.parent.clone().filter(|_| resolved.zone.apex == *apex);
        let zone = above.unwrap_or(resolved.zone);
        let asked = zone.servers.iter().take(MAX_PARENT_SERVERS).cloned();
        let asking = asked.map(|server| self.clone().parent_server(server, zone.apex.clone(), apex.clone()));
        let (servers, chain) = tokio::join!(side_by_side(asking), Chain::follow(&self.resolver, &zone));
        let ds = ds_records(&resolved.reply);
        let chain = chain.to_ds(apex, &resolved.reply);
        let is_name_error = resolved.reply.rcode() == ResponseCode::NXDomain;
        Ok(ParentSurvey { zone, servers, ds, is_name_error, chain })
    }

    /// `is_circular`: the name can only be looked up at the nameservers of the zone itself.
    async fn name(self, name: Name, glue: Vec<IpAddr>, is_circular: bool) -> NameSurvey {
        let found = match is_circular {
            true => None,
            false => Some(self.addresses(&name).await),
        };
        NameSurvey { name, glue, found }
    }

    /// What the zone of a nameserver's name says.
    async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>, NameFault> {
        let (v4, v6) =
            tokio::join!(self.resolver.resolve(name, RecordType::A), self.resolver.resolve(name, RecordType::AAAA));
        let mut addresses = Vec::new();
        let mut fault = NameFault::NoAddress;
        for found in [v4, v6] {
            match found {
                Ok(found) => match found.reply.cnames().into_iter().next() {
                    Some(target) => fault = NameFault::Alias(target),
                    None if found.reply.rcode() == ResponseCode::NXDomain => fault = NameFault::NameError,
                    None => addresses.extend(found.reply.addresses().into_iter().filter(|(of, _)| of == name)),
                },
                Err(error) => fault = NameFault::Unanswered(error.to_string()),
            }
        }
        if addresses.is_empty() { Err(fault) } else { Ok(addresses.into_iter().map(|(_, address)| address).collect()) }
    }

    fn at(&self, server: &Nameserver) -> SocketAddr {
        SocketAddr::new(server.address, self.roots.port())
    }
}

/// Runs futures at the same time; the results have their order.
async fn side_by_side<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut running = JoinSet::new();
    for (place, future) in futures.enumerate() {
        running.spawn(async move { (place, future.await) });
    }
    let mut done = running.join_all().await;
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
