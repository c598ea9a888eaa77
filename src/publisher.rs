//! The write path, and its only writer: register, publish, retire, expire, rotate, disable, delete.
//!
//! Each operation is a closure that runs inside the store's transaction, where the rules of ownership are decided on
//! durable data. It records what it changes; after the commit the zones apply that, and only then does the caller hear
//! of it.

mod accounts;
mod admin_tokens;
mod apex;
mod client_storage;
mod enrolments;
mod error;
mod import;
mod limits;
mod managed;
mod names;
mod persist;
mod registration;
#[cfg(test)]
mod tests;
mod transfer;
mod upkeep;
mod values;
mod zones;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::config::ValueLimits;
use crate::metrics::Metrics;
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::model::time::{Behind, Clock, Moment, Timestamp};
use crate::model::txt::LiveValue;
use crate::store::writer::{Tx, Writer};
use crate::store::{Rows, Store, StoreError};
use crate::zone::change::Subscription;
use crate::zone::owner_state::OwnerState;
use crate::zone::{Zones, zone_named};

pub use crate::store::writer::Abort;
pub use accounts::AccountEdit;
pub use error::{
    AccessError, AccountError, AdminTokenError, AliasChangeError, BulkError, ClientStorageError, EnrolmentError,
    OwnerError, PersistError, ValueError,
};
pub use import::ImportPlan;
pub use limits::{MAX_ACME_ACCOUNTS, MAX_ENROLMENTS, MAX_PERSISTENT, MAX_STORED};
pub use names::{Choice, OwnerRequest};
pub use registration::Registration;
pub use transfer::{Transfer, TransferError, TransferItem, TransferReport, TransferredAccount};
pub use values::{AppliedPlan, Condition, Expected, ValueEdit, ValuePlan};
pub use zones::{LoadError, load};

/// A handle to the write path. Cheap to clone.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    writer: Writer,
    zones: Zones,
    clock: Clock,
    limits: ValueLimits,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("store", &self.0.store.path()).finish_non_exhaustive()
    }
}

impl Publisher {
    /// A handle that writes through `writer`, and applies `limits` to all values.
    pub fn new(
        store: Arc<Store>,
        writer: Writer,
        zones: Zones,
        clock: Clock,
        limits: ValueLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Inner { store, writer, zones, clock, limits, metrics }))
    }

    /// The zones.
    pub fn zones(&self) -> &Zones {
        &self.0.zones
    }

    /// The date, by the machine's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The date, and the time that the daemon has run.
    pub fn moment(&self) -> Moment {
        self.0.clock.moment()
    }

    /// A subscription to every change that is committed from now on.
    pub fn subscribe(&self) -> Subscription {
        self.0.writer.subscribe()
    }

    /// The store, to read from. Reading blocks for microseconds, or as long as the disk stalls: async callers use
    /// [`read`](Self::read).
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Reads from the store off the async threads: a disk that stalls must not stall DNS over TCP, which shares them.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Rows<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.0.store.clone();
        // An error says that the runtime ends.
        tokio::task::spawn_blocking(move || store.read(query)).await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Whether the machine's clock can be believed, as signing asks it to be.
    pub fn machine_clock(&self) -> Result<Timestamp, Behind> {
        self.0.clock.wall()
    }

    /// Takes the operator's word that the machine's clock is right, and was ahead when the last change was stored: from
    /// now on the daemon believes it, also after the next start. Returns how far it was behind, if it was.
    pub async fn trust_clock(&self, actor: Actor) -> Result<Option<Behind>, StoreError> {
        let Err(behind) = self.machine_clock() else { return Ok(None) };
        let clock = self.0.clock.clone();
        let trusted = self.write_freely(actor, move |tx| {
            // Changes of the same group are dated after this.
            clock.committed(behind.clock);
            tx.set_last_commit(behind.clock)
        });
        match trusted.await {
            Ok(()) => Ok(Some(behind)),
            Err(error) => {
                self.0.clock.committed(behind.last_commit);
                Err(error)
            }
        }
    }

    /// The values that are served at an owner now, newest first; from memory.
    pub fn values(&self, owner: &Owner) -> Vec<LiveValue> {
        let now = self.moment().running;
        let state = self.0.state(owner).unwrap_or(OwnerState::Empty);
        state.values().iter().copied().filter(|value| value.is_live(now)).collect()
    }

    /// Runs an operation that the rules may refuse.
    async fn write<T, R>(
        &self,
        actor: Actor,
        operation: impl FnMut(&Tx<'_>) -> Result<T, Abort<R>> + Send + 'static,
    ) -> Result<T, Abort<R>>
    where
        T: Send + 'static,
        R: std::error::Error + Send + 'static,
    {
        self.0.writer.write(actor, operation).await
    }

    /// Runs an operation that no rule refuses.
    async fn write_freely<T: Send + 'static>(
        &self,
        actor: Actor,
        mut operation: impl FnMut(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let operation = move |tx: &Tx<'_>| operation(tx).map_err(Abort::<Infallible>::Store);
        Ok(self.write(actor, operation).await?)
    }
}

impl Inner {
    /// What is served at an owner; `None` where the name or its zone is not served.
    fn state(&self, owner: &Owner) -> Option<OwnerState> {
        let zones = self.zones.load();
        zone_named(&zones, &owner.zone)?.live.at(owner.label.below_apex().as_bytes())
    }
}
