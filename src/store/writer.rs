//! The one writer: a thread that commits whatever waits as one transaction with one fsync.
//!
//! An operation is a closure that runs inside the transaction and records the `Change`s that it makes. After the commit
//! the zones apply them, then the listener and the subscribers hear of them, and only then do the callers.

mod transaction;

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::error;

use crate::metrics::Metrics;
use crate::model::account::{Account, Username};
use crate::model::actor::Actor;
use crate::model::time::Clock;
use crate::zone::Zones;
use crate::zone::change::{ChangeStream, Subscription};

use super::health::Health;
use super::{Rows, Store, StoreError, abandon};

pub use transaction::Tx;

use transaction::{Group, Recorded};

/// The most operations that wait; one more is refused with [`StoreError::Overloaded`].
const QUEUE: usize = 4_096;
/// The most operations in one transaction, so that the first of them is not kept waiting.
const GROUP: usize = 256;

/// Why an operation has changed nothing.
#[derive(Debug, Clone, Error)]
pub enum Abort<R: std::error::Error> {
    /// The store could not write or read.
    #[error(transparent)]
    Store(StoreError),
    /// The rules of the operation forbid it.
    #[error(transparent)]
    Refused(R),
}

impl<R: std::error::Error> From<StoreError> for Abort<R> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Abort<Infallible>> for StoreError {
    /// Where no rule refuses, only the store can fail.
    fn from(abort: Abort<Infallible>) -> Self {
        match abort {
            Abort::Store(error) => error,
            Abort::Refused(never) => match never {},
        }
    }
}

/// What hears of every account that a commit has changed, before the commit is acknowledged: nothing that memory holds
/// of the account outlives the change. `None`: the account is removed.
pub type AccountListener = Box<dyn Fn(Username, Option<Account>) + Send + Sync>;

/// Sends changes to the writer thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: SyncSender<Message>,
    /// Lives as long as the thread does.
    thread: Weak<()>,
    health: Arc<Health>,
    changes: ChangeStream,
}

/// Ends the writer thread, and waits for it.
#[derive(Debug)]
pub struct WriterThread {
    queue: SyncSender<Message>,
    thread: JoinHandle<()>,
}

impl WriterThread {
    /// Writes what waits, then closes the database. Blocks.
    pub fn stop(self) {
        // A thread that has ended already needs no telling.
        _ = self.queue.send(Message::Stop);
        if self.thread.join().is_err() {
            error!("the writer thread had panicked");
        }
    }
}

impl Writer {
    /// Opens the writing connection, if the database can be written, and starts the thread.
    pub fn start(
        store: Arc<Store>,
        zones: Zones,
        clock: Clock,
        metrics: Arc<Metrics>,
        accounts: AccountListener,
    ) -> Result<(Self, WriterThread), StoreError> {
        let changes = ChangeStream::default();
        let (queue, messages) = sync_channel(QUEUE);
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let health = store.health.clone();
        let mut core =
            Core { connection: None, store, zones, clock, metrics, accounts, changes: changes.clone(), _alive: alive };
        if core.store.is_writable() {
            core.connection = Some(core.store.connect()?);
        }
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || core.run(&messages))
            .map_err(|error| StoreError::Sqlite(format!("cannot start the writer thread: {error}")))?;
        Ok((Self { queue: queue.clone(), thread: weak, health, changes }, WriterThread { queue, thread }))
    }

    /// Whether the thread is there. It may wait for the disk for as long as that takes: DNS goes on meanwhile.
    pub fn is_alive(&self) -> bool {
        self.thread.strong_count() > 0
    }

    /// A subscription to the changes of all commits from now on.
    pub fn subscribe(&self) -> Subscription {
        self.changes.subscribe()
    }

    /// Makes an operation durable, then visible, then returns what it gives.
    ///
    /// `operation` runs inside the group's transaction, and runs again if that has to be repeated. One that returns an
    /// error leaves no trace. Fails at once where 4,096 operations wait already, and where the disk is stalled.
    pub async fn write<T, R>(
        &self,
        actor: Actor,
        operation: impl FnMut(&Tx<'_>) -> Result<T, Abort<R>> + Send + 'static,
    ) -> Result<T, Abort<R>>
    where
        T: Send + 'static,
        R: std::error::Error + Send + 'static,
    {
        self.write_then(actor, operation, |_| {}).await
    }

    /// The same. `committed` runs after the commit, before the zones apply the changes of its group.
    pub async fn write_then<T, R>(
        &self,
        actor: Actor,
        operation: impl FnMut(&Tx<'_>) -> Result<T, Abort<R>> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Abort<R>>
    where
        T: Send + 'static,
        R: std::error::Error + Send + 'static,
    {
        self.health.writing.is_running_well()?;
        let (reply, outcome) = oneshot::channel();
        let work = Work { actor, operation, committed: Some(committed), outcome: None, reply: Some(reply) };
        self.queue.try_send(Message::Operation(Box::new(work))).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Stopped,
        })?;
        outcome.await.unwrap_or(Err(StoreError::Stopped.into()))
    }
}

enum Message {
    Operation(Box<dyn Operation>),
    Stop,
}

