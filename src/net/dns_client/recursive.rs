//! Questions to recursive resolvers, such as a CA asks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CAA, CNAME, NS};
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use tokio::time::timeout;

use crate::model::name::Name;

use super::client::DnsClient;
use super::error::{LookupError, MAX_CHAIN};
use super::names::{from_library, to_library};

/// The time that one resolver has for an answer.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How many times each resolver is asked.
const ATTEMPTS: usize = 2;
/// The time that one look-up has, including its time in the queue.
const PATIENCE: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, LookupError>;

impl DnsClient {
    /// The targets of the CNAMEs from `name` on, in order; empty if `name` exists and is not a CNAME.
    ///
    /// Fails with [`LookupError::NameError`] if `name` itself does not exist; the last target need not exist. The chain
    /// also ends at a target for which `is_end` holds, and no resolver is asked about that one: behind NAT a resolver often
    /// cannot reach this server at its public address.
    pub async fn cname_chain(&self, name: &Name, is_end: impl Fn(&Name) -> bool) -> Result<Vec<Name>> {
        self.timed(name, RecordType::CNAME, async |resolver| {
            let mut chain: Vec<Name> = Vec::new();
            while let Some(target) = next_target(&resolver, name, &chain).await? {
                if target == *name || chain.contains(&target) || chain.len() == MAX_CHAIN {
                    return Err(LookupError::LongChain(name.clone()));
                }
                let ends = is_end(&target);
                chain.push(target);
                if ends {
                    break;
                }
            }
            Ok(chain)
        })
        .await
    }

    /// The nameservers of a zone, by its apex.
    pub async fn nameservers(&self, zone: &Name) -> Result<Vec<Name>> {
        self.records(zone, RecordType::NS, nameserver).await
    }

    /// The CAA records at a name, CNAMEs followed. The caller climbs to the names above (RFC 8659 section 3).
    pub async fn caa(&self, name: &Name) -> Result<Vec<CAA>> {
        self.records(name, RecordType::CAA, caa).await
    }

    /// The TXT records at a name, CNAMEs followed; each with its character-strings joined.
    pub async fn txt(&self, name: &Name) -> Result<Vec<Vec<u8>>> {
        self.records(name, RecordType::TXT, text).await
    }

    /// The IPv4 and IPv6 addresses of a name, CNAMEs followed. Fails only if both look-ups fail.
    pub async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>> {
        let found = tokio::join!(
            self.records(name, RecordType::A, |data| data.ip_addr()),
            self.records(name, RecordType::AAAA, |data| data.ip_addr())
        );
        match found {
            (Err(error), Err(other)) => Err(if error.is_negative() { other } else { error }),
            (four, six) => Ok(four.into_iter().chain(six).flatten().collect()),
        }
    }

    /// The records of a type, converted by `read`. Fails with [`LookupError::NoData`] if none is left.
    async fn records<T>(&self, name: &Name, rtype: RecordType, read: impl Fn(RData) -> Option<T>) -> Result<Vec<T>> {
        let answers = self.timed(name, rtype, async |resolver| resolve(&resolver, name, rtype).await).await?;
        let records: Vec<T> = answers.into_iter().filter_map(read).collect();
        if records.is_empty() { Err(LookupError::NoData { name: name.clone(), rtype }) } else { Ok(records) }
    }

    /// Runs `work` with a resolver, as one question of the limit and within [`PATIENCE`].
    async fn timed<T>(
        &self,
        name: &Name,
        rtype: RecordType,
        work: impl AsyncFnOnce(TokioResolver) -> Result<T>,
    ) -> Result<T> {
        let done = async {
            let _permit = self.permit().await.ok_or_else(|| too_late(name, rtype))?;
            work(resolver(&self.resolvers)?).await
        };
        timeout(PATIENCE, done).await.unwrap_or_else(|_| Err(too_late(name, rtype)))
    }
}

fn too_late(name: &Name, rtype: RecordType) -> LookupError {
    unreachable(name, rtype, format!("no answer within {} s", PATIENCE.as_secs()))
}

/// The target of the CNAME at the end of a chain; `None` if there is no CNAME.
async fn next_target(resolver: &TokioResolver, start: &Name, chain: &[Name]) -> Result<Option<Name>> {
    let at = chain.last().unwrap_or(start);
    match resolve(resolver, at, RecordType::CNAME).await {
        Ok(answers) => Ok(answers.into_iter().find_map(target)),
        Err(LookupError::NameError(_)) if !chain.is_empty() => Ok(None),
        Err(LookupError::NoData { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn target(data: RData) -> Option<Name> {
    match data {
        RData::CNAME(CNAME(target)) => from_library(&target),
        _ => None,
    }
}

fn nameserver(data: RData) -> Option<Name> {
    match data {
        RData::NS(NS(nameserver)) => from_library(&nameserver),
        _ => None,
    }
}

fn caa(data: RData) -> Option<CAA> {
    match data {
        RData::CAA(caa) => Some(caa),
        _ => None,
    }
}

fn text(data: RData) -> Option<Vec<u8>> {
    match data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    }
}

/// A new resolver for each question, so that nothing is cached.
fn resolver(resolvers: &[SocketAddr]) -> Result<TokioResolver> {
    let mut builder = if resolvers.is_empty() {
        TokioResolver::builder_tokio().map_err(no_resolvers)?
    } else {
        let servers = resolvers.iter().copied().map(server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    set(builder.options_mut());
    builder.build().map_err(no_resolvers)
}

fn no_resolvers(error: NetError) -> LookupError {
    LookupError::NoResolvers(error.to_string())
}

fn server(resolver: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(resolver.ip());
    for connection in &mut server.connections {
        connection.port = resolver.port();
    }
    server
}

fn set(options: &mut ResolverOpts) {
    options.timeout = ATTEMPT;
    options.attempts = ATTEMPTS;
    options.edns0 = true;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
}

async fn resolve(resolver: &TokioResolver, name: &Name, rtype: RecordType) -> Result<Vec<RData>> {
    let library_name = to_library(name).map_err(|reason| unreachable(name, rtype, reason))?;
    let answers = resolver.lookup(library_name, rtype).await.map_err(|error| failure(error, name, rtype))?;
    Ok(answers.answers().iter().map(|record| record.data.clone()).collect())
}

fn failure(error: NetError, name: &Name, rtype: RecordType) -> LookupError {
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

fn unreachable(name: &Name, rtype: RecordType, reason: String) -> LookupError {
    LookupError::Unreachable { name: name.clone(), rtype, reason }
}
