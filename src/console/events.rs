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

/// What a page follows beside the changes of the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The queries for names of accounts.
    Queries,
    /// The same, for a page that is costly to show.
    Overview,
    /// A reply of the admin API to this path.
    Reply(String),
    /// The queries, and the reply to this path: whether records have appeared in the DNS of others.
    QueriesAnd(String),
    /// The messages that arrive.
    Messages,
    /// The examination that is under way.
    Examination,
}

impl Followed {
    /// A number that is another one after a change.
    async fn version(&self, console: &Shared, signed_in: &SignedIn) -> u64 {
        match self {
            Self::Queries | Self::Overview => console.metrics.queries_logged.value(),
            Self::Messages => console.live.look(),
            Self::Examination => console.examinations.version(),
            Self::Reply(path) => version_of_reply(console, signed_in, path).await,
            Self::QueriesAnd(path) => {
                let reply = version_of_reply(console, signed_in, path).await;
                reply.wrapping_add(console.metrics.queries_logged.value())
            }
        }
    }

    /// The least time between two events, so that a busy daemon does not keep a browser busy.
    fn pause(&self) -> Duration {
        if *self == Self::Overview { LONG_PAUSE } else { PAUSE }
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

async fn tell(console: Shared, signed_in: SignedIn, followed: Followed, events: Sender<&'static str>) {
    let mut changes = console.publisher.subscribe();
    let mut shutdown = console.shutdown.clone();
    let mut looks = interval(LOOK);
    let mut silent = 0;
    let mut seen = followed.version(&console, &signed_in).await;
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
            std::mem::replace(&mut seen, version) != version
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
