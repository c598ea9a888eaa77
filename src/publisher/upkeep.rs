//! Changes that time asks for: expired values are removed, and accounts whose deletion is due.

use std::time::Duration;

use tracing::{info, warn};

use crate::model::actor::Actor;
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::writer::Tx;
use crate::zone::change::Action;

use super::{Inner, Publisher};

/// How often expired values are looked for.
const EXPIRY_ROUND: Duration = Duration::from_secs(1);
/// How often removable accounts are looked for.
const REMOVAL_ROUND: Duration = Duration::from_secs(600);
/// Owners or accounts in one transaction, so that updates get between.
const BATCH: usize = 500;

impl Publisher {
    /// Expires values, and removes accounts whose deletion is due, for as long as the daemon runs. With `purge_unused`
    /// also accounts that have not published for that long.
    pub async fn keep_up(self, purge_unused: Option<Duration>) {
        let mut expiry = tokio::time::interval(EXPIRY_ROUND);
        let mut removal = tokio::time::interval(REMOVAL_ROUND);
        for round in [&mut expiry, &mut removal] {
            round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let mut reported = None;
        loop {
            tokio::select! {
                _ = expiry.tick() => self.expire_round(&mut reported).await,
                _ = removal.tick() => self.removal_round(purge_unused).await,
            }
        }
    }

    /// Removes what has expired. DNS answers leave it out already; this frees the rows and raises the serial. Where the
    /// store cannot write, the serial rises in memory alone, once for each moment of expiry.
    async fn expire_round(&self, reported: &mut Option<Timestamp>) {
        let due = match self.read(|rows| rows.next_expiry()).await {
            Ok(next) => next.filter(|next| *next <= self.now()),
            Err(StoreError::Stopped) => return,
            Err(error) => return warn!(%error, "cannot look for expired values"),
        };
        let Some(due) = due else { return };
        loop {
            match self.expire_some().await {
                Ok(expired) if expired < BATCH => return,
                Ok(_) => {}
                Err(error) => {
                    if reported.replace(due) != Some(due) {
                        warn!(%error, "values have expired that cannot be removed from the database yet");
                        self.raise_serials();
                    }
                    return;
                }
            }
        }
    }

    async fn expire_some(&self) -> Result<usize, StoreError> {
        let inner = self.0.clone();
        let operation = move |tx: &Tx<'_>| {
            let owners = tx.owners_with_expired(tx.now(), BATCH)?;
            for owner in &owners {
                if let Some(row) = tx.owner(owner)? {
                    inner.settle(tx, &row, owner, Action::Expire)?;
                }
            }
            Ok(owners.len())
        };
        self.write_freely(Actor::UPKEEP, operation).await
    }

    fn raise_serials(&self) {
        for zone in self.0.zones.load().iter() {
            zone.live.raise_serial(zone.serial().next(self.now()));
        }
    }

    async fn removal_round(&self, purge_unused: Option<Duration>) {
        let unused_since =
            purge_unused.map(|age| Timestamp::from_unix(self.now().as_unix().saturating_sub(age.as_secs())));
        loop {
            match self.remove_some(unused_since).await {
                Ok(removed) if removed < BATCH => return,
                Ok(removed) => info!(removed, "accounts removed whose time was over"),
                Err(error) => return warn!(%error, "cannot remove accounts whose time is over"),
            }
        }
    }

    async fn remove_some(&self, unused_since: Option<Timestamp>) -> Result<usize, StoreError> {
        let inner = self.0.clone();
        self.write_freely(Actor::UPKEEP, move |tx| inner.remove_due(tx, unused_since)).await
    }
}

impl Inner {
    fn remove_due(&self, tx: &Tx<'_>, unused_since: Option<Timestamp>) -> Result<usize, StoreError> {
        let mut due = tx.removable(tx.now(), BATCH)?;
        if let (Some(before), true) = (unused_since, due.is_empty()) {
            due = tx.unused(before, BATCH)?;
        }
        for account in &due {
            self.remove(tx, account)?;
        }
        Ok(due.len())
    }
}
