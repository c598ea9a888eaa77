//! A group's open transaction, and the changes that its operations record.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;

use rusqlite::Transaction;

use crate::model::account::{Account, Username};
use crate::model::actor::Actor;
use crate::model::name::{Owner, ZoneName};
use crate::model::serial::Serial;
use crate::model::time::{Clock, Moment};
use crate::zone::change::{Action, Change, Subject};
use crate::zone::owner_state::OwnerState;
use crate::zone::{Zones, zone_named};

use super::super::publication_order::Published;
use super::super::{Rows, StoreError};

/// A group's open transaction, as one operation sees it: the rows, and a record of what the operation changes.
#[derive(Debug)]
pub struct Tx<'t> {
    rows: Rows<'t>,
    actor: Actor,
    zones: &'t Zones,
    now: Moment,
    /// The serials that operations before this one have raised in the same transaction.
    raised: &'t BTreeMap<ZoneName, Serial>,
    draft: RefCell<Draft>,
}

/// What one operation has recorded so far; dropped if the operation is refused.
#[derive(Debug, Default)]
struct Draft {
    raised: BTreeMap<ZoneName, Serial>,
    recorded: Recorded,
}

/// What the operations of a group have recorded.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) changes: Vec<Change>,
    /// Accounts as the transaction has left them.
    pub(super) accounts: Vec<(Username, Option<Account>)>,
    /// Accounts that have published, or are new.
    pub(super) published: Vec<Published>,
}

impl Recorded {
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }
}

impl Tx<'_> {
    /// Who asks for the operation.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The time of the operation.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Records what an owner holds now; `None`: the name exists no more. Raises the zone's serial.
    pub fn record_owner(&self, action: Action, owner: Owner, state: Option<OwnerState>) -> Result<(), StoreError> {
        let serial = self.raise_serial(&owner.zone)?;
        self.record(action, Subject::Owner { owner, serial, state });
        Ok(())
    }

    /// Records that a zone's configured records or keys change. Raises its serial.
    pub fn record_zone(&self, action: Action, zone: &ZoneName) -> Result<(), StoreError> {
        let serial = self.raise_serial(zone)?;
        self.record(action, Subject::Zone { zone: zone.clone(), serial });
        Ok(())
    }

    /// Records that an account has changed; `account` is the account as it is stored now.
    pub fn record_account(&self, action: Action, username: Username, account: Option<Account>) {
        self.record(action, Subject::Account(username));
        self.draft.borrow_mut().recorded.accounts.push((username, account));
    }

    /// Records any other change.
    pub fn record(&self, action: Action, subject: Subject) {
        let change = Change { subject, actor: self.actor, action, at: self.now.date };
        self.draft.borrow_mut().recorded.changes.push(change);
    }

    /// Raises a zone's serial, once in a transaction, and stores it.
    fn raise_serial(&self, zone: &ZoneName) -> Result<Serial, StoreError> {
        let raised = self.raised.get(zone).or(self.draft.borrow().raised.get(zone)).copied();
        if let Some(serial) = raised {
            return Ok(serial);
        }
        let stored = self.rows.serial(zone)?.unwrap_or(Serial(0));
        // Ahead of the stored one where it rose while nothing could be stored.
        let served = zone_named(&self.zones.load(), zone).map_or(stored, |zone| zone.serial());
        let serial = if served.is_after(stored) { served } else { stored }.next(self.now.date);
        self.rows.set_serial(zone, serial)?;
        self.draft.borrow_mut().raised.insert(zone.clone(), serial);
        Ok(serial)
    }
}

impl<'t> Deref for Tx<'t> {
    type Target = Rows<'t>;

    fn deref(&self) -> &Rows<'t> {
        &self.rows
    }
}

/// The open transaction of a group.
pub(super) struct Group<'t> {
    transaction: &'t Transaction<'t>,
    zones: &'t Zones,
    clock: &'t Clock,
    raised: BTreeMap<ZoneName, Serial>,
    recorded: Recorded,
}

impl<'t> Group<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>, zones: &'t Zones, clock: &'t Clock) -> Self {
        Self { transaction, zones, clock, raised: BTreeMap::new(), recorded: Recorded::default() }
    }

    /// Runs one operation under a savepoint, so that a refused one (`Ok(false)`) leaves nothing behind.
    pub(super) fn run(
        &mut self,
        actor: Actor,
        operation: impl FnOnce(&Tx<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.execute("SAVEPOINT operation")?;
        let tx = Tx {
            rows: Rows::new(self.transaction),
            actor,
            zones: self.zones,
            now: self.clock.moment(),
            raised: &self.raised,
            draft: RefCell::default(),
        };
        let is_accepted = operation(&tx)?;
        let published = tx.rows.published();
        let Draft { raised, recorded } = tx.draft.into_inner();
        if is_accepted {
            self.raised.extend(raised);
            self.recorded.changes.extend(recorded.changes);
            self.recorded.accounts.extend(recorded.accounts);
            self.recorded.published.extend(published);
        } else {
            self.execute("ROLLBACK TO operation")?;
        }
        self.execute("RELEASE operation")
    }

    pub(super) fn recorded(self) -> Recorded {
        self.recorded
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.transaction.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
