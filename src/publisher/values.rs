//! TXT values: publishing and retiring them, one or several at once, if what the plan expects holds (RFC 2136).

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use crate::model::account::AccountStatus;
use crate::model::actor::{Actor, Principal};
use crate::model::name::Owner;
use crate::model::time::{Moment, Timestamp};
use crate::model::txt::{LiveValue, TxtValue};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, StoreError, Stored};
use crate::zone::change::Action;
use crate::zone::owner_state::OwnerState;
use crate::zone::zone_named;

use super::{Abort, AccessError, Inner, Publisher, ValueError};

/// Edits of TXT values that are made in their order, all or none, if all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValuePlan {
    /// What must hold before the edits.
    pub conditions: Vec<Condition>,
    /// The edits.
    pub edits: Vec<ValueEdit>,
}

/// One edit of the values at an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueEdit {
    /// Publishes a value as the newest. A value that is live already is renewed and evicts nothing.
    Publish(Owner, TxtValue),
    /// Retires a value, if it is there.
    Retire(Owner, TxtValue),
    /// Retires all values.
    Clear(Owner),
}

/// What must hold before anything is changed. An actor may ask about any owner: DNS tells as much to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The owner.
    pub owner: Owner,
    /// What is served there.
    pub values: Expected,
}

/// The values that are expected to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// At least one.
    Some,
    /// None.
    None,
    /// These, in any order.
    Exactly(Vec<TxtValue>),
}

/// The effect of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedPlan {
    /// When it was applied.
    pub at: Moment,
    /// How many values it retired.
    pub retired: usize,
}

impl ValueEdit {
    fn owner(&self) -> &Owner {
        match self {
            Self::Publish(owner, _) | Self::Retire(owner, _) | Self::Clear(owner) => owner,
        }
    }

    fn publishes(&self) -> bool {
        matches!(self, Self::Publish(..))
    }

    fn action(&self) -> Action {
        if self.publishes() { Action::Publish } else { Action::Retire }
    }
}

impl Publisher {
    /// Carries out a plan: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// [`ValueError::Unmet`] names the first condition that does not hold.
    pub async fn amend(&self, actor: Actor, plan: ValuePlan) -> Result<AppliedPlan, Abort<ValueError>> {
        let started = Instant::now();
        let published = plan.edits.iter().filter(|edit| edit.publishes()).count();
        let inner = self.0.clone();
        let amended = self.write(actor, move |tx| inner.carry_out(tx, &plan)).await?;
        self.0.metrics.updates.add(published as u64);
        self.0.metrics.update_times.took(started.elapsed());
        Ok(amended)
    }

    /// Publishes one value at an owner.
    pub async fn publish(&self, actor: Actor, owner: Owner, txt: TxtValue) -> Result<LiveValue, Abort<ValueError>> {
        let plan = ValuePlan { edits: vec![ValueEdit::Publish(owner, txt)], ..ValuePlan::default() };
        let amended = self.amend(actor, plan).await?;
        Ok(self.0.newest_value(txt, amended.at))
    }

    /// Retires a value, unless it was published again after this date. Returns whether it did.
    pub async fn retire_unchanged(
        &self,
        actor: Actor,
        owner: Owner,
        txt: TxtValue,
        published: Timestamp,
    ) -> Result<bool, Abort<ValueError>> {
        let inner = self.0.clone();
        let is_retired = self.write(actor, move |tx| {
            let Some(row) = inner.row_for(tx, &owner)? else { return Ok(false) };
            let stored = tx.values(row.id)?.challenges;
            let is_it = |stored: &&Stored<LiveValue>| stored.value.txt == txt && stored.value.published == published;
            let Some(found) = stored.iter().find(is_it) else { return Ok(false) };
            tx.remove_value(found.id)?;
            inner.settle(tx, &row, &owner, Action::Retire)?;
            Ok(true)
        });
        let is_retired = is_retired.await?;
        self.0.metrics.values_retired_early.add(is_retired.into());
        Ok(is_retired)
    }

