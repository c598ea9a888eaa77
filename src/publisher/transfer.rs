//! Accounts that move between two txtgates, with everything that belongs to them.

use std::sync::Arc;

use thiserror::Error;
use tracing::info;

use crate::model::account::{Account, AccountStatus, Username};
use crate::model::actor::Actor;
use crate::model::enrolment::Enrolment;
use crate::model::name::{Name, Owner};
use crate::model::secret::SecretHash;
use crate::model::time::Timestamp;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::store::writer::Tx;
use crate::store::{OwnerRow, Rows, StoreError};
use crate::zone::change::{Action, Subject};
use crate::zone::owner_state::OwnerState;
use crate::zone::{is_static, zone_named, zone_of};

use super::limits::{MAX_ENROLMENTS, MAX_PERSISTENT, MAX_STORED};
use super::names::is_chosen;
use super::{Abort, Inner, Publisher};

/// Accounts read at once.
const PAGE: usize = 500;
/// The most conflicts that an error names.
const MAX_CONFLICTS: usize = 50;

/// An account and the values at its names.
#[derive(Debug, Clone)]
pub struct MovedAccount {
    /// The account.
    pub account: Account,
    /// The values of each name, each kind newest first.
    pub values: Vec<(Owner, Vec<LiveValue>, Vec<PersistentValue>)>,
}

/// What moves, one by one.
#[derive(Debug, Clone)]
pub enum Moved {
    /// An account.
    Account(Box<MovedAccount>),
    /// An enrolment token.
    Enrolment(SecretHash, Enrolment),
    /// A client's stored credentials, sealed.
    Stored {
        /// The hash of the secret that opens them.
        holder: SecretHash,
        /// The domain.
        domain: Name,
        /// The sealed text.
        sealed: Vec<u8>,
    },
    /// A chosen label of a removed account.
    Buried(Owner, Timestamp),
}

/// Items that move, each with its line in the file.
#[derive(Debug, Clone, Default)]
pub struct Transfer {
    /// The items.
    pub items: Vec<(usize, Moved)>,
    /// Leaves items behind that are in conflict with what is here, rather than refusing all.
    pub skips_conflicts: bool,
    /// Changes nothing.
    pub is_rehearsal: bool,
}

/// What a transfer has done, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Accounts that are new here.
    pub accounts: usize,
    /// Items that are here already.
    pub known: usize,
    /// Values that are new here.
    pub values: usize,
    /// Enrolment tokens that are new here.
    pub enrolments: usize,
    /// Stored credentials that are new here.
    pub stored: usize,
    /// What stays behind: the line, and why.
    pub left: Vec<(usize, String)>,
}

/// Why nothing has moved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransferError {
    /// The first items that are in conflict with what is here, by line.
    #[error("{} items are in conflict with what is here", .0.len())]
    Conflicts(Vec<(usize, String)>),
    /// Undoes a rehearsal.
    #[error("this was a rehearsal")]
    Rehearsed(TransferReport),
}

