//! The owner that a question concerns.

use crate::model::name::{MAX_NAME, Name, NameRef, Owner};
use crate::model::serial::Serial;
use crate::model::time::{RunningTime, Timestamp};
use crate::zone::owner_state::OwnerState;
use crate::zone::zonefile::{MAX_CHAIN, cname_target};
use crate::zone::{Zone, zone_named, zone_of};

/// An owner that exists.
pub struct FoundOwner {
    pub owner: Owner,
    /// The owner's name.
    pub name: Name,
    /// What it holds; `None` for an owner of the daemon's that holds nothing.
    pub state: Option<OwnerState>,
    /// The zone's serial with it.
    pub serial: Serial,
}

/// The owner with this name, or the one to which the CNAMEs of the zone file lead from there. `is_below`: the owner
/// below which the name lies.
pub fn owner_of(zones: &[Zone], name: NameRef<'_>, is_below: bool) -> Option<FoundOwner> {
    let zone = zone_of(zones, name)?;
    let name = name.to_name();
    if is_below { owner_above(zone, name) } else { owner_at_end(zone, name) }
}

fn owner_above(zone: &Zone, mut name: Name) -> Option<FoundOwner> {
    while name.is_in(zone.name.apex()) {
        name = name.parent()?;
        if let Some(found) = existing(zone, &name) {
            return Some(found);
        }
    }
    None
}

fn owner_at_end(zone: &Zone, mut name: Name) -> Option<FoundOwner> {
    let mut buffer = [0; MAX_NAME];
    for _ in 0..=MAX_CHAIN {
        if let Some(found) = existing(zone, &name) {
            return Some(found);
        }
        let target = cname_target(zone.statics.at(name.as_ref())?)?;
        name = NameRef::lowered(target, &mut buffer).to_name();
    }
    None
}

/// The owner with this name, if there is one.
fn existing(zone: &Zone, name: &Name) -> Option<FoundOwner> {
    let owner = Owner::at(name, &zone.name)?;
    let (state, serial) = state_in(zone, &owner);
    let exists = owner.is_daemons() || state.is_some();
    exists.then(|| FoundOwner { owner, name: name.clone(), state, serial })
}

fn state_in(zone: &Zone, owner: &Owner) -> (Option<OwnerState>, Serial) {
    zone.live.at_with_serial(owner.label.below_apex().as_bytes())
}

/// What an owner holds, and the zone's serial with it: no state if the owner does not exist, and nothing at all if its zone
/// is not served.
pub fn state_of(zones: &[Zone], owner: &Owner) -> Option<(Option<OwnerState>, Serial)> {
    Some(state_in(zone_named(zones, &owner.zone)?, owner))
}

/// The values that an owner holds, challenges first and each kind from newest to oldest, expired ones included.
pub fn values_of(state: &OwnerState) -> impl Iterator<Item = HeldValue<'_>> + Clone {
    let challenges = state.values().iter().map(|value| HeldValue {
        text: value.txt.as_str(),
        published: value.published,
        expires: Some(value.expires),
    });
    let persistent = state.persistent().iter().map(|value| HeldValue {
        text: value.value.as_str(),
        published: value.published,
        expires: value.expires,
    });
    challenges.chain(persistent)
}

/// A value of either kind.
#[derive(Clone, Copy, Debug)]
pub struct HeldValue<'s> {
    pub text: &'s str,
    /// The date of the last publication.
    pub published: Timestamp,
    /// The first moment at which it is no longer served; `None`: served until it is retired.
    pub expires: Option<RunningTime>,
}

impl HeldValue<'_> {
    /// Whether it is served at `now`.
    pub fn is_live(&self, now: RunningTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The wire form of an owner's name.
pub fn name_of(owner: &Owner) -> Option<Name> {
    // invariant: an owner's label fits its zone
    owner.to_string().parse().ok()
}