    /// Retires one value of an owner, or all of them; returns how many there were.
    pub async fn retire(
        &self,
        actor: Actor,
        owner: Owner,
        which: Option<TxtValue>,
    ) -> Result<usize, Abort<ValueError>> {
        let edit = match which {
            Some(txt) => ValueEdit::Retire(owner, txt),
            None => ValueEdit::Clear(owner),
        };
        let plan = ValuePlan { edits: vec![edit], ..ValuePlan::default() };
        Ok(self.amend(actor, plan).await?.retired)
    }
}

impl Inner {
    fn carry_out(&self, tx: &Tx<'_>, plan: &ValuePlan) -> Result<AppliedPlan, Abort<ValueError>> {
        for (index, condition) in plan.conditions.iter().enumerate() {
            if !holds(tx, condition)? {
                return Err(ValueError::Unmet(index).into());
            }
        }
        let mut edited = BTreeMap::new();
        let mut amended = AppliedPlan { at: tx.now(), retired: 0 };
        for edit in &plan.edits {
            let owner = edit.owner();
            let known = edited.get(owner).map(|(row, _)| OwnerRow::clone(row));
            let row = match known {
                Some(row) => Some(row),
                None if edit.publishes() => Some(self.get_or_create_row(tx, owner)?),
                None => self.row_for(tx, owner)?,
            };
            // Without a row nothing is there to retire.
            let Some(row) = row else { continue };
            match edit {
                ValueEdit::Publish(_, txt) => self.put(tx, &row, *txt)?,
                ValueEdit::Retire(_, txt) => amended.retired += remove_values(tx, &row, Some(*txt))?,
                ValueEdit::Clear(_) => amended.retired += remove_values(tx, &row, None)?,
            }
            edited.insert(owner, (row, edit.action()));
        }
        for (owner, (row, action)) in edited {
            self.settle(tx, &row, owner, action)?;
        }
        Ok(amended)
    }

    /// The row of an owner at which the actor may publish; `None` for one that is made when it is first used.
    pub(super) fn row_for(&self, tx: &Tx<'_>, owner: &Owner) -> Result<Option<OwnerRow>, Abort<ValueError>> {
        // A zone that the configuration no longer has is not answered for, so nothing can be published in it.
        if zone_named(&self.zones.load(), &owner.zone).is_none() {
            return Err(AccessError::NoZone(owner.zone.clone()).into());
        }
        let who = tx.actor().who;
        if let Some(row) = tx.owner(owner)? {
            may_publish(who, &row)?;
            return Ok(Some(row));
        }
        let above = owner.above().map(|apex| tx.owner(&apex)).transpose()?.flatten();
        match above {
            Some(apex) => may_publish(who, &apex)?,
            None if who.is_operator() && owner.is_daemons() => {}
            None => return Err(AccessError::NotOwner.into()),
        }
        Ok(None)
    }

    /// The same row; creates it if it does not exist yet.
    pub(super) fn get_or_create_row(&self, tx: &Tx<'_>, owner: &Owner) -> Result<OwnerRow, Abort<ValueError>> {
        if let Some(row) = self.row_for(tx, owner)? {
            return Ok(row);
        }
        match owner.above() {
            Some(apex) => self.row_below(tx, owner, &apex),
            None => Ok(OwnerRow { id: tx.insert_owner(owner, None)?, account: None }),
        }
    }

    /// A value that is published at this moment.
    fn newest_value(&self, txt: TxtValue, now: Moment) -> LiveValue {
        let lifetime = self.limits.newest_lifetime.max(self.limits.lifetime);
        LiveValue { txt, published: now.date, expires: now.running.plus(lifetime) }
    }

