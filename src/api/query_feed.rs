//! The query log as lists and as streams, for the accounts and for the operator.

use std::collections::BTreeSet;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, interval_at};

use crate::model::name::Owner;
use crate::model::time::PreciseTimestamp;
use crate::querylog::evidence::LoggedQuery;
use crate::querylog::{QueryLog, QueryStream};

use super::error::Failure;
use super::params::Params;
use super::types::queries::{QueryList, QueryView};

/// Queries in a list where the request does not say how many.
const USUAL: usize = 100;
/// The most queries in a list.
const MOST: usize = 1_000;
/// Messages that wait for a slow reader. It misses those past them.
const MAX_WAITING: usize = 64;
/// How often a stream says that it is alive while nobody asks: more often than any listener or proxy closes a silent
/// connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often a stream looks whether its reader may still read.
const RECHECK: Duration = Duration::from_secs(2);

/// The query log, and what ends its streams with the daemon. A cheap handle.
#[derive(Clone, Debug)]
pub struct QueryFeed {
    log: QueryLog,
    shutdown: watch::Receiver<bool>,
}

/// Which queries a list has.
#[derive(Clone, Copy, Debug)]
pub struct QuerySelection {
    limit: usize,
    since: Option<PreciseTimestamp>,
}

impl QuerySelection {
    /// The parameters `limit` and `since`.
    pub fn of(params: &Params) -> Result<Self, Failure> {
        let limit = params.parsed("limit")?.unwrap_or(USUAL);
        if limit == 0 || limit > MOST {
            return Err(Failure::field(
                "bad_parameter",
                "limit",
                format!("write a number from 1 to {MOST}; found {limit}"),
            ));
        }
        let since = params.text("since").map(str::parse).transpose();
        let since = since.map_err(|error| Failure::field("bad_parameter", "since", error))?;
        Ok(Self { limit, since })
    }

    /// Nothing from before this time.
    pub fn not_before(self, earliest: PreciseTimestamp) -> Self {
        Self { since: Some(self.since.unwrap_or_default().max(earliest)), ..self }
    }
}

/// What a stream sends.
#[derive(Debug)]
pub enum FeedMessage {
    /// The queries from here on follow.
    Start,
    Query(Box<QueryView>),
    /// Nothing has happened for a while.
    Heartbeat,
}

impl QueryFeed {
    /// The log's queries, as streams that end when `shutdown` says that the daemon stops.
    pub fn new(log: QueryLog, shutdown: watch::Receiver<bool>) -> Self {
        Self { log, shutdown }
    }

    /// The query log.
    pub fn log(&self) -> &QueryLog {
        &self.log
    }

    /// The last queries for these owners: those in memory, and those in the file where memory has too few. Blocks.
    pub fn list(&self, owners: &[Owner], selection: QuerySelection) -> Result<QueryList, Failure> {
        self.is_on()?;
        let QuerySelection { limit, since } = selection;
        let (mut items, mut complete_since) = self.in_memory(owners, since);
        if items.len() <= limit {
            let archived = self.log.archived(owners, since.unwrap_or_default(), limit + 1 + items.len());
            // Memory again: what has reached the file since then would look different in the first reading.
            (items, complete_since) = self.in_memory(owners, since);
            add_missing(&mut items, archived);
        }
        items.sort_by_key(|query| query.time);
        let surplus = items.len().saturating_sub(limit);
        items.drain(..surplus);
        Ok(QueryList { items, truncated: surplus > 0, complete_since })
    }

    /// The queries in memory, and since when none is missing.
    fn in_memory(&self, owners: &[Owner], since: Option<PreciseTimestamp>) -> (Vec<QueryView>, PreciseTimestamp) {
        let (mut items, mut complete_since) = (Vec::new(), PreciseTimestamp::default());
        for evidence in self.log.owners(owners) {
            complete_since = complete_since.max(evidence.complete_since);
            let wanted = evidence.queries.iter().filter(|query| since.is_none_or(|since| query.until >= since));
            items.extend(wanted.map(|query| QueryView::of(&evidence.owner, query)));
        }
        (items, complete_since)
    }

    /// A stream of the queries for these owners, from now on. It ends once `is_over`.
    pub fn follow<F>(
        &self,
        owners: BTreeSet<Owner>,
        is_over: impl Fn() -> F + Send + 'static,
    ) -> Result<Receiver<FeedMessage>, Failure>
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.is_on()?;
        let stream = self.log.follow(owners).map_err(|error| Failure::Conflict(error.to_string()))?;
        let (messages, reader) = channel(MAX_WAITING);
        // The channel is empty: there is room.
        _ = messages.try_send(FeedMessage::Start);
        tokio::spawn(pass_on(stream, messages, self.shutdown.clone(), is_over));
        Ok(reader)
    }

    fn is_on(&self) -> Result<(), Failure> {
        if self.log.is_enabled() {
            return Ok(());
        }
        Err(Failure::NotFound("the query log is off; set `enabled = true` in [querylog], and restart txtgate".into()))
    }
}

/// Adds the queries in the file that memory does not have. One that is in both is the same in both.
fn add_missing(items: &mut Vec<QueryView>, archived: Vec<(Owner, LoggedQuery)>) {
    let mut known = items.clone();
    for (owner, query) in archived {
        let query = QueryView::of(&owner, &query);
        match known.iter().position(|item| *item == query) {
            Some(at) => _ = known.swap_remove(at),
            None => items.push(query),
        }
    }
}

async fn pass_on<F: Future<Output = bool>>(
    mut stream: QueryStream,
    messages: Sender<FeedMessage>,
    mut shutdown: watch::Receiver<bool>,
    is_over: impl Fn() -> F,
) {
    let mut heartbeats = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut checks = interval_at(Instant::now() + RECHECK, RECHECK);
    loop {
        // A full channel loses the message: the log never waits for a reader.
        tokio::select! {
            () = messages.closed() => return,
            () = stopped(&mut shutdown) => return,
            Some(followed) = stream.next() => {
                let view = QueryView::of(&followed.owner, &followed.query);
                _ = messages.try_send(FeedMessage::Query(view.into()));
            }
            _ = heartbeats.tick() => { _ = messages.try_send(FeedMessage::Heartbeat); }
            _ = checks.tick() => {
                if is_over().await {
                    return;
                }
            }
        }
    }
}

/// Resolves when the daemon stops.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    _ = shutdown.wait_for(|stop| *stop).await;
}
