//! The one writer: a thread that commits whatever waits as one transaction with one fsync.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;
use tracing::error;

use crate::metrics::Metrics;
use crate::model::name::ZoneName;
use crate::model::serial::Serial;
use crate::model::time::Clock;
use crate::zone::{Zones, zone_named};

use super::{Rows, Store, StoreError, connect};

/// The most changes that wait; one more is refused with [`StoreError::Overloaded`].
const QUEUE: usize = 4_096;
/// The most changes in one transaction, so that the first of them is not kept waiting.
const GROUP: usize = 256;

/// A group's open transaction, as one change sees it.
#[derive(Debug)]
pub struct Tx<'t> {
    rows: Rows<'t>,
    touched: &'t Mutex<BTreeSet<ZoneName>>,
}

impl Tx<'_> {
    /// Says that a zone's content changes: its serial rises once with the commit.
    pub fn touch(&self, zone: &ZoneName) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone());
    }
}

impl<'t> Deref for Tx<'t> {
    type Target = Rows<'t>;

    fn deref(&self) -> &Rows<'t> {
        &self.rows
    }
}

/// Sends changes to the writer thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: SyncSender<Message>,
    /// Lives as long as the thread does.
    thread: Weak<()>,
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
    /// Opens the writing connection and starts the thread.
    pub fn start(
        store: Arc<Store>,
        zones: Zones,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, WriterThread), StoreError> {
        let connection = connect(store.path())?;
        let (queue, messages) = sync_channel(QUEUE);
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let core = Core { store, connection, zones, clock, metrics, _alive: alive };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || core.run(&messages))
            .map_err(|error| StoreError::Sqlite(format!("cannot start the writer thread: {error}")))?;
        Ok((Self { queue: queue.clone(), thread: weak }, WriterThread { queue, thread }))
    }

    /// Whether the thread is there. It may wait for the disk for as long as that takes: DNS goes on meanwhile.
    pub fn is_alive(&self) -> bool {
        self.thread.strong_count() > 0
    }

    /// Makes a change durable, then visible, then returns.
    ///
    /// `change` runs inside the group's transaction, and runs again if that has to be repeated. The outer result is
    /// the store's; a refusal (`Ok(Err(_))`) leaves no trace of the change. `visible` runs after the commit, in the
    /// order of the changes. Fails at once where 4,096 changes wait already.
    pub async fn write<T, E, C, V>(&self, change: C, visible: V) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        C: FnMut(&Tx<'_>) -> Result<Result<T, E>, StoreError> + Send + 'static,
        V: FnOnce(&T) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Work { change, visible: Some(visible), outcome: None, reply: Some(reply) };
        self.queue.try_send(Message::Change(Box::new(work))).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Stopped,
        })?;
        answer.await.unwrap_or(Err(StoreError::Stopped))
    }
}

enum Message {
    Change(Box<dyn Change>),
    Stop,
}

/// A change whatever its types: what the thread needs of it.
trait Change: Send {
    /// Runs it; whether it may be kept (it was not refused).
    fn apply(&mut self, tx: &Tx<'_>) -> Result<bool, StoreError>;
    /// Shows it to DNS.
    fn make_visible(&mut self);
    /// Tells the caller.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<T, E, C, V> {
    change: C,
    visible: Option<V>,
    outcome: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<Result<T, E>, StoreError>>>,
}

impl<T, E, C, V> Change for Work<T, E, C, V>
where
    T: Send,
    E: Send,
    C: FnMut(&Tx<'_>) -> Result<Result<T, E>, StoreError> + Send,
    V: FnOnce(&T) + Send,
{
    fn apply(&mut self, tx: &Tx<'_>) -> Result<bool, StoreError> {
        let outcome = (self.change)(tx)?;
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        Ok(keep)
    }

    fn make_visible(&mut self) {
        if let (Some(Ok(value)), Some(visible)) = (&self.outcome, self.visible.take()) {
            visible(value);
        }
    }

    fn answer(mut self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = committed.and_then(|()| self.outcome.take().ok_or(StoreError::Stopped));
        if let Some(reply) = self.reply.take() {
            // A caller that went away is not an error: the change stands.
            _ = reply.send(outcome);
        }
    }
}

/// What the thread owns.
struct Core {
    store: Arc<Store>,
    connection: Connection,
    zones: Zones,
    clock: Clock,
    metrics: Arc<Metrics>,
    _alive: Arc<()>,
}

impl Core {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let Ok(Message::Change(first)) = messages.recv() else { return };
            let mut group = vec![first];
            let mut stop = false;
            while group.len() < GROUP && !stop {
                match messages.try_recv() {
                    Ok(Message::Change(next)) => group.push(next),
                    Ok(Message::Stop) => stop = true,
                    Err(_) => break,
                }
            }
            self.commit(group);
            if stop {
                return;
            }
        }
    }

    /// Commits a group and answers each of its callers.
    fn commit(&mut self, mut group: Vec<Box<dyn Change>>) {
        let started = Instant::now();
        match self.attempt(&mut group) {
            Ok(serials) => {
                group.iter_mut().for_each(|change| change.make_visible());
                self.show_serials(&serials);
                self.metrics.commits.took(started.elapsed());
                self.metrics.committed.add(group.len() as u64);
                group.into_iter().for_each(|change| change.answer(Ok(())));
            }
            Err(error) if group.len() > 1 && error.is_of_one_change() => {
                group.into_iter().for_each(|change| self.commit(vec![change]));
            }
            Err(error) => {
                error!(%error, changes = group.len(), "could not write; nothing of it was acknowledged");
                group.into_iter().for_each(|change| change.answer(Err(error.clone())));
            }
        }
    }

    /// Runs a group in one transaction, and the serials that it raises with it.
    fn attempt(&mut self, group: &mut [Box<dyn Change>]) -> Result<Vec<(ZoneName, Serial)>, StoreError> {
        let touched = Mutex::default();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in group {
            apply(&transaction, change.as_mut(), &touched)?;
        }
        let rows = Rows::new(&transaction);
        let now = self.clock.now();
        let zones = self.zones.load();
        let mut serials = Vec::new();
        for name in touched.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let Some(zone) = zone_named(&zones, &name) else { continue };
            let serial = zone.serial().next(now);
            rows.set_serial(&name, serial)?;
            serials.push((name, serial));
        }
        let at = self.clock.commit();
        rows.set_last_commit(at)?;
        transaction.commit()?;
        self.clock.committed(at);
        // SQLite cannot tell that it has just written into a deleted file.
        self.store.is_in_place()?;
        Ok(serials)
    }

    fn show_serials(&self, serials: &[(ZoneName, Serial)]) {
        let zones = self.zones.load();
        for (name, serial) in serials {
            if let Some(zone) = zone_named(&zones, name) {
                zone.live.raise_serial(*serial);
            }
        }
    }
}

/// Runs one change under a savepoint, so that a refused one leaves nothing behind.
fn apply(
    transaction: &Transaction<'_>,
    change: &mut dyn Change,
    touched: &Mutex<BTreeSet<ZoneName>>,
) -> Result<(), StoreError> {
    let run = |sql: &str| transaction.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    let own = Mutex::default();
    run("SAVEPOINT change")?;
    let keep = change.apply(&Tx { rows: Rows::new(transaction), touched: &own })?;
    if keep {
        let own = own.into_inner().unwrap_or_else(PoisonError::into_inner);
        touched.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
    } else {
        run("ROLLBACK TO change")?;
    }
    run("RELEASE change")?;
    Ok(())
}
