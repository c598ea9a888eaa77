//! Queries that are kept for days, in a SQLite file of their own beside the database: neither the write path nor its
//! fsyncs know of it.
//!
//! A thread writes what the query log hands over, in one transaction a batch. The file is worth less than the database:
//! `synchronous=NORMAL`, so that a power failure loses what came after the last checkpoint, and a file that cannot be used
//! only means that queries are in memory alone.

mod file;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::metrics::Metrics;
use crate::model::time::Clock;

use super::StoreError;
use super::files::with_suffix;

pub use file::ArchivedRow;

use file::ArchiveFile;

/// What the name of the file has beyond that of the database.
pub const SUFFIX: &str = ".queries";
/// Batches that wait for the disk; the queries of one more are lost.
const QUEUE: usize = 8;
/// Readers at a time: with a disk that hangs, no more threads hang than these.
const READERS: usize = 8;
/// How long after a failure the file is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How often queries are looked for whose time is over, and how often removals to stay within the size are logged.
const REMOVAL_ROUND: Duration = Duration::from_secs(600);
/// Removed owners that wait for a file that cannot be written. What remains of those past them goes by age.
const OWED: usize = 100_000;
/// How long a stop waits for the disk.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// For how long, as the daemon runs.
    pub time: Duration,
    /// Bytes of the file, its WAL left out. Beyond them the oldest queries go.
    pub bytes: u64,
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    /// Owners that exist no more. Their queries go first.
    pub removed: Vec<String>,
    pub queries: Vec<ArchivedRow>,
}

enum Message {
    Batch(Batch),
    Stop,
}

/// The file, and the thread that writes it.
#[derive(Debug)]
pub struct QueryArchive {
    path: PathBuf,
    queue: SyncSender<Message>,
    /// Closed once the thread has ended.
    end: Mutex<Receiver<()>>,
    readers: AtomicUsize,
    is_behind: AtomicBool,
}

impl QueryArchive {
    /// Starts the thread that opens or creates the file beside `database`, and writes it. Never waits for the disk.
    pub fn start(database: &Path, limits: ArchiveLimits, clock: Clock, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let path = with_suffix(database, SUFFIX);
        let (queue, messages) = sync_channel(QUEUE);
        let (running, end) = sync_channel(0);
        let now = Instant::now();
        let owed = Vec::new();
        let mut thread = ArchiveThread {
            path: path.clone(),
            limits,
            clock,
            metrics,
            file: None,
            is_failing: false,
            next_try: now,
            next_removal: now,
            owed,
            surplus: 0,
        };
        std::thread::Builder::new().name("query-archive".into()).spawn(move || {
            let _running: SyncSender<()> = running;
            thread.run(&messages);
        })?;
        let (readers, is_behind) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Self { path, queue, end: Mutex::new(end), readers, is_behind })
    }

    /// Hands a batch over. Returns it where too many wait for the disk. Never waits.
    pub fn offer(&self, batch: Batch) -> Result<(), Batch> {
        let refused = self.queue.try_send(Message::Batch(batch)).err();
        let was_behind = self.is_behind.swap(refused.is_some(), Ordering::Relaxed);
        match refused {
            Some(TrySendError::Full(Message::Batch(batch))) => {
                if !was_behind {
                    warn!("{}: the disk does not keep up, so some queries are in memory alone", self.path.display());
                }
                Err(batch)
            }
            Some(_) => Err(Batch::default()),
            None => Ok(()),
        }
    }

    /// The last queries of these owners since a moment in milliseconds since 1970, at most `limit`, in no order. Blocks.
    ///
    /// Fails where the file cannot be read, and where too many read already.
    pub fn read(&self, owners: &[String], since: u64, limit: usize) -> Result<Vec<ArchivedRow>, StoreError> {
        let _reader = Reader::of(&self.readers).ok_or(StoreError::Overloaded)?;
        let mut found = file::read(&self.path, owners, since, limit)?;
        found.sort_by_key(|row| std::cmp::Reverse(row.until));
        found.truncate(limit);
        Ok(found)
    }

    /// Writes what waits, and closes the file. Waits for the disk, but not for one that hangs.
    pub fn stop(&self) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + LAST_WRITE;
        // A full queue empties, unless the disk hangs.
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Stop) {
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if end.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            warn!("{}: the disk hangs, so the last queries are not kept", self.path.display());
        }
    }
}

