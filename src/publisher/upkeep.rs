//! Changes that time asks for: expired values are removed, and accounts whose deletion is due. Time is what the daemon has
//! run: no date of the machine's clock, right or wrong, removes anything.

use std::time::Duration;

use tracing::{info, warn};

use crate::model::account::{Account, AccountStatus};
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::model::time::RunningTime;
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

/// The values of an owner that have expired.
struct ExpiredValues {
    owner: Owner,
    values: Vec<String>,
}

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
    async fn expire_round(&self, reported: &mut Option<RunningTime>) {
        let due = match self.read(|rows| rows.next_expiry()).await {
            Ok(next) => next.filter(|next| *next <= self.moment().running),
            Err(StoreError::Stopped) => return,
            Err(error) => return warn!(%error, "cannot look for expired values"),
        };
        let Some(due) = due else { return };
        loop {
            match self.expire_some().await {
                Ok(expired) => {
                    expired.iter().for_each(|expired| self.report_expired(expired));
                    if expired.len() < BATCH {
                        return;
                    }
                }
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

    async fn expire_some(&self) -> Result<Vec<ExpiredValues>, StoreError> {
        let inner = self.0.clone();
        self.write_freely(Actor::UPKEEP, move |tx| inner.expire(tx)).await
    }

    fn report_expired(&self, expired: &ExpiredValues) {
        self.0.metrics.values_expired.add(expired.values.len() as u64);
        info!(owner = %expired.owner, values = expired.values.join(" "), "values expired");
    }

    fn raise_serials(&self) {
        for zone in self.0.zones.load().iter() {
            zone.live.raise_serial(zone.serial().next(self.now()));
        }
    }

    async fn removal_round(&self, purge_unused: Option<Duration>) {
        let unused_since = purge_unused.map(|age| self.moment().running.minus(age));
        loop {
            match self.remove_some(unused_since).await {
                Ok(removed) => {
                    removed.iter().for_each(|account| self.report_removed(account));
                    if removed.len() < BATCH {
                        return;
                    }
                }
                Err(error) => return warn!(%error, "cannot remove accounts whose time is over"),
            }
        }
    }

    async fn remove_some(&self, unused_since: Option<RunningTime>) -> Result<Vec<Account>, StoreError> {
        let inner = self.0.clone();
        self.write_freely(Actor::UPKEEP, move |tx| inner.remove_due(tx, unused_since)).await
    }

    fn report_removed(&self, account: &Account) {
        let Account { username, note, owners, created, .. } = account;
        let owners = owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let (counter, why) = match account.status {
            AccountStatus::Active => (&self.0.metrics.removed_unused, "it has never published"),
            _ => (&self.0.metrics.removed_deleted, "it was deleted, and its time is over"),
        };
        counter.one();
        info!(%username, owners, note = note.as_str(), created = %created.date, "account removed: {why}");
    }
}

impl Inner {
    fn expire(&self, tx: &Tx<'_>) -> Result<Vec<ExpiredValues>, StoreError> {
        let now = tx.now().running;
        let mut expired = Vec::new();
        for owner in tx.owners_with_expired(now, BATCH)? {
            let Some(row) = tx.owner(&owner)? else { continue };
            let stored = tx.values(row.id)?;
            let challenges = stored.challenges.iter().filter(|stored| !stored.value.is_live(now));
            let persistent = stored.persistent.iter().filter(|stored| !stored.value.is_live(now));
            let values = challenges.map(|stored| stored.value.txt.to_string());
            let values = values.chain(persistent.map(|stored| stored.value.value.to_string())).collect();
            self.settle(tx, &row, &owner, Action::Expire)?;
            expired.push(ExpiredValues { owner, values });
        }
        Ok(expired)
    }

    fn remove_due(&self, tx: &Tx<'_>, unused_since: Option<RunningTime>) -> Result<Vec<Account>, StoreError> {
        let mut due = tx.removable(tx.now().running, BATCH)?;
        if let Some(before) = unused_since {
            due.extend(tx.unused(before, BATCH.saturating_sub(due.len()))?);
        }
        for account in &due {
            self.remove(tx, account)?;
        }
        Ok(due)
    }
}
