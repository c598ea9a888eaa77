//! What a configuration claims about the DNS around the daemon, and what in it cannot work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::slice;

use crate::cli::error::{CliError, Result};
use crate::config::{Config, ZoneSettings};
use crate::delegation::nameservers::configured_addresses;
use crate::model::name::{CHALLENGE_LABEL, Name, ZoneName, domain_of};
use crate::net::dns_client::DNS_PORT;

use super::listener::DnsListener;
use super::report::Finding;

/// The domains of which the first one that is not the daemon's own stands for a user's where none is named (RFC 2606).
const EXAMPLES: [&str; 3] = ["example.com", "example.net", "example.org"];
/// Addresses for nameservers outside of the zones whose addresses the configuration does not tell (RFC 5737, RFC 3849).
const DOCUMENTATION_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
const DOCUMENTATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);

/// The claims of a configuration.
#[derive(Debug)]
pub struct Plan {
    /// The zones of the daemon.
    pub zones: Vec<PlannedZone>,
    /// The names at which a CA will look.
    pub targets: Vec<Target>,
}

/// A zone, and the delegation that it needs.
#[derive(Debug)]
pub struct PlannedZone {
    /// Its name.
    pub name: ZoneName,
    /// Its nameservers.
    pub nameservers: Vec<PlannedNameserver>,
}

/// A nameserver of the daemon's zones.
#[derive(Debug, Clone)]
pub struct PlannedNameserver {
    /// Its name.
    pub name: Name,
    /// Its addresses: of the static records where it lies in a zone of the daemon.
    pub addresses: Vec<IpAddr>,
    /// The zone of the daemon that its name lies in.
    pub own_zone: Option<ZoneName>,
}

/// A name at which a CA looks, and how that leads to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The domain of the certificate.
    pub domain: Name,
    /// The zone in which the account publishes.
    pub zone: ZoneName,
    /// How the domain's DNS leads to the account.
    pub way: Way,
}

/// How a domain's DNS leads to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a CNAME at `_acme-challenge`.
    Alias,
    /// By a delegation of `_acme-challenge` itself.
    Delegation,
    /// Not at all: a further zone, in which the account's own name is looked up.
    Direct,
}

impl Target {
    /// The name at which a CA looks: the account's own for [`Way::Direct`].
    pub fn challenge(&self, fulldomain: &Name) -> Name {
        match self.way {
            Way::Direct => fulldomain.clone(),
            Way::Alias => self.domain.child(CHALLENGE_LABEL).unwrap_or_else(|_| fulldomain.clone()),
            Way::Delegation => self.zone.apex().clone(),
        }
    }
}

impl Plan {
    /// Reads the claims of a configuration, for these domains. Fails for names that are none, and for those of the daemon's
    /// own zones.
    pub fn of(config: &Config, names: &[String], listeners: &[DnsListener]) -> Result<Self> {
        let mut zones = Vec::with_capacity(config.zones.len());
        for zone in &config.zones {
            let nameservers = zone.nameservers.iter().map(|name| planned_nameserver(name, &config.zones, listeners));
            zones.push(PlannedZone { name: zone.name.clone(), nameservers: nameservers.collect() });
        }
        Ok(Self { zones, targets: targets(config, names)? })
    }

    /// What cannot work, or needs a look before the zones are delegated.
    pub fn findings(&self, listeners: &[DnsListener]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut seen: Vec<&Name> = Vec::new();
        for (zone, nameserver) in self.zones.iter().flat_map(|zone| zone.nameservers.iter().map(move |ns| (zone, ns))) {
            if seen.contains(&&nameserver.name) {
                continue;
            }
            seen.push(&nameserver.name);
            if nameserver.addresses.is_empty() {
                findings.push(without_address(zone, nameserver));
            }
            let addresses = nameserver.addresses.iter();
            findings.extend(addresses.filter_map(|address| unreachable(&nameserver.name, *address, listeners)));
        }
        findings.extend(wrong_port(listeners));
        findings
    }
}

fn planned_nameserver(name: &Name, zones: &[ZoneSettings], listeners: &[DnsListener]) -> PlannedNameserver {
    match zones.iter().find(|zone| name.is_in(zone.name.apex())) {
        Some(zone) => PlannedNameserver {
            name: name.clone(),
            addresses: static_addresses(zone, name),
            own_zone: Some(zone.name.clone()),
        },
        None => PlannedNameserver { name: name.clone(), addresses: presumed(listeners), own_zone: None },
    }
}

