//! Persistent authorizations (dns-persist-01): status grants, which only their own operations touch.

use std::time::Duration;

use tracing::info;

use crate::model::name::{Owner, OwnerLabel};
use crate::model::time::Timestamp;
use crate::model::txt::persist::{PersistValue, PersistentValue};
use crate::store::writer::Tx;
use crate::store::{StoreError, Stored};
use crate::zone::{is_static, zone_named};

use super::{Author, Decided, Inner, PublishError, Publisher, Result};

/// Persistent authorizations of one owner: a few CAs and ACME accounts.
pub const MAX_PERSISTENT: usize = 16;

impl Publisher {
    /// Publishes a persistent authorization at an owner: until it is retired, until its `persistUntil` or for a
    /// `lifetime`, whichever ends first. One that is there already begins anew.
    pub async fn persist(
        &self,
        by: Author,
        owner: Owner,
        value: PersistValue,
        lifetime: Option<Duration>,
    ) -> Result<PersistentValue> {
        let inner = self.0.clone();
        let at = owner.clone();
        let change = move |tx: &Tx<'_>| inner.store_persistent(tx, by, &at, &value, lifetime);
        let (value, _) = self.change(change, |(_, shown)| vec![shown.clone()]).await?;
        self.0.metrics.updates.one();
        // Not a secret, and the trace of what may stand for years.
        info!(%owner, value = %value.value, ?by, "persistent authorization published");
        Ok(value)
    }

    /// Takes one persistent authorization away from an owner, or all of them; returns how many there were. Goes on
    /// working where none may be published.
    pub async fn retire_persistent(&self, by: Author, owner: Owner, which: Option<PersistValue>) -> Result<usize> {
        let inner = self.0.clone();
        let at = owner.clone();
        let change = move |tx: &Tx<'_>| {
            let row = match inner.row_for(tx, by, &at)? {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Ok((0, Vec::new()))),
                Err(refusal) => return Ok(Err(refusal)),
            };
            let stored = tx.values(row.id)?.persistent;
            let gone = stored.iter().filter(|stored| which.as_ref().is_none_or(|which| *which == stored.value.value));
            let gone: Vec<i64> = gone.map(|stored| stored.id).collect();
            gone.iter().try_for_each(|id| tx.remove_value(*id))?;
            Ok(Ok((gone.len(), vec![inner.settle(tx, &row, &at)?])))
        };
        let (gone, _) = self.change(change, |(_, shown)| shown.clone()).await?;
        if gone > 0 {
            info!(%owner, gone, ?by, "persistent authorizations retired");
        }
        Ok(gone)
    }

    /// Whether any are published.
    pub fn persists(&self) -> bool {
        self.0.limits.persist
    }

    /// The persistent authorizations that are served at an owner now, newest first; from memory.
    pub fn persistent(&self, owner: &Owner) -> Vec<PersistentValue> {
        let (zones, now) = (self.0.zones.load(), self.now());
        let slot = zone_named(&zones, &owner.zone).and_then(|zone| zone.live.at(owner.label.below_apex().as_bytes()));
        let slot = slot.iter().flat_map(|slot| slot.persistent());
        slot.filter(|value| value.is_live(now)).cloned().collect()
    }
}

impl Inner {
    /// Whether records of the configuration are served in place of what the owner holds.
    fn is_hidden(&self, owner: &Owner) -> bool {
        zone_named(&self.zones.load(), &owner.zone).is_some_and(|zone| is_static(zone, owner.label.below_apex()))
    }

    fn store_persistent(
        &self,
        tx: &Tx<'_>,
        by: Author,
        owner: &Owner,
        value: &PersistValue,
        lifetime: Option<Duration>,
    ) -> Decided<(PersistentValue, super::Shown)> {
        if !self.limits.persist {
            return Ok(Err(PublishError::PersistOff));
        }
        if !owner.may_persist() {
            return Ok(Err(PublishError::PersistNowhere(owner.clone())));
        }
        if owner.label == OwnerLabel::Persist && self.is_hidden(owner) {
            return Ok(Err(PublishError::Hidden(owner.clone())));
        }
        let row = match self.row_to_fill(tx, by, owner)? {
            Ok(row) => row,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let now = self.clock.now();
        let ends = value.persist_until().into_iter().chain(lifetime.map(|lifetime| now.plus(lifetime)));
        let expires = ends.min().filter(|at| *at != Timestamp::MAX);
        let value = PersistentValue { value: value.clone(), published: now, expires };
        if !value.is_live(now) {
            return Ok(Err(PublishError::PersistOver));
        }
        tx.put_persistent(row.id, &value)?;
        if tx.values(row.id)?.persistent.len() > MAX_PERSISTENT {
            return Ok(Err(PublishError::TooManyPersistent));
        }
        if let Some((username, _)) = row.account {
            tx.published_at(username, now)?;
        }
        Ok(Ok((value, self.settle(tx, &row, owner)?)))
    }

    /// The persistent authorizations that are left, as far as they may be served.
    pub(super) fn settle_persistent(
        &self,
        tx: &Tx<'_>,
        stored: Vec<Stored<PersistentValue>>,
    ) -> std::result::Result<Vec<PersistentValue>, StoreError> {
        let (live, expired): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|stored| stored.value.is_live(self.clock.now()));
        expired.iter().try_for_each(|stored| tx.remove_value(stored.id))?;
        Ok(if self.limits.persist { live.into_iter().map(|stored| stored.value).collect() } else { Vec::new() })
    }
}
