//! What DNS can see, all of it in memory: the zones, their static records and the live values.
//!
//! Readers take a snapshot of the list of zones (no lock) and, for a live name, one of 1,024 shard locks for the time
//! of a copy; an update of one name never stops the readers of the others.

pub mod aliases;
pub mod change;
pub mod live;
pub mod owner_state;
pub mod signing;
pub mod snapshot;
pub mod soa;
pub mod zonefile;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use hickory_proto::rr::RecordType;

use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, Name, NameRef, ZoneName};
use crate::model::serial::Serial;
use crate::model::txt::RecordSet;

use aliases::Aliases;
use change::{Change, Subject};
use live::{APEX, Live};
use owner_state::OwnerState;
use signing::{Dnssec, Signing};
use soa::Soa;
use zonefile::StaticRecords;

/// One delegated zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its apex.
    pub name: ZoneName,
    /// Everything in the SOA record but the serial.
    pub soa: Soa,
    /// Seconds that resolvers may keep a live TXT value.
    pub txt_ttl: u32,
    /// The apex's NS set and all records of the configuration.
    pub statics: StaticRecords,
    /// The accounts' names and values; shared by all generations of this zone's settings.
    pub live: Arc<Live>,
    /// Where the configuration says that its keys are, whether they sign now or not.
    pub dnssec: Option<Dnssec>,
    /// What signs it; `None` where it is not signed.
    pub signing: Option<Arc<Signing>>,
}

