//! The internet that a configuration claims, on the loopback: the root, the zones on the way to the daemon's and the
//! users' domains, and the delegations that are still to be added.
//!
//! Each zone on the way is taken to be a zone of its own. Nameservers have the addresses of the real configuration, and a
//! table leads from those to the sockets of this machine.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS};

use crate::delegation::parent::Nameserver;
use crate::delegation::walk::Routes;
use crate::model::name::Name;

use super::listener::DnsListener;
use super::nameserver::{SimulatedNameserver, SimulatedZone, to_library};
use super::plan::{Plan, Target, Way};
use super::signing::ZoneDs;

/// The first label of the names of simulated nameservers.
const LABEL: &str = "rehearsal-ns";
/// The deepest zone that has a nameserver of its own; deeper ones share the last.
const MAX_LEVEL: u8 = 200;

/// The simulated nameservers. Dropping this ends them.
pub struct Internet {
    /// The nameserver of the root.
    pub root: Nameserver,
    /// From the addresses in the DNS to sockets of this machine.
    pub routes: Routes,
    _nameservers: Vec<SimulatedNameserver>,
}

/// A target, and the name of its account, to which the target's CNAME leads.
pub type TargetAlias<'a> = (&'a Target, Name);

/// The zones while records are added to them.
struct Layout<'a> {
    plan: &'a Plan,
    zones: BTreeMap<Name, SimulatedZone>,
}

/// The addresses of simulated nameservers, by the number of labels of their zones: 127.53.0.1 for the root.
fn address_of_level(level: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 53, 0, level.min(MAX_LEVEL) + 1)
}

fn level_of(zone: &Name) -> u8 {
    u8::try_from(zone.as_ref().labels().count()).unwrap_or(MAX_LEVEL).min(MAX_LEVEL)
}

impl Internet {
    /// Lays out the zones and starts their nameservers. `ds` are the DS records of the daemon's signed zones.
    pub async fn start(
        plan: &Plan,
        listeners: &[DnsListener],
        aliases: &[TargetAlias<'_>],
        ds: &[ZoneDs],
    ) -> io::Result<Self> {
        let layout = Layout::of(plan, aliases, ds);
        let mut levels: BTreeMap<u8, Vec<SimulatedZone>> = BTreeMap::new();
        for (name, zone) in layout.zones {
            levels.entry(level_of(&name)).or_default().push(zone);
        }
        let mut table: HashMap<IpAddr, SocketAddr> = HashMap::new();
        let mut nameservers = Vec::new();
        for (level, zones) in levels {
            let address = address_of_level(level);
            let nameserver = SimulatedNameserver::start(address, zones).await?;
            table.insert(address.into(), nameserver.socket);
            nameservers.push(nameserver);
        }
        for address in plan.zones.iter().flat_map(|zone| &zone.nameservers).flat_map(|server| &server.addresses) {
            table.extend(socket_of(*address, listeners).map(|socket| (*address, socket)));
        }
        let root = Nameserver { name: simulated_nameserver(&Name::root()), address: address_of_level(0).into() };
        Ok(Self { root, routes: Arc::new(table), _nameservers: nameservers })
    }
}

/// The socket that stands for an address in the DNS.
fn socket_of(address: IpAddr, listeners: &[DnsListener]) -> Option<SocketAddr> {
    let exact = listeners.iter().find(|listener| listener.receives(address));
    let by_nat = || listeners.iter().find(|listener| listener.may_receive_by_nat(address));
    exact.or_else(by_nat).map(|listener| listener.socket)
}

fn simulated_nameserver(zone: &Name) -> Name {
    // invariant: no zone of a configuration is so long that this label has no room, because accounts have longer ones
    zone.child(LABEL).unwrap_or_else(|_| zone.clone())
}

impl<'a> Layout<'a> {
    fn of(plan: &'a Plan, aliases: &[TargetAlias<'_>], ds: &[ZoneDs]) -> Self {
        let mut layout = Self { plan, zones: BTreeMap::new() };
        layout.zone(&Name::root());
        for zone in &plan.zones {
            layout.delegate(zone.name.apex());
        }
        for nameserver in plan.zones.iter().flat_map(|zone| &zone.nameservers) {
            layout.publish_addresses(&nameserver.name, &nameserver.addresses, nameserver.own_zone.is_some());
        }
        for ZoneDs { zone, rdata } in ds {
            if let Some(parent) = zone.apex().parent() {
                layout.zone(&parent).add_ds(zone.apex(), rdata);
            }
        }
        for (target, fulldomain) in aliases.iter().filter(|(target, _)| target.way == Way::Alias) {
            let cname = RData::CNAME(CNAME(to_library(fulldomain)));
            layout.zone(&target.domain).add(&target.challenge(fulldomain), cname);
        }
        layout
    }

    /// A simulated zone; it is made with those above it, and delegated by them.
    fn zone(&mut self, apex: &Name) -> &mut SimulatedZone {
        if !self.zones.contains_key(apex) {
            let nameserver = simulated_nameserver(apex);
            let address = RData::A(A(address_of_level(level_of(apex))));
            let mut zone = SimulatedZone::new(apex, &nameserver);
            zone.add(apex, RData::NS(NS(to_library(&nameserver))));
            zone.add(&nameserver, address.clone());
            if let Some(parent) = apex.parent() {
                let above = self.zone(&parent);
                above.add(apex, RData::NS(NS(to_library(&nameserver))));
                above.add(&nameserver, address);
            }
            self.zones.insert(apex.clone(), zone);
        }
        let make = || SimulatedZone::new(apex, &simulated_nameserver(apex));
        self.zones.entry(apex.clone()).or_insert_with(make)
    }

    /// Adds the NS records and the glue that the parent of a zone of the daemon needs.
    fn delegate(&mut self, apex: &Name) {
        let Some(planned) = self.plan.zones.iter().find(|zone| zone.name.apex() == apex) else { return };
        let Some(parent) = apex.parent() else { return };
        let above = self.zone(&parent);
        for nameserver in &planned.nameservers {
            above.add(apex, RData::NS(NS(to_library(&nameserver.name))));
            if nameserver.name.is_in(apex) {
                nameserver.addresses.iter().for_each(|address| above.add(&nameserver.name, address_record(*address)));
            }
        }
    }

    /// Adds the addresses of a nameserver whose name is in nobody's zone here but its own domain's.
    fn publish_addresses(&mut self, name: &Name, addresses: &[IpAddr], is_own: bool) {
        let Some(parent) = name.parent().filter(|_| !is_own) else { return };
        let zone = self.zone(&parent);
        addresses.iter().for_each(|address| zone.add(name, address_record(*address)));
    }
}

fn address_record(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}
