//! Several changes of TXT values as one: all of them or none, if what they expect is so (RFC 2136).

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use crate::model::name::Owner;
use crate::model::txt::{LiveValue, TxtValue};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, StoreError};

use super::{Author, Decided, Inner, Publisher, Result, Shown};

/// One change of the values at an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Publishes a value, as the newest.
    Add(Owner, TxtValue),
    /// Takes a value away, if it is there.
    Retire(Owner, TxtValue),
    /// Takes all values away.
    Clear(Owner),
}

impl Change {
    fn owner(&self) -> &Owner {
        match self {
            Self::Add(owner, _) | Self::Retire(owner, _) | Self::Clear(owner) => owner,
        }
    }
}

/// What must be so before anything is changed. About any owner: DNS tells as much to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Where.
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

/// What has become of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amended {
    /// They are made.
    Done,
    /// They are not: this condition, by its number, does not hold.
    Unmet(usize),
}

impl Publisher {
    /// Makes the changes in their order, if all conditions hold.
    pub async fn amend(&self, by: Author, conditions: Vec<Condition>, changes: Vec<Change>) -> Result<Amended> {
        let started = Instant::now();
        let added = changes.iter().filter(|change| matches!(change, Change::Add(..))).count();
        let inner = self.0.clone();
        let amend = move |tx: &Tx<'_>| {
            for (index, condition) in conditions.iter().enumerate() {
                if !inner.holds(tx, condition)? {
                    return Ok(Ok((Amended::Unmet(index), Vec::new())));
                }
            }
            Ok(inner.amend(tx, by, &changes)?.map(|shown| (Amended::Done, shown)))
        };
        let (amended, _) = self.change(amend, |(_, shown)| shown.clone()).await?;
        if amended == Amended::Done {
            self.0.metrics.updates.add(added as u64);
            self.0.metrics.update_times.took(started.elapsed());
        }
        Ok(amended)
    }
}

impl Inner {
    fn holds(&self, tx: &Tx<'_>, condition: &Condition) -> std::result::Result<bool, StoreError> {
        let now = self.clock.now();
        let row = tx.owner(&condition.owner)?.filter(OwnerRow::is_served);
        let stored = row.map(|row| tx.values(row.id)).transpose()?.unwrap_or_default();
        let live = stored.challenges.iter().map(|stored| &stored.value).filter(|value| value.is_live(now));
        let served: HashSet<TxtValue> = live.map(|value| value.txt).collect();
        // They stand in the same record set, and are no values of challenges.
        let has_others = stored.persistent.iter().any(|stored| stored.value.is_live(now));
        Ok(match &condition.values {
            Expected::Some => has_others || !served.is_empty(),
            Expected::None => !has_others && served.is_empty(),
            Expected::Exactly(values) => !has_others && served == values.iter().copied().collect(),
        })
    }

    fn amend(&self, tx: &Tx<'_>, by: Author, changes: &[Change]) -> Decided<Vec<Shown>> {
        let mut rows = BTreeMap::new();
        for change in changes {
            let owner = change.owner();
            if !rows.contains_key(owner) {
                match self.row_to_amend(tx, by, change)? {
                    Ok(Some(row)) => _ = rows.insert(owner, row),
                    // Nothing is there, and nothing is to be added.
                    Ok(None) => continue,
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
            if let Some(row) = rows.get(owner) {
                self.apply(tx, row, change)?;
            }
        }
        let mut shown = Vec::new();
        for (owner, row) in rows {
            shown.push(self.settle(tx, &row, owner)?);
        }
        Ok(Ok(shown))
    }

    fn row_to_amend(&self, tx: &Tx<'_>, by: Author, change: &Change) -> Decided<Option<OwnerRow>> {
        match self.row_for(tx, by, change.owner())? {
            Ok(None) if matches!(change, Change::Add(..)) => Ok(self.make_row(tx, change.owner())?.map(Some)),
            other => Ok(other),
        }
    }

    fn apply(&self, tx: &Tx<'_>, row: &OwnerRow, change: &Change) -> std::result::Result<(), StoreError> {
        match change {
            Change::Add(_, txt) => self.put(tx, row, *txt).map(drop),
            Change::Retire(_, txt) => self.take(tx, row, Some(*txt)).map(drop),
            Change::Clear(_) => self.take(tx, row, None).map(drop),
        }
    }

    /// Puts a value at a row, as its newest.
    pub(super) fn put(&self, tx: &Tx<'_>, row: &OwnerRow, txt: TxtValue) -> std::result::Result<LiveValue, StoreError> {
        let now = self.clock.now();
        let value = LiveValue { txt, published: now, expires: now.plus(self.limits.newest_lifetime) };
        tx.put_value(row.id, &value)?;
        if let Some((username, _)) = row.account {
            tx.published_at(username, now)?;
        }
        Ok(value)
    }

    /// Takes one value away from a row, or all of them; returns how many there were.
    pub(super) fn take(
        &self,
        tx: &Tx<'_>,
        row: &OwnerRow,
        which: Option<TxtValue>,
    ) -> std::result::Result<usize, StoreError> {
        let mut gone = 0;
        for stored in tx.values(row.id)?.challenges {
            if which.is_none_or(|which| which == stored.value.txt) {
                tx.remove_value(stored.id)?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}