/// What a zone holds at a name.
#[derive(Debug)]
pub enum Node<'z> {
    /// The apex, with its record sets but for the SOA, which the zone makes; and, where it is an account's, with what
    /// that has published.
    Apex(&'z [RecordSet], Option<OwnerState>),
    /// A name of the configuration; without record sets it is an empty non-terminal (RFC 8499 section 7).
    Static(&'z [RecordSet]),
    /// A registered name, or one of the daemon's own: it exists whatever it holds.
    Owner(OwnerState),
    /// No name is here or below.
    Nowhere,
}

impl Zone {
    /// What stands at `name`, with the zone's serial at the same moment; `None` where the name is not in this zone.
    pub fn locate(&self, name: NameRef<'_>) -> Option<(Node<'_>, Serial)> {
        let mut labels = name.below(self.name.apex().as_ref())?;
        let statics = self.statics.at(name);
        let Some(first) = labels.next() else {
            let statics = statics.unwrap_or_default();
            if !self.name.is_challenge() {
                return Some((Node::Apex(statics, None), self.serial()));
            }
            let (owned, serial) = self.live.at_with_serial(APEX);
            return Some((Node::Apex(statics, owned), serial));
        };
        if let Some(sets) = statics {
            return Some((Node::Static(sets), self.serial()));
        }
        // In a challenge zone the label of an ACME account stands right below the apex, in others below `_acme-challenge`.
        let is_below_challenge = !self.name.is_challenge() && AcmeAccountLabel::is_one(first);
        let is_owners = match labels.next() {
            None => !is_below_challenge,
            Some(above) => is_below_challenge && above == CHALLENGE_LABEL.as_bytes() && labels.next().is_none(),
        };
        if !is_owners {
            return Some((Node::Nowhere, self.serial()));
        }
        let (state, serial) = self.live.at_with_serial(first);
        let is_challenge_label = first == CHALLENGE_LABEL.as_bytes() && !self.name.is_challenge();
        let node = match state {
            Some(state) => Node::Owner(state),
            None if is_challenge_label => Node::Owner(OwnerState::Empty),
            None => Node::Nowhere,
        };
        Some((node, serial))
    }

    /// Whether an owner's name is above a name of this zone, directly or further up.
    pub fn has_owner_above(&self, name: NameRef<'_>) -> bool {
        let Some(labels) = name.below(self.name.apex().as_ref()) else { return false };
        if self.name.is_challenge() {
            return self.live.at(APEX).is_some();
        }
        let Some(topmost) = labels.skip(1).last() else { return false };
        topmost == CHALLENGE_LABEL.as_bytes() || self.live.at(topmost).is_some()
    }

    /// The nameservers of its NS set.
    pub fn nameservers(&self) -> Vec<Name> {
        let sets = self.statics.at(self.name.apex().as_ref()).unwrap_or_default();
        let rdatas = sets.iter().filter(|set| set.rtype == RecordType::NS).flat_map(|set| &set.rdatas);
        rdatas.filter_map(|rdata| Name::from_wire(rdata).ok()).collect()
    }

    /// The set of a type that signing adds at the apex.
    pub fn signing_set(&self, rtype: RecordType) -> Option<&RecordSet> {
        self.signing_sets().iter().find(|set| set.rtype == rtype)
    }

    /// The sets that signing adds at the apex.
    pub fn signing_sets(&self) -> &[RecordSet] {
        self.signing.as_ref().map_or(&[], |signing| signing.sets())
    }

    /// Whether all records but live values and signatures are those of another generation of the zone.
    fn has_records_of(&self, other: &Self) -> bool {
        self.soa == other.soa && self.txt_ttl == other.txt_ttl && self.statics.has_sets_of(&other.statics)
    }

    /// The SOA serial now.
    pub fn serial(&self) -> Serial {
        self.live.serial()
    }
}

/// The zones that this daemon answers for, and the aliases of its accounts in the zones of others; a cheap handle that
/// all listeners and the publisher share.
#[derive(Clone, Debug, Default)]
pub struct Zones(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    zones: ArcSwap<Vec<Zone>>,
    aliases: Aliases,
    /// Whether the zones keep journals for secondaries.
    are_journaled: AtomicBool,
}

impl Zones {
    /// A handle to these zones. The first is the one that registrations get unless they name another.
    pub fn new(zones: Vec<Zone>) -> Self {
        let zones = ArcSwap::from_pointee(zones);
        Self(Arc::new(Shared { zones, aliases: Aliases::default(), are_journaled: AtomicBool::new(false) }))
    }

    /// The aliases of all accounts.
    pub fn aliases(&self) -> &Aliases {
        &self.0.aliases
    }

    /// The zones as of now, without a lock.
    pub fn load(&self) -> Guard<Arc<Vec<Zone>>> {
        self.0.zones.load()
    }

    /// The zones as of now, for longer than a moment.
    pub fn load_full(&self) -> Arc<Vec<Zone>> {
        self.0.zones.load_full()
    }

    /// Applies committed changes, in their order. For each zone the states of the owners and the serial become visible
    /// in one step. Owners of zones that are not served are left out.
    pub fn apply(&self, changes: &[Change]) {
        let mut by_zone = BTreeMap::<&ZoneName, (Serial, Vec<_>)>::new();
        for change in changes {
            match &change.subject {
                Subject::AliasAdded(alias) => self.aliases().add(alias),
                Subject::AliasRemoved(alias) => self.aliases().remove(alias),
                Subject::Owner { .. }
                | Subject::Zone { .. }
                | Subject::Account(_)
                | Subject::Enrolment(_)
                | Subject::AdminToken(_) => {}
            }
            if let Some((zone, serial)) = change.subject.zone() {
                let (_, states) = by_zone.entry(zone).or_insert((serial, Vec::new()));
                if let Subject::Owner { owner, state, .. } = &change.subject {
                    states.push((owner.label.below_apex(), state.clone()));
                }
            }
        }
        let zones = self.load();
        for (name, (serial, states)) in by_zone {
            if let Some(zone) = zone_named(&zones, name) {
                zone.live.apply(states, serial);
            }
        }
    }

    /// Keeps journals of what changes in all zones, or none.
    pub fn keep_journals(&self, are_kept: bool) {
        self.0.are_journaled.store(are_kept, Ordering::Release);
        self.load().iter().for_each(|zone| zone.live.keep_journal(are_kept));
    }

    /// Puts another generation in place; readers see the old one or the new one, whole.
    pub fn replace(&self, zones: Vec<Zone>) {
        self.prepare_journals(&zones);
        self.0.zones.store(Arc::new(zones));
    }

    /// Puts another generation in place of the one that was `seen`; false where that is not in place any more.
    pub fn replace_if(&self, seen: &Arc<Vec<Zone>>, zones: Vec<Zone>) -> bool {
        self.prepare_journals(&zones);
        let found = self.0.zones.compare_and_swap(seen, Arc::new(zones));
        Arc::ptr_eq(&found, seen)
    }

    /// Prepares the journals for another generation. A journal tells of live values alone, so it ends where the
    /// configuration changes other records.
    fn prepare_journals(&self, zones: &[Zone]) {
        let are_kept = self.0.are_journaled.load(Ordering::Acquire);
        let present = self.load();
        for zone in zones {
            zone.live.keep_journal(are_kept);
            if zone_named(&present, &zone.name).is_some_and(|present| !present.has_records_of(zone)) {
                zone.live.cut_journal();
            }
        }
    }
}

/// The zone that `name` lies in; no zone of a configuration lies in another.
pub fn zone_of<'z>(zones: &'z [Zone], name: NameRef<'_>) -> Option<&'z Zone> {
    zones.iter().find(|zone| name.below(zone.name.apex().as_ref()).is_some())
}

/// The zone with this apex.
pub fn zone_named<'z>(zones: &'z [Zone], name: &ZoneName) -> Option<&'z Zone> {
    zones.iter().find(|zone| &zone.name == name)
}

/// Whether a label of `zone` is taken by the configuration: by records at it or below it.
pub fn is_static(zone: &Zone, label: &str) -> bool {
    zone.name.apex().child(label).is_ok_and(|name: Name| zone.statics.at(name.as_ref()).is_some())
}
