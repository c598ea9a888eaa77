//! `/watch`: DNS messages as they arrive, one line of JSON each, until the client disconnects.

use axum::extract::State;
use axum::response::Response;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;

use crate::dns::watch::Watchers;
use crate::model::name::Name;
use crate::publisher::Publisher;
use crate::querylog::QueryLog;

use super::super::blocking::read;
use super::super::error::Failure;
use super::super::params::Params;
use super::super::query_feed::QueryFeed;
use super::super::stream;
use super::super::verdicts::Verdicts;
use super::watched::line;
use super::who;

/// Lines that wait for a slow reader. It misses the lines past them.
const MAX_WAITING: usize = 256;

/// What the running daemon knows of queries: the query path's watches, as streams of lines that end with the daemon, and
/// the query log. A cheap handle.
#[derive(Clone, Debug)]
pub struct QueryStreams {
    watchers: Watchers,
    feed: QueryFeed,
    verdicts: Verdicts,
    /// Whether messages name the sender's network instead of its address.
    is_private: bool,
    shutdown: watch::Receiver<bool>,
}

impl QueryStreams {
    /// Streams of what these watchers see, until `shutdown` says that the daemon stops, and the log.
    pub fn new(watchers: Watchers, query_log: QueryLog, verdicts: Verdicts, shutdown: watch::Receiver<bool>) -> Self {
        Self { watchers, feed: QueryFeed::new(query_log, shutdown.clone()), verdicts, is_private: false, shutdown }
    }

    /// Makes messages name the sender's network instead of its address.
    pub fn private(self, is_private: bool) -> Self {
        Self { is_private, ..self }
    }

    /// The query log.
    pub fn query_log(&self) -> &QueryLog {
        self.feed.log()
    }

    /// The query log as lists and streams.
    pub fn feed(&self) -> &QueryFeed {
        &self.feed
    }

    /// The verdicts on values.
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// Opens a stream of the messages about a name and the names below it.
    fn open(&self, name: Name) -> Result<Receiver<String>, Failure> {
        let mut watch = self.watchers.watch(name).map_err(|error| Failure::Conflict(error.to_string()))?;
        let (lines, reader) = channel(MAX_WAITING);
        let mut shutdown = self.shutdown.clone();
        let is_private = self.is_private;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = lines.closed() => return,
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    // A full channel loses the line: the query path never waits for a reader.
                    Some(event) = watch.next() => { _ = lines.try_send(line(&event, is_private)); }
                }
            }
        });
        Ok(reader)
    }
}

pub async fn watch(
    State(streams): State<Option<QueryStreams>>,
    State(publisher): State<Publisher>,
    params: Params,
) -> Result<Response, Failure> {
    let Some(streams) = streams else {
        return Err(Failure::NotFound(
            "there are no queries to watch: no daemon runs; start it with `txtgate serve`".into(),
        ));
    };
    let typed = params.text("name").unwrap_or(".").to_owned();
    let name = read(&publisher, move |publisher| watched(publisher, &typed)).await?;
    Ok(stream::of_lines(streams.open(name)?))
}

/// The name to watch: a name in a zone, registered or not; the name of the account for a domain; or any other name.
fn watched(publisher: &Publisher, typed: &str) -> Result<Name, Failure> {
    let wrong = |error| Failure::field("bad_name", "name", error);
    let name: Name = typed.parse().map_err(wrong)?;
    let is_ours = publisher.zones().load().iter().any(|zone| name.is_in(zone.name.apex()));
    if is_ours || name.parent().is_none() {
        return Ok(name);
    }
    match who::find_owner(publisher, typed)? {
        Some(owner) => owner.to_string().parse().map_err(wrong),
        None if typed.contains('.') => Ok(name),
        None => Err(who::unknown(typed)),
    }
}