/// One of the readers.
struct Reader<'a>(&'a AtomicUsize);

impl<'a> Reader<'a> {
    fn of(count: &'a AtomicUsize) -> Option<Self> {
        let reader = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < READERS).then_some(reader)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct ArchiveThread {
    path: PathBuf,
    limits: ArchiveLimits,
    clock: Clock,
    metrics: Arc<Metrics>,
    file: Option<ArchiveFile>,
    is_failing: bool,
    next_try: Instant,
    next_removal: Instant,
    /// Owners whose queries are still to be removed.
    owed: Vec<String>,
    /// Queries removed to stay within the size, of which the log does not tell yet.
    surplus: usize,
}

impl ArchiveThread {
    fn run(&mut self, messages: &Receiver<Message>) {
        self.keep(Batch::default());
        loop {
            let pause = if self.is_failing { RETRY } else { REMOVAL_ROUND };
            match messages.recv_timeout(pause) {
                Ok(Message::Batch(batch)) => self.keep(batch),
                Err(RecvTimeoutError::Timeout) => self.keep(Batch::default()),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.tell_surplus();
    }

    fn keep(&mut self, batch: Batch) {
        let Batch { removed, queries } = batch;
        self.owed.extend(removed);
        self.owed.truncate(OWED);
        let is_too_early = self.is_failing && Instant::now() < self.next_try;
        let written = if is_too_early { None } else { Some(self.write(&queries)) };
        match written {
            Some(Ok(())) => {
                if std::mem::take(&mut self.is_failing) {
                    info!("{}: queries are kept again", self.path.display());
                }
                self.remove();
            }
            Some(Err(error)) => {
                self.metrics.queries_not_kept.add(queries.len() as u64);
                self.failed(&error);
            }
            None => self.metrics.queries_not_kept.add(queries.len() as u64),
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.file = None;
        self.next_try = Instant::now() + RETRY;
        if !std::mem::replace(&mut self.is_failing, true) {
            let path = self.path.display();
            let cause = match error {
                StoreError::Corrupt(text) => format!("it is damaged ({text}); delete it, and a new one is created"),
                other => other.to_string(),
            };
            error!("{path}: queries cannot be kept, and are in memory alone: {cause}");
        }
    }

    fn write(&mut self, queries: &[ArchivedRow]) -> Result<(), StoreError> {
        // A file that was deleted or replaced would swallow everything.
        if self.file.as_ref().is_some_and(|file| !file.is_in_place(&self.path)) {
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            closed => closed.insert(ArchiveFile::open(&self.path)?),
        };
        file.write(&self.owed, queries, self.clock.running()).map_err(|error| error.of(&self.path))?;
        self.owed.clear();
        Ok(())
    }

    /// Removes what is too old, from time to time, and what is too much.
    fn remove(&mut self) {
        let removed = self.remove_some();
        if let Err(error) = removed {
            self.failed(&error.of(&self.path));
        }
    }

    fn remove_some(&mut self) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.surplus += file.remove_surplus(self.limits.bytes)?;
        if Instant::now() < self.next_removal {
            return Ok(());
        }
        self.next_removal = Instant::now() + REMOVAL_ROUND;
        let old = file.remove_stored_before(self.clock.running().minus(self.limits.time))?;
        if old > 0 {
            info!(queries = old, "{}: queries removed, their time is over", self.path.display());
        }
        self.tell_surplus();
        Ok(())
    }

    fn tell_surplus(&mut self) {
        let surplus = std::mem::take(&mut self.surplus);
        if surplus > 0 {
            info!(queries = surplus, "{}: the oldest queries removed, the file is at its limit", self.path.display());
        }
    }
}
