//! Finished queries on their way into the file that keeps them for days, and back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::metrics::Metrics;
use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;
use crate::store::query_archive::{ArchivedRow, Batch, QueryArchive};

use super::evidence::LoggedQuery;
use super::message::{CookieState, ReplyOutcome, Transport};

/// How often finished queries are handed over.
const PERIOD: Duration = Duration::from_secs(1);
/// The most queries in one batch, and the bytes of them.
const BATCH: usize = 8_192;
const BATCH_SIZE: usize = 4 << 20;
/// Bytes of a query without its values, about.
const QUERY: usize = 400;
/// Removed owners that wait to be handed over.
const REMOVED: usize = 100_000;

/// Queries that will not change any more.
#[derive(Debug, Default)]
pub struct FinishedQueries {
    pub queries: Vec<(Owner, LoggedQuery)>,
    /// Bytes of them, about.
    size: usize,
    /// How many others memory had no room for until they were finished.
    pub lost: u64,
}

impl FinishedQueries {
    /// Adds one.
    pub fn push(&mut self, owner: Owner, query: LoggedQuery) {
        self.size += QUERY + query.values.iter().map(String::len).sum::<usize>();
        self.queries.push((owner, query));
    }

    /// Whether no more belong in one batch.
    pub fn is_full(&self) -> bool {
        self.queries.len() >= BATCH || self.size >= BATCH_SIZE
    }
}

/// The file, and what waits for it.
#[derive(Debug)]
pub struct Archive {
    file: QueryArchive,
    is_private: bool,
    metrics: Arc<Metrics>,
    waiting: Mutex<Waiting>,
    /// Whether the last reading failed.
    is_unreadable: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    removed: Vec<String>,
    next: Instant,
}

impl Archive {
    /// `is_private`: addresses are cut to their networks, those that were stored before that was wanted included.
    pub fn new(file: QueryArchive, is_private: bool, metrics: Arc<Metrics>) -> Self {
        let waiting = Mutex::new(Waiting { removed: Vec::new(), next: Instant::now() });
        Self { file, is_private, metrics, waiting, is_unreadable: AtomicBool::new(false) }
    }

    /// Has the queries of an owner removed that exists no more.
    pub fn remove(&self, owner: &Owner) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.removed.len() < REMOVED {
            waiting.removed.push(owner.to_string());
        }
    }

    /// Whether it is time to hand over what is finished.
    pub fn is_due(&self) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = now >= waiting.next;
        if is_due {
            waiting.next = now + PERIOD;
        }
        is_due
    }

    /// Hands queries over, and counts what the file has no time for. Never waits.
    pub fn keep(&self, finished: &FinishedQueries) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = std::mem::take(&mut waiting.removed);
        let mut lost = finished.lost;
        if !removed.is_empty() || !finished.queries.is_empty() {
            let queries = finished.queries.iter().filter_map(|(owner, query)| row(owner, query)).collect();
            if let Err(refused) = self.file.offer(Batch { removed, queries }) {
                lost += finished.queries.len() as u64;
                waiting.removed = refused.removed;
            }
        }
        if lost > 0 {
            self.metrics.queries_not_kept.add(lost);
        }
    }

    /// The last queries for these owners since a moment, at most `limit` in all, in no order. Blocks. Empty where the file
    /// cannot be read.
    pub fn queries(&self, owners: &[Owner], since: PreciseTimestamp, limit: usize) -> Vec<(Owner, LoggedQuery)> {
        let by_name: HashMap<String, &Owner> = owners.iter().map(|owner| (owner.to_string(), owner)).collect();
        let names: Vec<String> = by_name.keys().cloned().collect();
        let rows = self.file.read(&names, since.as_millis(), limit);
        let was_unreadable = self.is_unreadable.swap(rows.is_err(), Ordering::Relaxed);
        let rows = rows.unwrap_or_else(|error| {
            if !was_unreadable {
                warn!("kept queries cannot be read, and only those in memory are shown: {error}");
            }
            Vec::new()
        });
        let told = |row: ArchivedRow| {
            let owner = (*by_name.get(&row.owner)?).clone();
            let stored: StoredQuery = serde_json::from_str(&row.query).ok()?;
            Some((owner, stored.told(self.is_private)))
        };
        rows.into_iter().filter_map(told).collect()
    }

    /// Writes what waits, and closes the file.
    pub fn stop(&self) {
        self.file.stop();
    }
}

fn row(owner: &Owner, query: &LoggedQuery) -> Option<ArchivedRow> {
    // invariant: numbers, texts and lists always become JSON
    let text = serde_json::to_string(&StoredQuery::of(query)).ok()?;
    Some(ArchivedRow { owner: owner.to_string(), until: query.until.as_millis(), query: text })
}

/// A query as it is stored, in short.
#[derive(Debug, Serialize, Deserialize)]
struct StoredQuery {
    at: u64,
    until: u64,
    repeats: u32,
    source: IpAddr,
    own: bool,
    transport: Transport,
    listener: Option<SocketAddr>,
    rtype: u16,
    name: String,
    below: bool,
    edns: Option<u16>,
    dnssec: bool,
    cookie: CookieState,
    rcode: u16,
    outcome: ReplyOutcome,
    truncated: bool,
    values: Vec<String>,
}

impl StoredQuery {
    fn of(query: &LoggedQuery) -> Self {
        Self {
            at: query.at.as_millis(),
            until: query.until.as_millis(),
            repeats: query.repeats,
            source: query.source,
            own: query.is_own,
            transport: query.transport,
            listener: query.listener,
            rtype: query.rtype.into(),
            name: query.name.clone(),
            below: query.is_below,
            edns: query.edns_size,
            dnssec: query.dnssec_ok,
            cookie: query.cookie,
            rcode: query.rcode.into(),
            outcome: query.outcome,
            truncated: query.is_truncated,
            values: query.values.clone(),
        }
    }

    fn told(self, is_private: bool) -> LoggedQuery {
        let network = QueryNetwork::of(self.source);
        LoggedQuery {
            at: PreciseTimestamp::from_millis(self.at),
            // A serial of an earlier run says nothing of the values of this one.
            serial: None,
            repeats: self.repeats,
            until: PreciseTimestamp::from_millis(self.until),
            source: if is_private { network.address() } else { self.source },
            network,
            is_own: self.own,
            transport: self.transport,
            listener: self.listener,
            rtype: RecordType::from(self.rtype),
            name: self.name,
            is_below: self.below,
            edns_size: self.edns,
            dnssec_ok: self.dnssec,
            cookie: self.cookie,
            rcode: <ResponseCode as From<u16>>::from(self.rcode),
            outcome: self.outcome,
            is_truncated: self.truncated,
            values: self.values,
        }
    }
}
