//! Questions to the DNS at large, for checks: whether a CNAME is in place, where a zone is delegated to, which CAs may
//! issue.
//!
//! Through recursive resolvers, as a CA does it. Nothing is remembered between two questions: what is checked has just
//! been changed by somebody. Nothing here is on the way of an answer that this daemon gives.

pub mod direct;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CAA, CNAME, NS};
use hickory_proto::rr::{self, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::model::name::Name;

/// Questions that are asked at once; others wait within their time.
const AT_ONCE: usize = 32;
/// How long one resolver gets for an answer, and how often it is asked.
const ATTEMPT: (Duration, usize) = (Duration::from_secs(2), 2);
/// How long one of the functions here may take in all, its waiting for a place included.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest chain of CNAMEs that is followed; resolvers give up at about as many.
pub const MAX_CHAIN: usize = 16;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LookupError {
    /// NXDOMAIN: neither this name nor one below it is there.
    #[error("the name {0} does not exist")]
    NameError(Name),
    /// NOERROR without a record of this type (RFC 2308).
    #[error("the name {name} has no {rtype} record")]
    NoData { name: Name, rtype: RecordType },
    /// A resolver has answered, but could not find out: mostly a nameserver of the domain is at fault.
    #[error("the resolver could not look up {rtype} of {name}: it says {rcode}")]
    Failed { name: Name, rtype: RecordType, rcode: ResponseCode },
    /// No resolver has answered in time.
    #[error("no resolver answers a question for {rtype} of {name}: {reason}")]
    Unreachable { name: Name, rtype: RecordType, reason: String },
    #[error("the CNAMEs from {0} on lead in a circle, or over more than {MAX_CHAIN} names")]
    LongChain(Name),
    #[error("there are no resolvers to ask: {0}; name some as `resolvers` in the configuration")]
    NoResolvers(String),
}

impl LookupError {
    /// Whether the DNS has said that there is no such record, other than that it could not be asked.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::NameError(_) | Self::NoData { .. })
    }
}

type Result<T> = std::result::Result<T, LookupError>;

/// Asks recursive resolvers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lookup {
    resolvers: Arc<[SocketAddr]>,
    places: Arc<Semaphore>,
}