/// An operation whatever its types: what the thread needs of it.
trait Operation: Send {
    fn actor(&self) -> Actor;
    /// Runs inside the transaction. False: refused, and what it has written must be undone.
    fn run(&mut self, tx: &Tx<'_>) -> Result<bool, StoreError>;
    /// Runs after the commit.
    fn committed(&mut self);
    /// Tells the caller.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<T, R: std::error::Error, O, C> {
    actor: Actor,
    operation: O,
    committed: Option<C>,
    outcome: Option<Result<T, R>>,
    reply: Option<oneshot::Sender<Result<T, Abort<R>>>>,
}

impl<T, R, O, C> Operation for Work<T, R, O, C>
where
    T: Send,
    R: std::error::Error + Send,
    O: FnMut(&Tx<'_>) -> Result<T, Abort<R>> + Send,
    C: FnOnce(&T) + Send,
{
    fn actor(&self) -> Actor {
        self.actor
    }

    fn run(&mut self, tx: &Tx<'_>) -> Result<bool, StoreError> {
        let outcome = match (self.operation)(tx) {
            Ok(value) => Ok(value),
            Err(Abort::Refused(refusal)) => Err(refusal),
            Err(Abort::Store(error)) => return Err(error),
        };
        let is_accepted = outcome.is_ok();
        self.outcome = Some(outcome);
        Ok(is_accepted)
    }

    fn committed(&mut self) {
        if let (Some(Ok(value)), Some(committed)) = (&self.outcome, self.committed.take()) {
            committed(value);
        }
    }

    fn answer(mut self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (committed, self.outcome.take()) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), None) => Err(StoreError::Stopped.into()),
            (Ok(()), Some(outcome)) => outcome.map_err(Abort::Refused),
        };
        if let Some(reply) = self.reply.take() {
            // A caller that went away is not an error: the change stands.
            _ = reply.send(outcome);
        }
    }
}

/// What the thread does after a commit.
#[derive(PartialEq, Eq)]
enum Next {
    Wait,
    Stop,
}

/// What the thread owns.
struct Core {
    /// Before the store in this list: the store's files have to be closed after it. `None` until the database can be
    /// written.
    connection: Option<Connection>,
    store: Arc<Store>,
    zones: Zones,
    clock: Clock,
    metrics: Arc<Metrics>,
    accounts: AccountListener,
    changes: ChangeStream,
    _alive: Arc<()>,
}

impl Core {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(self.store.health.until_heartbeat()) {
                Ok(Message::Operation(first)) => {
                    if self.commit_with(first, messages) == Next::Stop {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.beat(),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.store.check().is_err() {
            self.connection.iter().for_each(abandon);
        }
    }

    /// Commits an operation together with those that wait behind it.
    fn commit_with(&mut self, first: Box<dyn Operation>, messages: &Receiver<Message>) -> Next {
        let mut group = vec![first];
        let mut next = Next::Wait;
        while group.len() < GROUP && next == Next::Wait {
            match messages.try_recv() {
                Ok(Message::Operation(operation)) => group.push(operation),
                Ok(Message::Stop) => next = Next::Stop,
                Err(_) => break,
            }
        }
        self.commit(group);
        next
    }

    /// Commits a group and answers each of its callers.
    fn commit(&mut self, mut group: Vec<Box<dyn Operation>>) {
        let started = Instant::now();
        match self.watched(|core| core.attempt(&mut group)) {
            Ok(recorded) => {
                group.iter_mut().for_each(|operation| operation.committed());
                self.publish(recorded);
                self.metrics.commits.took(started.elapsed());
                self.metrics.committed.add(group.len() as u64);
                group.into_iter().for_each(|operation| operation.answer(Ok(())));
            }
            Err(error) if group.len() > 1 && error.is_of_one_change() => {
                group.into_iter().for_each(|operation| self.commit(vec![operation]));
            }
            Err(error) => {
                error!(%error, changes = group.len(), "could not write; nothing of it was acknowledged");
                group.into_iter().for_each(|operation| operation.answer(Err(error.clone())));
            }
        }
    }

    /// Writes, and lets the store's health know how that goes.
    fn watched<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let store = self.store.clone();
        let running = store.health.writing.start();
        let outcome = write(self).map_err(|error| error.of(store.path()));
        drop(running);
        store.health.wrote(outcome.as_ref().map(|_| ()));
        outcome
    }

    /// Runs a group in one transaction and commits it.
    fn attempt(&mut self, group: &mut [Box<dyn Operation>]) -> Result<Recorded, StoreError> {
        // Not only after the commit: what is written to damaged files damages them further.
        self.store.check()?;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.store.connect()?),
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut open = Group::new(&transaction, &self.zones, &self.clock);
        for operation in group {
            let actor = operation.actor();
            open.run(actor, |tx| operation.run(tx))?;
        }
        let recorded = open.recorded();
        let rows = Rows::new(&transaction);
        rows.set_running_time(self.clock.running())?;
        // A commit without a change stores the running time alone: the machine's clock may be wrong.
        let at = recorded.has_changes().then(|| self.clock.commit());
        if let Some(at) = at {
            rows.set_last_commit(at)?;
        }
        transaction.commit()?;
        if let Some(at) = at {
            self.clock.committed(at);
        }
        // SQLite cannot tell that it has just written into a deleted file.
        self.store.check()?;
        Ok(recorded)
    }

    /// Finds out whether a change could be written, where none has come for a while, and stores for how long the daemon
    /// has run.
    fn beat(&mut self) {
        // The store's health keeps the outcome.
        _ = self.watched(|core| {
            core.store.check()?;
            let connection = match &mut core.connection {
                Some(connection) => connection,
                none => none.insert(core.store.connect()?),
            };
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // The running time alone, and no date: the machine's clock may be wrong.
            Rows::new(&transaction).set_running_time(core.clock.running())?;
            transaction.commit()?;
            core.store.check()
        });
    }

    /// Makes a commit visible: first in DNS, then to those who must forget, then to the subscribers.
    fn publish(&self, recorded: Recorded) {
        self.zones.apply(&recorded.changes);
        self.store.publications.note(&recorded.published);
        for (username, account) in recorded.accounts {
            (self.accounts)(username, account);
        }
        self.changes.send(recorded.changes);
    }
}
