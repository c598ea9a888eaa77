//! Live observation of the queries for one name: an operator sees whether and how a CA asks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::model::name::Name;
use crate::model::time::Timestamp;

use super::query_event::{Observed, QueryEvent};

/// Watches that may be open at the same time: each costs every query a comparison.
const MAX_WATCHERS: usize = 16;
/// Events that may wait for one watcher. Further events are lost, because the query path never waits.
const MAX_WAITING: usize = 1_024;

/// All watches are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{MAX_WATCHERS} watches are open already; end one of them first")]
pub struct TooManyWatchers;

/// The open watches; a cheap handle. While none is open, a query costs one read of an atomic.
///
/// Each watch has a queue of its own that receives only the events of its name. In one shared queue, a flood of other
/// queries would displace the awaited one.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<WatchTable>);

#[derive(Debug, Default)]
struct WatchTable {
    count: AtomicUsize,
    watchers: RwLock<Vec<(Name, Sender<QueryEvent>)>>,
}

impl Watchers {
    /// Watches the messages about `name` and everything below it, until the watch is dropped.
    pub fn watch(&self, name: Name) -> Result<NameWatch, TooManyWatchers> {
        let mut watchers = self.0.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|(_, queue)| !queue.is_closed());
        if watchers.len() >= MAX_WATCHERS {
            return Err(TooManyWatchers);
        }
        let (queue, events) = channel(MAX_WAITING);
        watchers.push((name, queue));
        self.0.count.store(watchers.len(), Ordering::Release);
        Ok(NameWatch { events, watchers: self.clone() })
    }

    /// Whether any watch is open.
    pub(super) fn are_there(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// Sends the event to each watch of its name. Never waits.
    pub(super) fn tell(&self, at: Timestamp, observed: &Observed<'_>) {
        let watchers = self.0.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for (_, queue) in watchers.iter().filter(|(name, _)| observed.is_about(name)) {
            // A full queue loses the event. A closed one is removed when a watch is next opened or dropped.
            _ = queue.try_send(observed.to_event(at));
        }
    }

    fn forget_closed(&self) {
        let mut watchers = self.0.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|(_, queue)| !queue.is_closed());
        self.0.count.store(watchers.len(), Ordering::Release);
    }
}

/// An open watch on a name. Dropping it ends the watch.
#[derive(Debug)]
pub struct NameWatch {
    events: Receiver<QueryEvent>,
    watchers: Watchers,
}

impl NameWatch {
    /// Waits for the next event. Never returns `None` while the watch is open.
    pub async fn next(&mut self) -> Option<QueryEvent> {
        self.events.recv().await
    }
}

impl Drop for NameWatch {
    fn drop(&mut self) {
        self.events.close();
        self.watchers.forget_closed();
    }
}
