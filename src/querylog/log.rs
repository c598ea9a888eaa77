//! The query log itself: a handle for those who ask, and the task that fills it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::error;

use crate::config::QueryLogSettings;
use crate::metrics::Metrics;
use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::{Clock, PreciseTimestamp};
use crate::net::own_sockets;
use crate::store::query_archive::{ArchiveLimits, QueryArchive};
use crate::zone::change::{Commit, Event, Subject, Subscription};
use crate::zone::{Zone, Zones, zone_named};

use super::archive::Archive;
use super::evidence::{LoggedQuery, OwnerEvidence};
use super::follow::{Followers, QueryStream, TooManyFollowers};
use super::kept_value::OwnerChange;
use super::logged::NewQuery;
use super::queue::{Buffer, Missed, ONE_THREAD, Queue, SHARED};
use super::recorder::Recorder;
use super::suspects::{Suspects, UnexpectedValidation};
use super::table::{LastAnswer, Present, QueryTable, TableLimits};
use super::vantage_file::VantageFile;
use super::vantages::{Validation, Vantages};
use super::verdict::AnswerLifetimes;

#[cfg(test)]
mod tests;

/// How often the queues are emptied while no buffer of theirs is half full. Each time costs as much as a few queries.
const PERIOD: Duration = Duration::from_millis(200);
/// The least time between two times, however fast the buffers fill up. What a thread answers beyond the room of its queue
/// is lost, so this decides how much of a flood is logged, and what that may cost.
const LEAST: Duration = Duration::from_millis(5);
/// How often the file of the vantage networks is written, at most.
const VANTAGE_PERIOD: Duration = Duration::from_secs(30);

/// The query log; a cheap handle. Where the configuration turns it off, nothing is recorded, and no query is known.
#[derive(Clone, Debug)]
pub struct QueryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: QueryLogSettings,
    zones: Zones,
    clock: Clock,
    metrics: Arc<Metrics>,
    queues: Mutex<Queues>,
    /// Told when a queue fills up.
    filling: Arc<Notify>,
    /// The commits that the table has not seen yet; `None` before the log runs.
    changes: Mutex<Option<Changes>>,
    table: Mutex<QueryTable>,
    followers: Followers,
    vantages: Vantages,
    suspects: Mutex<Suspects>,
    archive: OnceLock<Archive>,
    vantage_file: OnceLock<VantageFile>,
}

/// The stream of changes, as far as it was read.
#[derive(Debug)]
struct Changes {
    subscription: Subscription,
    /// Every commit before this moment was seen.
    known: PreciseTimestamp,
}

impl From<Subscription> for Changes {
    fn from(subscription: Subscription) -> Self {
        Self { subscription, known: PreciseTimestamp::now() }
    }
}

#[derive(Debug)]
struct Queues {
    all: Vec<Arc<Queue>>,
    /// The buffer that takes the place of the one that is read.
    spare: Buffer,
}

impl QueryLog {
    /// An empty log of queries for the owners of `zones`. [`run`](Self::run) fills it.
    pub fn new(settings: QueryLogSettings, zones: Zones, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let limits =
            TableLimits { per_owner: settings.per_owner, memory: settings.memory, is_private: settings.is_private };
        let vantages = Vantages::default();
        let table = Mutex::new(QueryTable::new(limits, vantages.clone(), PreciseTimestamp::now()));
        let queues = Mutex::new(Queues { all: Vec::new(), spare: Buffer::empty() });
        let followers = Followers::default();
        Self(Arc::new(Shared {
            settings,
            zones,
            clock,
            metrics,
            queues,
            filling: Arc::default(),
            changes: Mutex::default(),
            table,
            followers,
            vantages,
            suspects: Mutex::default(),
            archive: OnceLock::new(),
            vantage_file: OnceLock::new(),
        }))
    }

    /// A log that records nothing.
    pub fn off() -> Self {
        Self::new(QueryLogSettings::OFF, Zones::default(), Clock::start(None), Arc::default())
    }

    /// Whether queries are recorded.
    pub fn is_enabled(&self) -> bool {
        self.0.settings.enabled
    }

    /// A recorder for one thread that answers queries.
    pub fn thread_recorder(&self) -> Recorder {
        self.recorder(ONE_THREAD)
    }

    /// A recorder for connections, which several threads serve.
    pub fn shared_recorder(&self) -> Recorder {
        self.recorder(SHARED)
    }

    fn recorder(&self, buffers: usize) -> Recorder {
        if !self.0.settings.enabled {
            return Recorder::off();
        }
        let queue = Arc::new(Queue::new(buffers, self.0.filling.clone()));
        locked(&self.0.queues).all.push(queue.clone());
        Recorder::new(queue)
    }

    /// What is known of an owner, every query included that was answered before this call.
    pub fn owner(&self, owner: &Owner) -> OwnerEvidence {
        self.owners(std::slice::from_ref(owner)).remove(0)
    }