impl Lookup {
    /// Asks these resolvers, the first one first; those of `/etc/resolv.conf`, read at each question, where there are
    /// none.
    pub fn new(resolvers: &[SocketAddr]) -> Self {
        Self { resolvers: resolvers.into(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Where the CNAMEs from `name` on lead, in order; empty where `name` is there and is no CNAME.
    ///
    /// [`LookupError::NameError`] where `name` itself does not exist. That the last target exists is not asked for. Nor
    /// is where a target leads of which the caller knows that it is the end: a resolver beside this server often cannot
    /// reach it at its public address.
    pub async fn cname_chain(&self, name: &Name, is_end: impl Fn(&Name) -> bool) -> Result<Vec<Name>> {
        self.timed(name, RecordType::CNAME, async |resolver| {
            let mut chain: Vec<Name> = Vec::new();
            loop {
                let at = chain.last().unwrap_or(name);
                let target = match ask(&resolver, at, RecordType::CNAME).await {
                    Ok(answers) => answers.into_iter().find_map(|data| match data {
                        RData::CNAME(CNAME(target)) => ours(&target),
                        _ => None,
                    }),
                    Err(LookupError::NameError(_)) if !chain.is_empty() => None,
                    Err(LookupError::NoData { .. }) => None,
                    Err(error) => return Err(error),
                };
                let Some(target) = target else { return Ok(chain) };
                if target == *name || chain.contains(&target) || chain.len() == MAX_CHAIN {
                    return Err(LookupError::LongChain(name.clone()));
                }
                let ends = is_end(&target);
                chain.push(target);
                if ends {
                    return Ok(chain);
                }
            }
        })
        .await
    }

    /// The nameservers of a zone, by its apex.
    pub async fn nameservers(&self, zone: &Name) -> Result<Vec<Name>> {
        self.all(zone, RecordType::NS, |data| match data {
            RData::NS(NS(nameserver)) => ours(&nameserver),
            _ => None,
        })
        .await
    }

    /// The CAA records at a name, CNAMEs followed. RFC 8659 section 3 looks at the names above it as well; that is the
    /// caller's to do.
    pub async fn caa(&self, name: &Name) -> Result<Vec<CAA>> {
        self.all(name, RecordType::CAA, |data| match data {
            RData::CAA(caa) => Some(caa),
            _ => None,
        })
        .await
    }

    /// The TXT records at a name, CNAMEs followed; each with its character-strings put together.
    pub async fn txt(&self, name: &Name) -> Result<Vec<Vec<u8>>> {
        self.all(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
        .await
    }

    /// The IPv4 and the IPv6 addresses of a name, CNAMEs followed; an error only where there is neither.
    pub async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>> {
        let address = |data: RData| data.ip_addr();
        let (four, six) =
            tokio::join!(self.all(name, RecordType::A, address), self.all(name, RecordType::AAAA, address));
        match (four, six) {
            (Err(error), Err(other)) => Err(if error.is_negative() { other } else { error }),
            (four, six) => Ok(four.into_iter().chain(six).flatten().collect()),
        }
    }

    /// All records of a type of which `read` makes something.
    async fn all<T>(&self, name: &Name, rtype: RecordType, read: impl Fn(RData) -> Option<T>) -> Result<Vec<T>> {
        let answers = self.timed(name, rtype, async |resolver| ask(&resolver, name, rtype).await).await?;
        let read: Vec<T> = answers.into_iter().filter_map(read).collect();
        if read.is_empty() { Err(LookupError::NoData { name: name.clone(), rtype }) } else { Ok(read) }
    }

    async fn timed<T>(
        &self,
        name: &Name,
        rtype: RecordType,
        work: impl AsyncFnOnce(TokioResolver) -> Result<T>,
    ) -> Result<T> {
        let unreachable = |reason: String| LookupError::Unreachable { name: name.clone(), rtype, reason };
        let done = async {
            // The semaphore is never closed; if it were, asking without a place would be as good.
            let _place = self.places.acquire().await;
            work(self.resolver()?).await
        };
        tokio::time::timeout(PATIENCE, done)
            .await
            .unwrap_or_else(|_| Err(unreachable(format!("nothing came within {} s", PATIENCE.as_secs()))))
    }

    /// Another one for each question, so that nothing is remembered.
    fn resolver(&self) -> Result<TokioResolver> {
        let none = |error: NetError| LookupError::NoResolvers(error.to_string());
        let mut builder = if self.resolvers.is_empty() {
            TokioResolver::builder_tokio().map_err(none)?
        } else {
            let servers = self.resolvers.iter().map(|resolver| server(*resolver)).collect();
            TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(servers),
                TokioRuntimeProvider::default(),
            )
        };
        set(builder.options_mut());
        builder.build().map_err(none)
    }
}

fn server(resolver: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(resolver.ip());
    server.connections.iter_mut().for_each(|connection: &mut ConnectionConfig| connection.port = resolver.port());
    server
}

fn set(options: &mut ResolverOpts) {
    (options.timeout, options.attempts) = ATTEMPT;
    options.edns0 = true;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
}

async fn ask(resolver: &TokioResolver, name: &Name, rtype: RecordType) -> Result<Vec<RData>> {
    let answers = resolver.lookup(theirs(name)?, rtype).await.map_err(|error| read(error, name, rtype))?;
    Ok(answers.answers().iter().map(|record| record.data.clone()).collect())
}

fn read(error: NetError, name: &Name, rtype: RecordType) -> LookupError {
    let name = name.clone();
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => LookupError::NameError(name),
            ResponseCode::NoError => LookupError::NoData { name, rtype },
            rcode => LookupError::Failed { name, rtype, rcode },
        },
        NetError::Dns(DnsError::ResponseCode(rcode)) => LookupError::Failed { name, rtype, rcode },
        other => LookupError::Unreachable { name, rtype, reason: other.to_string() },
    }
}

fn theirs(name: &Name) -> Result<rr::Name> {
    // Every name of ours is one of theirs; a failure would be a fault of the library.
    rr::Name::from_bytes(name.as_wire()).map_err(|error| LookupError::Unreachable {
        name: name.clone(),
        rtype: RecordType::ANY,
        reason: error.to_string(),
    })
}

/// A name of theirs as ours.
pub fn ours(name: &rr::Name) -> Option<Name> {
    name.to_bytes().ok().and_then(|wire| Name::from_wire(&wire).ok())
}

#[cfg(test)]
pub(crate) mod tests;
