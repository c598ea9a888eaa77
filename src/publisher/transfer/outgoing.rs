//! What moves out: accounts, enrolment tokens, stored credentials and the labels of removed accounts.

use crate::model::account::{Account, AccountStatus, Username};
use crate::model::time::Timestamp;
use crate::store::{Rows, StoreError};

use super::super::Publisher;
use super::super::names::is_chosen;
use super::{TransferItem, TransferredAccount};

/// Accounts read at once.
const PAGE: usize = 500;

impl Publisher {
    /// Shows what moves: the accounts that are named, or everything. One moment's state. Blocks.
    pub fn each_moved<E: From<StoreError>>(
        &self,
        accounts: &[Username],
        mut visit: impl FnMut(TransferItem) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let mut shown = |moved: TransferItem| {
            visit(moved).map_err(|error| {
                failed = Some(error);
                StoreError::Stopped
            })
        };
        let outcome = self.0.store.snapshot(|rows| match accounts {
            [] => everything(rows, self.now(), &mut shown),
            accounts => accounts.iter().try_for_each(|who| match rows.account(*who)? {
                Some(account) => show(rows, account, self.now(), &mut shown),
                None => Ok(()),
            }),
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(outcome?),
        }
    }
}

fn everything(
    rows: &Rows<'_>,
    now: Timestamp,
    shown: &mut impl FnMut(TransferItem) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut last = None;
    loop {
        let page = rows.accounts(last, PAGE)?;
        let is_last = page.len() < PAGE;
        last = page.last().map(|account| account.username);
        for account in page {
            show(rows, account, now, shown)?;
        }
        if is_last {
            break;
        }
    }
    rows.each_enrolment(|hash, enrolment| shown(TransferItem::Enrolment(hash, enrolment)))?;
    rows.each_stored(|holder, domain, sealed| shown(TransferItem::Stored { holder, domain, sealed }))?;
    rows.each_tombstone(|owner, removed| shown(TransferItem::Tombstone(owner, removed)))
}

/// Shows an account. A deleted one stays, and whoever else may get its labels would answer for the CNAMEs that still lead
/// to them, so those that were chosen move as labels of a removed account.
fn show(
    rows: &Rows<'_>,
    account: Account,
    now: Timestamp,
    shown: &mut impl FnMut(TransferItem) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if let AccountStatus::Deleted { .. } = account.status {
        let mut chosen = account.owners.into_iter().filter(is_chosen);
        return chosen.try_for_each(|owner| shown(TransferItem::Tombstone(owner, now)));
    }
    shown(moved(rows, account)?)
}

fn moved(rows: &Rows<'_>, account: Account) -> Result<TransferItem, StoreError> {
    let mut values = Vec::new();
    for owner in &account.owners {
        let Some(row) = rows.owner(owner)? else { continue };
        let stored = rows.values(row.id)?;
        let challenges = stored.challenges.into_iter().map(|stored| stored.value).collect();
        let persistent = stored.persistent.into_iter().map(|stored| stored.value).collect();
        values.push((owner.clone(), challenges, persistent));
    }
    Ok(TransferItem::Account(Box::new(TransferredAccount { account, values })))
}
