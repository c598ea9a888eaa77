//! Accounts of another program, imported with their keys and values in one transaction.

use std::collections::HashSet;
use std::sync::Arc;

use tracing::info;

use crate::model::account::{Account, AccountStatus, Note};
use crate::model::actor::Actor;
use crate::model::cadence::Cadence;
use crate::model::name::{Owner, ZoneName};
use crate::model::time::{Moment, Timestamp};
use crate::model::txt::{LiveValue, TxtValue};
use crate::store::import::{ForeignAccount, Left};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, Rows, StoreError};
use crate::zone::change::Action;
use crate::zone::owner_state::OwnerState;
use crate::zone::{is_static, zone_named};

use super::{Abort, AccessError, Inner, Publisher};

/// What an import would do, decided on what is stored.
#[derive(Debug, Clone, Default)]
pub struct ImportPlan {
    /// Accounts to create.
    pub accounts: Vec<Account>,
    /// Values to publish, with their owners; the oldest of an owner first.
    pub values: Vec<(Owner, Vec<(TxtValue, Moment)>)>,
    /// Accounts that exist already, and stay as they are.
    pub known: usize,
    /// Values that are too old to be live here.
    pub expired: usize,
    /// What cannot be imported.
    pub left: Vec<Left>,
}

impl ImportPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.values.is_empty()
    }

    /// Values in all.
    pub fn value_count(&self) -> usize {
        self.values.iter().map(|(_, values)| values.len()).sum()
    }
}

impl Publisher {
    /// What the import of these accounts into a zone would do. Accounts that exist already get the values that they do
    /// not have; nothing else of them changes. Blocks for a few microseconds an account.
    pub fn plan_import(&self, zone: &ZoneName, coming: Vec<ForeignAccount>) -> Result<ImportPlan, Abort<AccessError>> {
        if zone_named(&self.0.zones.load(), zone).is_none_or(|zone| zone.name.is_challenge()) {
            return Err(AccessError::NoZone(zone.clone()).into());
        }
        let mut plan = ImportPlan::default();
        let mut names = HashSet::with_capacity(coming.len());
        let mut labels = HashSet::with_capacity(coming.len());
        let plan = self.0.store.read(|rows| {
            for account in coming {
                // A UUID has several spellings, and a label has one in each case: in this store they are the same.
                let is_new = names.insert(account.username) && labels.insert(account.subdomain.clone());
                self.0.plan_account(rows, zone, account, is_new, &mut plan)?;
            }
            Ok(plan)
        })?;
        Ok(plan)
    }

    /// Carries a plan out, whole or not at all.
    pub async fn import(&self, actor: Actor, plan: Arc<ImportPlan>) -> Result<(), StoreError> {
        let inner = self.0.clone();
        let accounts = plan.accounts.len();
        let values = plan.value_count();
        let operation = move |tx: &Tx<'_>| {
            for account in &plan.accounts {
                insert(tx, account)?;
            }
            for (owner, values) in &plan.values {
                inner.publish_again(tx, owner, values)?;
            }
            Ok(())
        };
        self.write_freely(actor, operation).await?;
        info!(accounts, values, %actor, "imported");
        Ok(())
    }
}

impl Inner {
    /// Adds one account to the plan.
    fn plan_account(
        &self,
        rows: &Rows<'_>,
        zone: &ZoneName,
        coming: ForeignAccount,
        is_new: bool,
        plan: &mut ImportPlan,
    ) -> Result<(), StoreError> {
        let owner = Owner::subdomain(zone.clone(), coming.subdomain.clone());
        let row = rows.owner(&owner)?;
        let why = match &row {
            _ if !is_new => Some("another account there has the same username or subdomain in other letters"),
            Some(row) if row.account.as_ref().is_none_or(|(name, _)| *name != coming.username) => {
                Some("the subdomain belongs to another account on this server")
            }
            Some(_) => None,
            None if rows.account(coming.username)?.is_some() => {
                Some("the account exists already, and no longer has this subdomain")
            }
            None if rows.has_tombstone(&owner)? => {
                Some("the subdomain was deleted on this server, and is never given again")
            }
            None if self.is_static(&owner) => Some("the configuration has records at or below that name"),
            None => None,
        };
        if let Some(why) = why {
            let what = format!("account {} with the subdomain {}", coming.username, coming.subdomain);
            plan.left.push(Left::new(what, why));
            return Ok(());
        }
        let mut values = self.live_values(&coming, plan);
        if let Some(row) = row {
            plan.known += 1;
            let here = rows.values(row.id)?.challenges;
            values.retain(|(txt, _)| row.is_served() && !here.iter().any(|stored| stored.value.txt == *txt));
        } else {
            plan.accounts.push(self.account_of(&coming, &owner));
        }
        if !values.is_empty() {
            plan.values.push((owner, values));
        }
        Ok(())
    }

    fn is_static(&self, owner: &Owner) -> bool {
        zone_named(&self.zones.load(), &owner.zone).is_some_and(|zone| is_static(zone, owner.label.as_str()))
    }

    /// The values that would still be live, the oldest first.
    fn live_values(&self, coming: &ForeignAccount, plan: &mut ImportPlan) -> Vec<(TxtValue, Moment)> {
        let now = self.clock.moment();
        let lifetime = self.limits.newest_lifetime.max(self.limits.lifetime);
        // A date of the other program in the future is its wrong clock's, or ours.
        let published = |at: &Timestamp| now.minus(now.date.since(*at));
        let mut live: Vec<_> = coming.values.iter().map(|(txt, at)| (*txt, published(at))).collect();
        live.retain(|(_, published)| now.running < published.running.plus(lifetime));
        plan.expired += coming.values.len() - live.len();
        live.reverse();
        live
    }

    fn account_of(&self, coming: &ForeignAccount, owner: &Owner) -> Account {
        let now = self.clock.moment();
        let last_update = coming.values.first().map(|(_, published)| *published);
        Account {
            username: coming.username,
            key: coming.key.clone(),
            former_key: None,
            allow_from: coming.allow_from.clone(),
            note: Note::default(),
            owners: vec![owner.clone()],
            aliases: Vec::new(),
            tsig: None,
            // acme-dns does not store it; the account existed when it last published.
            created: Moment { date: coming.created.or(last_update).unwrap_or(now.date), running: now.running },
            last_update,
            cadence: Cadence::default(),
            status: AccountStatus::Active,
        }
    }

    /// Publishes values with the time of their first publication.
    fn publish_again(&self, tx: &Tx<'_>, owner: &Owner, values: &[(TxtValue, Moment)]) -> Result<(), StoreError> {
        let missing = || StoreError::Unreadable(format!("the owner {owner} of an imported account"));
        let row: OwnerRow = tx.owner(owner)?.ok_or_else(missing)?;
        for (txt, published) in values {
            // `settle` sets the lifetimes.
            let value = LiveValue { txt: *txt, published: published.date, expires: published.running };
            tx.put_value(row.id, &value, published.running)?;
        }
        self.settle(tx, &row, owner, Action::Import)
    }
}

/// Stores an account that does not exist yet.
fn insert(tx: &Tx<'_>, account: &Account) -> Result<(), StoreError> {
    tx.insert_account(account)?;
    if let Some(at) = account.last_update {
        tx.published_at(account.username, at)?;
    }
    for owner in &account.owners {
        tx.record_owner(Action::Import, owner.clone(), Some(OwnerState::Empty))?;
    }
    tx.record_account(Action::Import, account.username, Some(account.clone()));
    Ok(())
}