/// Why one item does not move.
enum Stop {
    Conflict(String),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Publisher {
    /// Shows what moves: the accounts that are named, or everything. One moment's state. Blocks.
    pub fn each_moved<E: From<StoreError>>(
        &self,
        accounts: &[Username],
        mut visit: impl FnMut(Moved) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let mut shown = |moved: Moved| {
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

    /// Takes over what moves in, in one transaction. What is here already stays as it is, so that a repetition changes
    /// nothing.
    pub async fn transfer(&self, actor: Actor, transfer: Transfer) -> Result<TransferReport, Abort<TransferError>> {
        let inner = self.0.clone();
        let transfer = Arc::new(transfer);
        let operation = move |tx: &Tx<'_>| {
            let report = inner.take_over_all(tx, &transfer)?;
            if transfer.is_rehearsal { Err(Abort::Refused(TransferError::Rehearsed(report))) } else { Ok(report) }
        };
        match self.write(actor, operation).await {
            Err(Abort::Refused(TransferError::Rehearsed(report))) => Ok(report),
            Ok(report) => {
                let TransferReport { accounts, known, values, enrolments, stored, .. } = report;
                info!(accounts, known, values, enrolments, stored, %actor, "moved in from another server");
                Ok(report)
            }
            refused => refused,
        }
    }
}

fn everything(
    rows: &Rows<'_>,
    now: Timestamp,
    shown: &mut impl FnMut(Moved) -> Result<(), StoreError>,
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
    rows.each_enrolment(|hash, enrolment| shown(Moved::Enrolment(hash, enrolment)))?;
    rows.each_stored(|holder, domain, sealed| shown(Moved::Stored { holder, domain, sealed }))?;
    rows.each_buried(|owner, removed| shown(Moved::Buried(owner, removed)))
}

/// Shows an account. A deleted one stays, and whoever else may get its labels would answer for the CNAMEs that still lead
/// to them, so those that were chosen move as labels of a removed account.
fn show(
    rows: &Rows<'_>,
    account: Account,
    now: Timestamp,
    shown: &mut impl FnMut(Moved) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if let AccountStatus::Deleted { .. } = account.status {
        let mut chosen = account.owners.into_iter().filter(is_chosen);
        return chosen.try_for_each(|owner| shown(Moved::Buried(owner, now)));
    }
    shown(moved(rows, account)?)
}

fn moved(rows: &Rows<'_>, account: Account) -> Result<Moved, StoreError> {
    let mut values = Vec::new();
    for owner in &account.owners {
        let Some(row) = rows.owner(owner)? else { continue };
        let stored = rows.values(row.id)?;
        let challenges = stored.challenges.into_iter().map(|stored| stored.value).collect();
        let persistent = stored.persistent.into_iter().map(|stored| stored.value).collect();
        values.push((owner.clone(), challenges, persistent));
    }
    Ok(Moved::Account(Box::new(MovedAccount { account, values })))
}

impl Inner {
    fn take_over_all(&self, tx: &Tx<'_>, transfer: &Transfer) -> Result<TransferReport, Abort<TransferError>> {
        let mut report = TransferReport::default();
        let mut conflicts = Vec::new();
        for (line, moved) in &transfer.items {
            match self.take_over(tx, *line, moved, &mut report) {
                Ok(()) => {}
                Err(Stop::Store(error)) => return Err(error.into()),
                Err(Stop::Conflict(why)) if transfer.skips_conflicts => report.left.push((*line, why)),
                Err(Stop::Conflict(why)) => conflicts.push((*line, why)),
            }
            if conflicts.len() == MAX_CONFLICTS {
                break;
            }
        }
        if conflicts.is_empty() { Ok(report) } else { Err(Abort::Refused(TransferError::Conflicts(conflicts))) }
    }

    /// Takes one item over. Finds conflicts before it writes anything.
    fn take_over(&self, tx: &Tx<'_>, line: usize, moved: &Moved, report: &mut TransferReport) -> Result<(), Stop> {
        match moved {
            Moved::Account(moved) => self.take_over_account(tx, line, moved, report),
            Moved::Enrolment(hash, enrolment) => take_over_enrolment(tx, hash, enrolment, report),
            Moved::Stored { holder, domain, sealed } => take_over_stored(tx, holder, domain, sealed, report),
            Moved::Buried(owner, removed) => {
                if tx.owner(owner)?.is_none() {
                    tx.bury(owner, *removed)?;
                }
                Ok(())
            }
        }
    }

    fn take_over_account(
        &self,
        tx: &Tx<'_>,
        line: usize,
        moved: &MovedAccount,
        report: &mut TransferReport,
    ) -> Result<(), Stop> {
        let account = &moved.account;
        match tx.account(account.username)? {
            Some(here) => {
                if let Some(missing) = account.owners.iter().find(|owner| !here.owns(owner)) {
                    return Err(Stop::Conflict(format!(
                        "account {} is here already, without the name {missing}; add the name here first, or leave the \
                         account out",
                        account.username
                    )));
                }
                report.known += 1;
            }
            None => {
                account.owners.iter().try_for_each(|owner| self.check_free(tx, owner))?;
                insert(tx, &self.with_usable_aliases(account, line, report))?;
                report.accounts += 1;
            }
        }
        for (owner, challenges, persistent) in &moved.values {
            report.values += self.take_over_values(tx, line, owner, challenges, persistent, report)?;
        }
        Ok(())
    }

    /// The account without the aliases that it could not be given here; those stay behind.
    fn with_usable_aliases(&self, account: &Account, line: usize, report: &mut TransferReport) -> Account {
        let zones = self.zones.load();
        let mut account = account.clone();
        account.aliases.retain(|own| {
            let why = match zone_of(&zones, own.alias.name().as_ref()) {
                _ if own.owner.above().is_some() => format!("{} exists only while it holds values", own.owner),
                Some(zone) => format!("it lies in the zone {} of this server", zone.name),
                None => return true,
            };
            report.left.push((line, format!("the alias {} stays behind: {why}", own.alias)));
            false
        });
        account
    }

    /// Whether a name may become an account's here.
    fn check_free(&self, tx: &Tx<'_>, owner: &Owner) -> Result<(), Stop> {
        let zones = self.zones.load();
        let why = match zone_named(&zones, &owner.zone) {
            None => Some(format!("this server has no zone {}; add it to the configuration", owner.zone)),
            Some(zone) if is_static(zone, owner.label.as_str()) => {
                Some(format!("the configuration has records at {owner}; take them out"))
            }
            Some(_) => match tx.owner(owner)?.map(|row| row.account) {
                Some(Some((who, _))) => Some(format!("{owner} belongs to the account {who} here")),
                Some(None) => Some(format!("{owner} belongs to the daemon here")),
                None if tx.is_buried(owner)? => {
                    Some(format!("{owner} belonged to a removed account here, and is never given again"))
                }
                None => None,
            },
        };
        why.map_or(Ok(()), |why| Err(Stop::Conflict(why)))
    }

    /// Publishes the values that are not here yet, and are live. Returns how many.
    fn take_over_values(
        &self,
        tx: &Tx<'_>,
        line: usize,
        owner: &Owner,
        challenges: &[LiveValue],
        persistent: &[PersistentValue],
        report: &mut TransferReport,
    ) -> Result<usize, Stop> {
        let Some(row) = tx.owner(owner)? else { return Ok(0) };
        let here = tx.values(row.id)?;
        let now = tx.now();
        let is_new = |value: &&LiveValue| !here.challenges.iter().any(|stored| stored.value.txt == value.txt);
        let new: Vec<LiveValue> =
            challenges.iter().filter(|value| value.is_live(now.running)).filter(is_new).copied().collect();
        let is_new = |value: &&PersistentValue| !here.persistent.iter().any(|stored| stored.value.value == value.value);
        let mut standing: Vec<&PersistentValue> =
            persistent.iter().filter(|value| value.is_live(now.running)).filter(is_new).collect();
        let room = if self.limits.persist { MAX_PERSISTENT.saturating_sub(here.persistent.len()) } else { 0 };
        if standing.len() > room {
            report.left.push((line, self.persistent_left_behind(owner)));
            standing.truncate(room);
        }
        // The oldest first: a later row is newer.
        for value in new.iter().rev() {
            let published = value.published.min(now.date);
            tx.put_value(row.id, &LiveValue { published, ..*value }, now.running_of(published))?;
        }
        for value in standing.iter().rev() {
            // A time ahead of the clock here would set the clock of the next start.
            let published = value.published.min(now.date);
            let value = PersistentValue { published, ..PersistentValue::clone(value) };
            tx.put_persistent(row.id, &value, now.running_of(published))?;
        }
        if new.len() + standing.len() > 0 {
            self.settle(tx, &row, owner, Action::Import)?;
        }
        Ok(new.len() + standing.len())
    }

    fn persistent_left_behind(&self, owner: &Owner) -> String {
        let why = if self.limits.persist {
            format!("a name has at most {MAX_PERSISTENT}; retire some here, and import again")
        } else {
            "this server publishes none (`persist` in [values])".to_owned()
        };
        format!("persistent authorizations at {owner} stay behind: {why}")
    }
}

/// Stores an account that is new here.
fn insert(tx: &Tx<'_>, account: &Account) -> Result<(), StoreError> {
    tx.insert_account(account)?;
    // The row has more columns than a new account fills.
    tx.update_account(account)?;
    if let Some(at) = account.last_update {
        tx.published_at(account.username, at)?;
    }
    for owner in &account.owners {
        let row: Option<OwnerRow> = tx.owner(owner)?;
        let is_served = row.is_some_and(|row| row.is_served());
        let state = if is_served { OwnerState::Empty } else { OwnerState::Disabled };
        tx.record_owner(Action::Import, owner.clone(), Some(state))?;
    }
    for own in &account.aliases {
        tx.record(Action::Import, Subject::AliasAdded(own.alias.clone()));
    }
    tx.record_account(Action::Import, account.username, Some(account.clone()));
    Ok(())
}

fn take_over_enrolment(
    tx: &Tx<'_>,
    hash: &SecretHash,
    enrolment: &Enrolment,
    report: &mut TransferReport,
) -> Result<(), Stop> {
    if tx.enrolment_of(hash)?.is_some() {
        report.known += 1;
        return Ok(());
    }
    if tx.count_enrolments()? >= MAX_ENROLMENTS {
        return Err(Stop::Conflict(format!("there are {MAX_ENROLMENTS} enrolment tokens here; revoke some")));
    }
    tx.insert_moved_enrolment(hash, enrolment)?;
    report.enrolments += 1;
    Ok(())
}

fn take_over_stored(
    tx: &Tx<'_>,
    holder: &SecretHash,
    domain: &Name,
    sealed: &[u8],
    report: &mut TransferReport,
) -> Result<(), Stop> {
    match tx.stored(holder, domain)? {
        Some(here) if here == sealed => report.known += 1,
        Some(_) => {
            return Err(Stop::Conflict(format!(
                "the same client stores other credentials for {domain} here; delete them here first"
            )));
        }
        None if tx.count_stored(holder)? >= MAX_STORED => {
            return Err(Stop::Conflict(format!("one secret stores at most {MAX_STORED} accounts here")));
        }
        None => {
            tx.put_stored(holder, domain, sealed)?;
            report.stored += 1;
        }
    }
    Ok(())
}
