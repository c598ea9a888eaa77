//! What moves in, item by item: conflicts with what is here, and what stays behind.

use std::sync::Arc;

use tracing::info;

use crate::model::account::Account;
use crate::model::actor::Actor;
use crate::model::enrolment::Enrolment;
use crate::model::name::{Name, Owner};
use crate::model::secret::SecretHash;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::store::writer::Tx;
use crate::store::{OwnerRow, StoreError};
use crate::zone::change::{Action, Subject};
use crate::zone::owner_state::OwnerState;
use crate::zone::{is_static, zone_named, zone_of};

use super::super::limits::{MAX_ENROLMENTS, MAX_PERSISTENT, MAX_STORED};
use super::super::{Abort, Inner, Publisher};
use super::{Transfer, TransferError, TransferItem, TransferReport, TransferredAccount};

/// The most conflicts that an error names.
const MAX_CONFLICTS: usize = 50;

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
    fn take_over(
        &self,
        tx: &Tx<'_>,
        line: usize,
        moved: &TransferItem,
        report: &mut TransferReport,
    ) -> Result<(), Stop> {
        match moved {
            TransferItem::Account(moved) => self.take_over_account(tx, line, moved, report),
            TransferItem::Enrolment(hash, enrolment) => take_over_enrolment(tx, hash, enrolment, report),
            TransferItem::Stored { holder, domain, sealed } => take_over_stored(tx, holder, domain, sealed, report),
            TransferItem::Tombstone(owner, removed) => {
                if tx.owner(owner)?.is_none() {
                    tx.insert_tombstone(owner, *removed)?;
                }
                Ok(())
            }
        }
    }

    fn take_over_account(
        &self,
        tx: &Tx<'_>,
        line: usize,
        moved: &TransferredAccount,
        report: &mut TransferReport,
    ) -> Result<(), Stop> {
        let account = &moved.account;
        let here = tx.account(account.username)?;
        let is_new = here.is_none();
        match here {
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
        let mut values = 0;
        for (owner, challenges, persistent) in &moved.values {
            values += self.take_over_values(tx, line, owner, challenges, persistent, report)?;
        }
        report.values += values;
        // The change of an account follows those of its names.
        if is_new || values > 0 {
            tx.record_account(Action::Import, account.username, tx.account(account.username)?);
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
                None if tx.has_tombstone(owner)? => {
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