    /// The same of several owners.
    pub fn owners(&self, owners: &[Owner]) -> Vec<OwnerEvidence> {
        self.drain();
        let mut table = locked(&self.0.table);
        self.catch_up(&mut table);
        let zones = self.0.zones.load();
        owners.iter().map(|owner| table.evidence(self.present(&zones), owner)).collect()
    }

    fn present<'z>(&self, zones: &'z [Zone]) -> Present<'z> {
        Present { zones, at: PreciseTimestamp::now(), now: self.0.clock.moment() }
    }

    /// Keeps in files beside the database from where CAs validate, and queries, if the configuration says so. Reads the
    /// first of them, and waits for nothing else of the disk.
    pub fn keep_beside(&self, database: &Path) {
        if self.is_enabled() {
            let file = VantageFile::beside(database);
            self.0.vantages.restore(file.read());
            _ = self.0.vantage_file.set(file);
        }
        let Some(keep) = self.0.settings.keep.filter(|_| self.is_enabled()) else { return };
        let limits = ArchiveLimits { time: keep.time, bytes: keep.bytes };
        match QueryArchive::start(database, limits, self.0.clock.clone(), self.0.metrics.clone()) {
            Ok(file) => {
                let archive = Archive::new(file, self.0.settings.is_private, self.0.metrics.clone());
                _ = self.0.archive.set(archive);
                locked(&self.0.table).archive();
            }
            Err(error) => error!("queries are in memory alone: cannot start the thread that keeps them: {error}"),
        }
    }

    /// The last queries for these owners since a moment that the file has, at most `limit`, in no order. Blocks. Each of
    /// them may be in memory, too.
    pub fn archived(&self, owners: &[Owner], since: PreciseTimestamp, limit: usize) -> Vec<(Owner, LoggedQuery)> {
        self.0.archive.get().map(|archive| archive.queries(owners, since, limit)).unwrap_or_default()
    }

    /// Writes what the files have not got yet, and closes them. Blocks.
    pub fn close(&self) {
        self.drain();
        self.write_vantages();
        let Some(archive) = self.0.archive.get() else { return };
        loop {
            let finished = locked(&self.0.table).take_finished(None);
            archive.keep(&finished);
            if finished.queries.is_empty() {
                break;
            }
        }
        archive.stop();
    }

    fn archive_finished(&self) {
        let Some(archive) = self.0.archive.get().filter(|archive| archive.is_due()) else { return };
        let finished = locked(&self.0.table).take_finished(Some(PreciseTimestamp::now()));
        archive.keep(&finished);
    }

    /// Writes from time to time from where CAs validate, for as long as the daemon runs.
    pub async fn keep_vantages(self) {
        loop {
            sleep(VANTAGE_PERIOD).await;
            let log = self.clone();
            // A disk that hangs holds up this task alone. An error says that the runtime ends.
            _ = spawn_blocking(move || log.write_vantages()).await;
        }
    }

    /// Writes from where CAs validate, if there is news. Blocks.
    fn write_vantages(&self) {
        let Some(file) = self.0.vantage_file.get() else { return };
        if let Some(validations) = self.0.vantages.take_changed()
            && !file.write(&validations)
        {
            self.0.vantages.mark_changed();
        }
    }

    /// The last validation that went well of each owner since the last call, of at most 1,024 owners.
    pub fn take_validated(&self) -> Vec<Validation> {
        self.drain();
        self.0.vantages.take_validated()
    }

    /// The networks from which CAs validate, as far as they are known.
    pub fn vantages(&self) -> &Vantages {
        &self.0.vantages
    }

    /// A stream of the queries for these owners, from now on.
    pub fn follow(&self, owners: BTreeSet<Owner>) -> Result<QueryStream, TooManyFollowers> {
        self.0.followers.follow(owners)
    }

    /// How long resolvers may keep answers for an owner.
    pub fn lifetimes(&self, owner: &Owner) -> AnswerLifetimes {
        let zones = self.0.zones.load();
        zone_named(&zones, &owner.zone).map_or(AnswerLifetimes { values: 0, empty: 0 }, |zone| AnswerLifetimes {
            values: zone.txt_ttl,
            empty: zone.soa.negative_ttl,
        })
    }

    /// The last answer with a published value since the start, those to the daemon itself left out.
    pub fn last_answer(&self) -> Option<LastAnswer> {
        self.drain();
        locked(&self.0.table).last_answer().cloned()
    }

    /// Fills the log for as long as the daemon runs.
    pub async fn run(self, changes: Subscription) {
        self.run_every(PERIOD, changes).await;
    }

    /// Empties the queues in every `period`, and sooner where one fills up.
    async fn run_every(self, period: Duration, changes: Subscription) {
        let mut commits = changes.from_now();
        *locked(&self.0.changes) = Some(Changes::from(changes));
        let mut last = Instant::now();
        let mut next = last;
        let mut learn_next = last;
        loop {
            tokio::select! {
                commit = commits.next() => match commit {
                    Some(_) => self.catch_up(&mut locked(&self.0.table)),
                    None => return,
                },
                () = self.0.filling.notified() => next = next.min(last + LEAST),
                () = sleep_until(next) => {
                    self.empty_queues();
                    last = Instant::now();
                    next = last + period;
                    if last >= learn_next {
                        locked(&self.0.table).learn();
                        learn_next = next;
                    }
                    self.archive_finished();
                }
            }
        }
    }

    /// Takes the validations that nothing explains: several networks from which CAs validate have asked for a name, and no
    /// value was there until `grace` after. Each is returned once.
    pub fn take_unexpected(&self, grace: Duration) -> Vec<UnexpectedValidation> {
        self.drain();
        let ripe = locked(&self.0.suspects).take_ripe(PreciseTimestamp::now(), grace);
        let is_explained = |found: &UnexpectedValidation| found.is_explained(&self.owner(&found.owner), grace);
        // A value that was forgotten to stay within the memory limit, or never heard of, may have explained it.
        let unknown = |found: &UnexpectedValidation| locked(&self.0.table).unknown_until(&found.owner);
        let may_be = |found: &UnexpectedValidation| unknown(found).is_some_and(|until| found.may_follow(until));
        ripe.into_iter().filter(|found| !is_explained(found) && !may_be(found)).collect()
    }

    /// Suspects a query without an answer, if it could be a CA's.
    fn suspect(&self, owner: &Owner, query: &NewQuery<'_>) {
        let traits = &query.traits;
        let network = QueryNetwork::of(traits.source);
        if traits.rtype == RecordType::TXT && !traits.is_own && !traits.is_below && self.0.vantages.knows(network) {
            locked(&self.0.suspects).note(owner, network, query.at);
        }
    }

    /// Applies the commits that have not been. Readers do so too: the task may wake later than a query after a commit.
    fn catch_up(&self, table: &mut QueryTable) {
        let mut changes = locked(&self.0.changes);
        let Some(changes) = changes.as_mut() else { return };
        // Before the look: a commit after it may be in the next gap.
        let now = PreciseTimestamp::now();
        while let Some(event) = changes.subscription.try_next() {
            match event {
                Event::Changes(commit) => self.apply(table, &commit),
                Event::Gap => table.refresh(self.present(&self.0.zones.load()), changes.known),
            }
        }
        changes.known = now;
    }

    fn apply(&self, table: &mut QueryTable, commit: &Commit) {
        let now = self.0.clock.moment();
        for change in commit.iter() {
            if let Subject::Owner { owner, state, serial } = &change.subject {
                let change = OwnerChange { at: commit.served, serial: *serial, is_commit: true, now };
                table.apply(owner, state.as_ref(), change);
                if state.is_none()
                    && let Some(archive) = self.0.archive.get()
                {
                    archive.remove(owner);
                }
            }
        }
    }

    /// Empties the queues and learns from what was in them, for a reader. Returns how many queries they held.
    fn drain(&self) -> u64 {
        let logged = self.empty_queues();
        locked(&self.0.table).learn();
        logged
    }

    fn empty_queues(&self) -> u64 {
        let mut queues = locked(&self.0.queues);
        let Queues { all, spare } = &mut *queues;
        let mut table = locked(&self.0.table);
        let own = own_sockets::recent();
        let (mut logged, mut missed) = (0, Missed::default());
        for queue in all {
            missed += queue.drain(spare, |buffer| {
                // Only now, so that no query in the buffer was answered from a commit or a zone of which the table does not know,
                // but for the commit that is being told at this moment.
                self.catch_up(&mut table);
                let zones = self.0.zones.load();
                let present = self.present(&zones);
                for query in buffer.queries() {
                    logged += 1;
                    let is_empty = query.values().next().is_none();
                    if is_empty && query.record.rtype == RecordType::TXT {
                        // From here on, the networks of the validations before decide who is suspected.
                        table.learn();
                    }
                    let source = SocketAddr::new(query.record.source, query.record.port);
                    let is_own = !own.is_empty() && own.contains(&source);
                    table.add(present, query, is_own, |owner, new| {
                        self.0.followers.tell(owner, || new.told(query.values()));
                        if is_empty {
                            self.suspect(owner, new);
                        }
                    });
                }
            });
        }
        let metrics = &self.0.metrics;
        metrics.queries_logged.add(logged);
        metrics.queries_lost.add(missed.lost);
        metrics.queries_over_share.add(missed.over_share);
        if missed.lost > 0 {
            table.lost(PreciseTimestamp::now());
        }
        let (owners, size) = table.usage();
        metrics.query_log_owners.set(owners as u64);
        metrics.query_log_bytes.set(size as u64);
        logged
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