fn static_addresses(zone: &ZoneSettings, name: &Name) -> Vec<IpAddr> {
    let found = configured_addresses(&zone.statics, slice::from_ref(name));
    let mut addresses: Vec<IpAddr> = found.into_iter().map(|nameserver| nameserver.address).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

/// The addresses that a nameserver outside of the zones must have: those of the listeners. A listener on all addresses
/// does not tell them.
fn presumed(listeners: &[DnsListener]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for listener in listeners {
        let address = match listener.configured.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => DOCUMENTATION_V4.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => DOCUMENTATION_V6.into(),
            ip => ip,
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Whether an address only stands for one that the configuration does not tell.
pub fn is_placeholder(address: IpAddr) -> bool {
    address == DOCUMENTATION_V4 || address == DOCUMENTATION_V6 || address.is_loopback()
}

fn targets(config: &Config, names: &[String]) -> Result<Vec<Target>> {
    let ordinary: Vec<&ZoneSettings> = config.zones.iter().filter(|zone| !zone.name.is_challenge()).collect();
    let mut targets: Vec<Target> = Vec::new();
    for typed in names {
        let target = named(typed, config, ordinary.first().copied())?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    if !names.is_empty() {
        return Ok(targets);
    }
    for (index, zone) in ordinary.iter().enumerate() {
        // The second zone of an operator is for other accounts, whose domains nobody knows.
        let way = if index == 0 { Way::Alias } else { Way::Direct };
        targets.push(Target { domain: example(config)?, zone: zone.name.clone(), way });
    }
    let delegated = config.zones.iter().filter(|zone| zone.name.begins_with(CHALLENGE_LABEL));
    targets.extend(delegated.filter_map(|zone| {
        let domain = zone.name.apex().parent()?;
        Some(Target { domain, zone: zone.name.clone(), way: Way::Delegation })
    }));
    Ok(targets)
}

/// A domain that nobody serves here.
fn example(config: &Config) -> Result<Name> {
    let is_foreign = |name: &Name| !config.zones.iter().any(|zone| name.is_in(zone.name.apex()));
    let examples = EXAMPLES.iter().filter_map(|text| text.parse::<Name>().ok());
    let found = examples.into_iter().find(is_foreign);
    found.ok_or_else(|| CliError::Usage("all example domains are in the daemon's zones; name one of a user".into()))
}

fn named(typed: &str, config: &Config, first: Option<&ZoneSettings>) -> Result<Target> {
    let domain = domain_of(typed).map_err(|error| CliError::Usage(format!("{typed:?} is not a domain: {error}")))?;
    if domain.parent().is_none() {
        return Err(CliError::Usage("the root has no certificates; name a domain like example.com".into()));
    }
    let challenge = domain.child(CHALLENGE_LABEL).map_err(|error| CliError::Usage(format!("{typed:?}: {error}")))?;
    if let Some(zone) = config.zones.iter().find(|zone| zone.name.apex() == &challenge) {
        return Ok(Target { domain, zone: zone.name.clone(), way: Way::Delegation });
    }
    if let Some(zone) = config.zones.iter().find(|zone| domain.is_in(zone.name.apex())) {
        let problem = format!(
            "{domain} is in the zone {}, whose names the daemon proves itself (`[api.tls]`, `cert issue`); name a domain \
             that clients get certificates for, like {}",
            zone.name, EXAMPLES[0]
        );
        return Err(CliError::Usage(problem));
    }
    let Some(zone) = first else {
        let problem = format!(
            "no zone of the configuration is for CNAMEs, and none is {challenge}; add one of the two, or leave {domain} out"
        );
        return Err(CliError::Usage(problem));
    };
    Ok(Target { domain, zone: zone.name.clone(), way: Way::Alias })
}

/// Only for a nameserver in another zone of the configuration: the configuration's reader refuses one in its own.
fn without_address(zone: &PlannedZone, nameserver: &PlannedNameserver) -> Finding {
    let name = &nameserver.name;
    match &nameserver.own_zone {
        Some(other) => Finding::fault(format!(
            "{name}, a nameserver of {}, has no address in its zone {other}; add `{name}. A ADDRESS` to the `records` of \
             {other}",
            zone.name
        )),
        None => Finding::fault(format!(
            "nothing answers DNS for {name}, a nameserver of {}; add an address to `dns.listen`",
            zone.name
        )),
    }
}

/// Why resolvers do not reach the daemon at an address that the DNS will tell them, or what to know about it.
fn unreachable(name: &Name, address: IpAddr, listeners: &[DnsListener]) -> Option<Finding> {
    let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
    if listeners.iter().any(|listener| listener.receives(address)) {
        return address.is_loopback().then(|| {
            Finding::note(format!(
                "{name} {rtype} {address} is the loopback, which only this machine reaches; on the server write its public \
                 address there"
            ))
        });
    }
    let listened: Vec<String> = listeners.iter().map(|listener| listener.configured.to_string()).collect();
    let listened = listened.join(", ");
    let same_family = |listener: &DnsListener| listener.configured.is_ipv4() == address.is_ipv4();
    if !listeners.iter().any(same_family) {
        let (family, all) = if address.is_ipv4() { ("IPv4", "0.0.0.0:53") } else { ("IPv6", "[::]:53") };
        return Some(Finding::fault(format!(
            "{name} {rtype} {address} sends resolvers to {family}, and `dns.listen` has {listened} alone; add \"{all}\" to \
             it, or remove the record"
        )));
    }
    if listeners.iter().any(|listener| listener.may_receive_by_nat(address)) {
        return Some(Finding::note(format!(
            "{name} {rtype} {address} is none of `dns.listen` ({listened}); that is right behind a 1:1 NAT, which gives the \
             machine a private address"
        )));
    }
    Some(Finding::fault(format!(
        "{name} {rtype} {address} is an address at which nothing listens: `dns.listen` has {listened}; correct the one or \
         the other"
    )))
}

/// Resolvers ask port 53 and no other.
fn wrong_port(listeners: &[DnsListener]) -> Option<Finding> {
    if listeners.is_empty() || listeners.iter().any(|listener| listener.configured.port() == DNS_PORT) {
        return None;
    }
    let first = listeners.first().map(|listener| listener.configured)?;
    Some(Finding::note(format!(
        "`dns.listen` has {first}, and resolvers ask port {DNS_PORT} alone; on the server write {}:{DNS_PORT}, or let the \
         firewall redirect it",
        if first.is_ipv4() { "0.0.0.0" } else { "[::]" }
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_stands_for_several_listeners_is_presumed_once() {
        let listeners = ["0.0.0.0:53", "[::]:53", "0.0.0.0:5353"].map(|at| DnsListener::at(at.parse().unwrap()));
        assert_eq!(presumed(&listeners), [IpAddr::from(DOCUMENTATION_V4), DOCUMENTATION_V6.into()]);
    }
}
