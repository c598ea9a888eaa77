//! Events that tell an open page that something has changed (Server-Sent Events). The page then loads itself again, so that
//! there is one way to show a thing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};

use crate::api::stream;
use crate::api::types::delegations::{Assessment, DelegationView};
use crate::api::types::list::List;

use super::signed_in::SignedIn;
use super::state::Shared;

/// The least time between two events.
const PAUSE: Duration = Duration::from_secs(1);
/// The same for pages that are costly to show.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// How often the stream looks whether queries have arrived, whether the session goes on, and whether the browser is there.
const LOOK: Duration = Duration::from_secs(1);
/// A comment after so many looks without an event keeps proxies from closing the connection.
const LOOKS_UNTIL_COMMENT: u32 = 15;

/// The looks that pass between two at records that are in place, whose resolvers need no question each few seconds.
const LOOKS_BETWEEN_GOOD: u32 = 30;

/// What a page follows beside the changes of the zone.
#[derive(Debug)]
pub enum Followed {
    /// The queries for names of accounts.
    Queries,
    /// The same, for a page that is costly to show.
    Overview,
    /// A reply of the admin API to this path.
    Reply(String),
    /// The queries, and whether records have appeared in the DNS of others.
    Delegations(DelegationWatch),
    /// The messages that arrive.
    Messages,
    /// The examination that is under way.
    Examination,
}

impl Followed {
    /// A number that is another one after a change.
    async fn version(&mut self, console: &Shared, signed_in: &SignedIn) -> u64 {
        match self {
            Self::Queries | Self::Overview => console.metrics.queries_logged.value(),
            Self::Messages => console.live.look(),
            Self::Examination => console.examinations.version(),
            Self::Reply(path) => version_of_reply(console, signed_in, path).await,
            Self::Delegations(watch) => {
                let version = watch.version(console, signed_in).await;
                version.wrapping_add(console.metrics.queries_logged.value())
            }
        }
    }

    /// What the page shows already; `None` where the page may have come before the answers of the DNS, and is to be loaded
    /// once more.
    async fn first_version(&mut self, console: &Shared, signed_in: &SignedIn) -> Option<u64> {
        if matches!(self, Self::Delegations(_)) { None } else { Some(self.version(console, signed_in).await) }
    }

    /// The least time between two events, so that a busy daemon does not keep a browser busy.
    fn pause(&self) -> Duration {
        if matches!(self, Self::Overview) { LONG_PAUSE } else { PAUSE }
    }
}

/// Whether the records of domains lead to an account.
#[derive(Debug)]
pub struct DelegationWatch {
    /// The paths of the admin API that tell so.
    paths: Vec<String>,
    version: u64,
    /// The looks to leave out.
    rest: u32,
}

impl DelegationWatch {
    /// Watches the replies to these paths.
    pub fn new(paths: Vec<String>) -> Self {
        Self { paths, version: 0, rest: 0 }
    }

    async fn version(&mut self, console: &Shared, signed_in: &SignedIn) -> u64 {
        if self.rest > 0 {
            self.rest -= 1;
            return self.version;
        }
        let mut hasher = DefaultHasher::new();
        let mut are_good = true;
        for path in &self.paths {
            match console.admin.get::<List<DelegationView>>(signed_in, path).await {
                Ok(found) => {
                    are_good &= found.items.iter().all(|each| each.assessment == Assessment::Good);
                    found.items.iter().for_each(|each| (&each.text, each.pending).hash(&mut hasher));
                }
                Err(refusal) => refusal.message.hash(&mut hasher),
            }
        }
        self.rest = if are_good { LOOKS_BETWEEN_GOOD } else { 0 };
        self.version = hasher.finish();
        self.version
    }
}

async fn version_of_reply(console: &Shared, signed_in: &SignedIn, path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    match console.admin.get::<Value>(signed_in, path).await {
        Ok(reply) => reply.hash(&mut hasher),
        Err(refusal) => refusal.message.hash(&mut hasher),
    }
    hasher.finish()
}

/// Tells of changes, until the session ends.
pub async fn changes(State(console): State<Shared>, signed_in: SignedIn) -> Response {
    follow(console, signed_in, Followed::Queries)
}

/// Tells of changes of the zone and of what is followed, until the session ends.
pub fn follow(console: Shared, signed_in: SignedIn, followed: Followed) -> Response {
    let (events, reader) = channel(1);
    tokio::spawn(tell(console, signed_in, followed, events));
    stream::of_events(reader, |event: &'static str| Bytes::from_static(event.as_bytes()))
}

async fn tell(console: Shared, signed_in: SignedIn, mut followed: Followed, events: Sender<&'static str>) {
    let mut changes = console.publisher.subscribe();
    let mut shutdown = console.shutdown.clone();
    let mut looks = interval(LOOK);
    let mut silent = 0;
    let mut seen = followed.first_version(&console, &signed_in).await;
    if events.send(": changes follow\n\n").await.is_err() {
        return;
    }
    loop {
        let looked = tokio::select! {
            () = events.closed() => return,
            () = stopped(&mut shutdown) => {
                _ = events.send("event: stopping\ndata:\n\n").await;
                return;
            }
            _ = changes.next() => false,
            _ = looks.tick() => true,
        };
        let has_changed = if looked {
            let version = followed.version(&console, &signed_in).await;
            seen.replace(version) != Some(version)
        } else {
            true
        };
        if !console.sessions.is_open(signed_in.session.id) {
            _ = events.send("event: ended\ndata:\n\n").await;
            return;
        }
        silent += 1;
        let event = match (has_changed, silent > LOOKS_UNTIL_COMMENT) {
            (true, _) => "event: changed\ndata:\n\n",
            (false, true) => ": still here\n\n",
            (false, false) => continue,
        };
        silent = 0;
        if events.send(event).await.is_err() {
            return;
        }
        if has_changed {
            sleep_until(Instant::now() + followed.pause()).await;
        }
    }
}

/// Resolves when the daemon stops.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the daemon is gone.
    _ = shutdown.wait_for(|stop| *stop).await;
}
