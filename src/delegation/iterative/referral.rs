//! From a referral to the addresses of the nameservers that it names.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use crate::model::name::Name;
use crate::net::dns_client::DnsReply;

use super::super::parent::Nameserver;
use super::error::IterativeError;
use super::resolver::IterativeResolver;
use super::zone_cut::{Unresolved, ZoneCut};

/// The most nameservers of one zone that are looked at.
const MAX_NAMES: usize = 16;
/// How deep the look-ups of nameservers' addresses may be nested: each may need those of another zone.
const MAX_DEPTH: usize = 3;

impl IterativeResolver {
    /// The zone to which a reply of the zone above refers, or whose NS records it has.
    pub(super) async fn cut(&self, apex: &Name, reply: &DnsReply, parent: &Arc<ZoneCut>, depth: usize) -> Arc<ZoneCut> {
        let mut seen = HashSet::new();
        let mut names = reply.nameservers_of(apex);
        names.retain(|name| seen.insert(name.clone()));
        names.truncate(MAX_NAMES);
        let glue = reply.addresses();
        // An answer, in the place of a referral: the nameservers of the zone above have this one as well.
        let is_beside = reply.is_authoritative();
        let mut looking = JoinSet::new();
        for (place, name) in names.into_iter().enumerate() {
            let own = glue.iter().filter(|(of, _)| *of == name && name.is_in(&parent.apex));
            let own: Vec<IpAddr> = own.map(|(_, address)| *address).collect();
            // Without glue nobody finds a nameserver whose name lies in the zone itself.
            let is_circular = name.is_in(apex);
            let (resolver, parent) = (self.clone(), parent.clone());
            looking.spawn(async move {
                let addresses = match own.is_empty() {
                    false => Ok(own),
                    true if is_circular && is_beside => resolver.addresses_at(&parent, &name).await,
                    true if is_circular => Err("its address has to come with the delegation, as glue".to_owned()),
                    true => resolver.addresses(&name, depth + 1).await,
                };
                (place, name, addresses)
            });
        }
        let mut found = looking.join_all().await;
        found.sort_unstable_by_key(|(place, ..)| *place);
        let mut cut =
            ZoneCut { apex: apex.clone(), servers: Vec::new(), unresolved: Vec::new(), parent: Some(parent.clone()) };
        for (_, name, addresses) in found {
            match addresses {
                Ok(addresses) => {
                    let servers = addresses.into_iter().map(|address| Nameserver { name: name.clone(), address });
                    cut.servers.extend(servers);
                }
                Err(problem) => cut.unresolved.push(Unresolved { name, problem }),
            }
        }
        let cut = Arc::new(cut);
        self.remember(&cut);
        cut
    }

    /// The addresses of a nameserver.
    async fn addresses(&self, name: &Name, depth: usize) -> Result<Vec<IpAddr>, String> {
        if depth > MAX_DEPTH {
            return Err("its address depends on too many other zones".to_owned());
        }
        let (four, six) =
            tokio::join!(self.resolve_at(name, RecordType::A, depth), self.resolve_at(name, RecordType::AAAA, depth));
        addresses_in(name, [four.map(|found| found.reply), six.map(|found| found.reply)])
    }

    /// The addresses of a nameserver, as the nameservers of one zone know them.
    async fn addresses_at(&self, zone: &Arc<ZoneCut>, name: &Name) -> Result<Vec<IpAddr>, String> {
        let (four, six) =
            tokio::join!(self.ask_zone(zone, name, RecordType::A), self.ask_zone(zone, name, RecordType::AAAA));
        addresses_in(name, [four, six])
    }
}

/// The addresses in two replies, or what they have in place of any.
fn addresses_in(name: &Name, replies: [Result<DnsReply, IterativeError>; 2]) -> Result<Vec<IpAddr>, String> {
    let mut addresses = Vec::new();
    let mut problem = "it has no address".to_owned();
    for reply in replies {
        match reply {
            Ok(reply) => {
                if let Some(target) = reply.alias() {
                    problem = format!("it is a CNAME (to {target}), which a nameserver must not be");
                } else if reply.is_name_error() {
                    problem = "its name does not exist".to_owned();
                }
                let own = reply.addresses().into_iter().filter(|(of, _)| of == name);
                addresses.extend(own.map(|(_, address)| address));
            }
            Err(error) => problem = error.to_string(),
        }
    }
    if addresses.is_empty() { Err(problem) } else { Ok(addresses) }
}
