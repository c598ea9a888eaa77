//! Persistent authorizations (dns-persist-01): stored apart from the values of challenges, and changed by their own
//! operations alone.

use std::time::Duration;

use tracing::info;

use crate::model::actor::Actor;
use crate::model::name::{Owner, OwnerLabel};
use crate::model::time::RunningTime;
use crate::model::txt::persist::{PersistValue, PersistentValue};
use crate::store::writer::Tx;
use crate::store::{StoreError, Stored};
use crate::zone::change::Action;
use crate::zone::{is_static, zone_named};

use super::limits::MAX_PERSISTENT;
use super::{Abort, Inner, PersistError, Publisher, ValueError};

impl Publisher {
    /// Publishes a persistent authorization at an owner. The authorization ends when it is retired, at its
    /// `persistUntil`, or after `lifetime`, whichever comes first. One that exists already starts again.
    pub async fn persist(
        &self,
        actor: Actor,
        owner: Owner,
        value: PersistValue,
        lifetime: Option<Duration>,
    ) -> Result<PersistentValue, Abort<PersistError>> {
        let inner = self.0.clone();
        let at = owner.clone();
        let value = self.write(actor, move |tx| inner.store_persistent(tx, &at, &value, lifetime)).await?;
        self.0.metrics.updates.one();
        // The value is not a secret, and the record may authorize a CA for years: the log says who published it.
        info!(%owner, value = %value.value, %actor, "persistent authorization published");
        Ok(value)
    }

    /// Retires one persistent authorization of an owner, or all of them; returns how many there were. This works also
    /// where the configuration no longer allows new ones.
    pub async fn retire_persistent(
        &self,
        actor: Actor,
        owner: Owner,
        which: Option<PersistValue>,
    ) -> Result<usize, Abort<ValueError>> {
        let inner = self.0.clone();
        let at = owner.clone();
        let operation = move |tx: &Tx<'_>| {
            let Some(row) = inner.row_for(tx, &at)? else { return Ok(0) };
            let mut retired = 0;
            for stored in tx.values(row.id)?.persistent {
                if which.as_ref().is_none_or(|which| *which == stored.value.value) {
                    tx.remove_value(stored.id)?;
                    retired += 1;
                }
            }
            inner.settle(tx, &row, &at, Action::RetirePersistent)?;
            Ok(retired)
        };
        let retired = self.write(actor, operation).await?;
        if retired > 0 {
            info!(%owner, retired, %actor, "persistent authorizations retired");
        }
        Ok(retired)
    }

    /// Whether the configuration allows persistent authorizations.
    pub fn persists(&self) -> bool {
        self.0.limits.persist
    }

    /// The persistent authorizations that are served at an owner now, newest first; from memory.
    pub fn persistent(&self, owner: &Owner) -> Vec<PersistentValue> {
        let now = self.moment().running;
        let state = self.0.state(owner);
        let persistent = state.iter().flat_map(|state| state.persistent());
        persistent.filter(|value| value.is_live(now)).cloned().collect()
    }
}

impl Inner {
    /// Whether records of the configuration hide what the owner holds.
    fn is_hidden(&self, owner: &Owner) -> bool {
        zone_named(&self.zones.load(), &owner.zone).is_some_and(|zone| is_static(zone, owner.label.below_apex()))
    }

    fn store_persistent(
        &self,
        tx: &Tx<'_>,
        owner: &Owner,
        value: &PersistValue,
        lifetime: Option<Duration>,
    ) -> Result<PersistentValue, Abort<PersistError>> {
        if !self.limits.persist {
            return Err(PersistError::Off.into());
        }
        if !owner.may_persist() {
            return Err(PersistError::Nowhere(owner.clone()).into());
        }
        if owner.label == OwnerLabel::Persist && self.is_hidden(owner) {
            return Err(PersistError::Hidden(owner.clone()).into());
        }
        let row = self.get_or_create_row(tx, owner)?;
        let now = tx.now();
        let left = value.persist_until().map(|until| until.since(now.date));
        let expires = left.into_iter().chain(lifetime).min().map(|left| now.running.plus(left));
        let expires = expires.filter(|at| *at != RunningTime::MAX);
        let value = PersistentValue { value: value.clone(), published: now.date, expires };
        if !value.is_live(now.running) {
            return Err(PersistError::Over.into());
        }
        tx.put_persistent(row.id, &value, now.running)?;
        if tx.values(row.id)?.persistent.len() > MAX_PERSISTENT {
            return Err(PersistError::TooMany.into());
        }
        if let Some((username, _)) = row.account {
            tx.published_at(username, now.date)?;
        }
        self.settle(tx, &row, owner, Action::Persist)?;
        Ok(value)
    }

    /// Removes the persistent authorizations that have expired, and returns those to serve.
    pub(super) fn settle_persistent(
        &self,
        tx: &Tx<'_>,
        stored: Vec<Stored<PersistentValue>>,
    ) -> Result<Vec<PersistentValue>, StoreError> {
        let mut live = Vec::new();
        for stored in stored {
            if stored.value.is_live(tx.now().running) {
                live.push(stored.value);
            } else {
                tx.remove_value(stored.id)?;
            }
        }
        Ok(if self.limits.persist { live } else { Vec::new() })
    }
}