    fn put(&self, tx: &Tx<'_>, row: &OwnerRow, txt: TxtValue) -> Result<(), StoreError> {
        let now = tx.now();
        tx.put_value(row.id, &self.newest_value(txt, now), now.running)?;
        if let Some((username, _)) = row.account {
            tx.renewed_at(username, now)?;
        }
        Ok(())
    }

    /// Puts an owner's values in order after an edit: the two newest live longer, expired and surplus ones go. Records
    /// what the owner holds then.
    pub(super) fn settle(&self, tx: &Tx<'_>, row: &OwnerRow, owner: &Owner, action: Action) -> Result<(), StoreError> {
        let stored = tx.values(row.id)?;
        let challenges = self.settle_challenges(tx, stored.challenges)?;
        let persistent = self.settle_persistent(tx, stored.persistent)?;
        if self.remove_if_empty(tx, row, owner)? {
            return tx.record_owner(action, owner.clone(), None);
        }
        let state = if row.is_served() { challenges.with(persistent) } else { OwnerState::Disabled };
        tx.record_owner(action, owner.clone(), Some(state))
    }

    /// The values of challenges that are left, or else when the last of them expired.
    fn settle_challenges(&self, tx: &Tx<'_>, stored: Vec<Stored<LiveValue>>) -> Result<OwnerState, StoreError> {
        let limits = &self.limits;
        let mut live = Vec::new();
        let mut last_expiry = None;
        for stored in stored {
            let mut value = stored.value;
            let lifetime = if live.len() < 2 { limits.newest_lifetime.max(limits.lifetime) } else { limits.lifetime };
            value.expires = stored.since.plus(lifetime);
            last_expiry = last_expiry.max(Some(value.expires));
            if live.len() >= limits.max || !value.is_live(tx.now().running) {
                tx.remove_value(stored.id)?;
                continue;
            }
            if value.expires != stored.value.expires {
                tx.set_expiry(stored.id, value.expires)?;
            }
            live.push(value);
        }
        Ok(match last_expiry {
            Some(at) if live.is_empty() => OwnerState::Expired(at),
            _ => OwnerState::of(&live),
        })
    }
}

/// Whether the store holds what a condition expects.
fn holds(tx: &Tx<'_>, condition: &Condition) -> Result<bool, StoreError> {
    let now = tx.now().running;
    let row = tx.owner(&condition.owner)?.filter(OwnerRow::is_served);
    let stored = row.map(|row| tx.values(row.id)).transpose()?.unwrap_or_default();
    let live = stored.challenges.iter().map(|stored| &stored.value).filter(|value| value.is_live(now));
    let served: HashSet<TxtValue> = live.map(|value| value.txt).collect();
    // Persistent authorizations stand in the same record set, and are not values of challenges.
    let has_others = stored.persistent.iter().any(|stored| stored.value.is_live(now));
    Ok(match &condition.values {
        Expected::Some => has_others || !served.is_empty(),
        Expected::None => !has_others && served.is_empty(),
        Expected::Exactly(values) => !has_others && served == values.iter().copied().collect(),
    })
}

/// Whether the actor may change the values at a row.
fn may_publish(who: Principal, row: &OwnerRow) -> Result<(), AccessError> {
    match (&row.account, who) {
        (Some((_, status)), _) if *status != AccountStatus::Active => Err(AccessError::Disabled),
        (Some((owner, _)), Principal::Account(username)) if *owner == username => Ok(()),
        (_, who) if who.is_operator() => Ok(()),
        _ => Err(AccessError::NotOwner),
    }
}

/// Removes one value of a row, or all of them; returns how many there were.
fn remove_values(tx: &Tx<'_>, row: &OwnerRow, which: Option<TxtValue>) -> Result<usize, StoreError> {
    if let Some(txt) = which {
        return tx.remove_text(row.id, txt);
    }
    let stored = tx.values(row.id)?.challenges;
    stored.iter().try_for_each(|stored| tx.remove_value(stored.id))?;
    Ok(stored.len())
}
