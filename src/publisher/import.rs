//! Accounts that come from another program, with their keys and values: all of them in one change.

use std::collections::HashSet;
use std::sync::Arc;

use tracing::info;

use crate::model::account::{Account, AccountStatus, Note};
use crate::model::name::{Owner, ZoneName};
use crate::model::time::Timestamp;
use crate::model::txt::{LiveValue, TxtValue};
use crate::store::import::{ForeignAccount, Left};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, Rows, StoreError};
use crate::zone::live::OwnerState;
use crate::zone::{is_static, zone_named};

use super::{Inner, PublishError, Publisher, Result, Shown};

/// What is to be done, decided on what is stored and not yet done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Accounts that are not here yet.
    pub accounts: Vec<Account>,
    /// Values that are not here yet, with their owners; the oldest of an owner first.
    pub values: Vec<(Owner, Vec<(TxtValue, Timestamp)>)>,
    /// Accounts that are here already, and stay as they are.
    pub known: usize,
    /// Values that are too old to be live here.
    pub expired: usize,
    /// What cannot come.
    pub left: Vec<Left>,
}

impl Plan {
    /// Whether everything is here.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.values.is_empty()
    }

    /// Values in all.
    pub fn value_count(&self) -> usize {
        self.values.iter().map(|(_, values)| values.len()).sum()
    }
}

impl Publisher {
    /// What importing these accounts into a zone would do. Accounts that are here already get values that they do not
    /// have, and nothing else of them changes. Blocks for a few microseconds an account.
    pub fn plan_import(&self, zone: &ZoneName, coming: Vec<ForeignAccount>) -> Result<Plan> {
        if zone_named(&self.0.zones.load(), zone).is_none_or(|zone| zone.name.is_challenge()) {
            return Err(PublishError::NoZone(zone.clone()));
        }
        let mut plan = Plan::default();
        let (mut names, mut labels) = (HashSet::with_capacity(coming.len()), HashSet::with_capacity(coming.len()));
        Ok(self.0.store.read(|rows| {
            for account in coming {
                // A UUID has several spellings, and a label one in each case: here they are the same.
                let is_new = names.insert(account.username) && labels.insert(account.subdomain.clone());
                self.0.place(rows, zone, account, is_new, &mut plan)?;
            }
            Ok(plan)
        })?)
    }

    /// Carries a plan out, whole or not at all.
    pub async fn import(&self, plan: Arc<Plan>) -> Result<()> {
        let inner = self.0.clone();
        let (accounts, values) = (plan.accounts.len(), plan.value_count());
        let change = move |tx: &Tx<'_>| {
            let mut shown = Vec::with_capacity(plan.accounts.len());
            for account in &plan.accounts {
                shown.extend(bring(tx, account)?);
            }
            for (owner, values) in &plan.values {
                shown.push(inner.publish_again(tx, owner, values)?);
            }
            Ok(Ok(shown))
        };
        self.change(change, Clone::clone).await?;
        info!(accounts, values, "imported");
        Ok(())
    }
}

impl Inner {
    /// Puts one account where it belongs in the plan.
    fn place(
        &self,
        rows: &Rows<'_>,
        zone: &ZoneName,
        coming: ForeignAccount,
        is_new: bool,
        plan: &mut Plan,
    ) -> std::result::Result<(), StoreError> {
        let owner = Owner::subdomain(zone.clone(), coming.subdomain.clone());
        let row = rows.owner(&owner)?;
        let why = match &row {
            _ if !is_new => Some("another account there has the same username or subdomain in other letters"),
            Some(row) if row.account.as_ref().is_none_or(|(name, _)| *name != coming.username) => {
                Some("the subdomain is somebody else's here")
            }
            Some(_) => None,
            None if rows.account(coming.username)?.is_some() => {
                Some("the account is here already, and does not have this subdomain any more")
            }
            None if rows.is_buried(&owner)? => Some("the subdomain was deleted here, and is never given again"),
            None if self.is_static(&owner) => Some("the configuration has records at or below that name"),
            None => None,
        };
        if let Some(why) = why {
            let what = format!("account {} with the subdomain {}", coming.username, coming.subdomain);
            plan.left.push(Left::new(what, why));
            return Ok(());
        }
        let mut values = self.live(&coming, plan);
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

    /// The values that would still live here, the oldest first.
    fn live(&self, coming: &ForeignAccount, plan: &mut Plan) -> Vec<(TxtValue, Timestamp)> {
        let now = self.clock.now();
        let lifetime = self.limits.newest_lifetime.max(self.limits.lifetime);
        let mut live: Vec<_> = coming.values.iter().map(|(txt, published)| (*txt, (*published).min(now))).collect();
        live.retain(|(_, published)| now < published.plus(lifetime));
        plan.expired += coming.values.len() - live.len();
        live.reverse();
        live
    }

    fn account_of(&self, coming: &ForeignAccount, owner: &Owner) -> Account {
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
            // acme-dns does not know; it was there when it last published.
            created: coming.created.or(last_update).unwrap_or_else(|| self.clock.now()),
            last_update,
            status: AccountStatus::Active,
        }
    }

    /// Publishes values as of when they were published.
    fn publish_again(
        &self,
        tx: &Tx<'_>,
        owner: &Owner,
        values: &[(TxtValue, Timestamp)],
    ) -> std::result::Result<Shown, StoreError> {
        let missing = || StoreError::Unreadable(format!("the owner {owner} of an imported account"));
        let row: OwnerRow = tx.owner(owner)?.ok_or_else(missing)?;
        for (txt, published) in values {
            // The last one decides on the lifetimes of all.
            tx.put_value(row.id, &LiveValue { txt: *txt, published: *published, expires: *published })?;
        }
        self.settle(tx, &row, owner)
    }
}

/// Stores an account that is not here yet.
fn bring(tx: &Tx<'_>, account: &Account) -> std::result::Result<Option<Shown>, StoreError> {
    tx.insert_account(account)?;
    if let Some(at) = account.last_update {
        tx.published_at(account.username, at)?;
    }
    let owner = account.owners.first();
    owner.iter().for_each(|owner| tx.touch(&owner.zone));
    Ok(owner.map(|owner| Shown::Owner(owner.clone(), Some(OwnerState::Empty))))
}
