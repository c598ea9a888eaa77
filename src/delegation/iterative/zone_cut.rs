//! A zone as its parent delegates it.

use std::sync::Arc;

use crate::model::name::Name;

use super::super::parent::Nameserver;
use super::super::roots::Roots;

/// A zone, and the nameservers to which its parent delegates it.
#[derive(Debug)]
pub struct ZoneCut {
    /// The apex.
    pub apex: Name,
    /// The nameservers that the parent names, each with an address that it has.
    pub servers: Vec<Nameserver>,
    /// The nameservers that the parent names and that have no address.
    pub unresolved: Vec<Unresolved>,
    /// The zone above; `None` for the root.
    pub parent: Option<Arc<Self>>,
}

/// A nameserver without an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Its name.
    pub name: Name,
    /// What was found in place of an address.
    pub problem: String,
}

impl ZoneCut {
    /// The root, with the addresses where a walk begins.
    pub(super) fn root(roots: &Roots) -> Self {
        let apex = Name::root();
        let servers = roots.servers().iter().map(|address| Nameserver { name: apex.clone(), address: *address });
        Self { servers: servers.collect(), apex, unresolved: Vec::new(), parent: None }
    }

    /// The zones from this one up to the root, which is left out.
    pub fn ancestry(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut zones = Vec::new();
        let mut at = Some(self);
        while let Some(zone) = at.filter(|zone| zone.parent.is_some()) {
            zones.push(zone.clone());
            at = zone.parent.as_ref();
        }
        zones
    }
}
