//! Live observation of the queries for one name, for an operator who wonders whether a CA asks at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::model::name::Name;
use crate::model::time::Timestamp;

use super::query_event::{Observed, QueryEvent};

/// Watches that may be open at once: each costs every query a comparison.
const MAX_WATCHERS: usize = 16;
/// Events that wait for one watcher. It loses the events past them, because the query path waits for nobody.
const MAX_WAITING: usize = 1_024;

/// There are enough watchers already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{MAX_WATCHERS} watches are open already; end one of them first")]
pub struct TooManyWatchers;

/// The open watches; a cheap handle. Without one a query costs a look at an atomic.
///
/// Each watch has a queue of its own that only its name's events enter. In one queue for all, a flood of other queries
/// would push out the very one that is waited for.
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

    /// Whether anybody watches.
    pub(super) fn are_there(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// Sends the event to each watcher of its name. Never waits.
    pub(super) fn tell(&self, at: Timestamp, observed: &Observed<'_>) {
        let watchers = self.0.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for (_, queue) in watchers.iter().filter(|(name, _)| observed.is_about(name)) {
            // A full queue loses the event; a closed one is removed at the next change of the watchers.
            _ = queue.try_send(observed.to_event(at));
        }
    }

    fn forget_closed(&self) {
        let mut watchers = self.0.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|(_, queue)| !queue.is_closed());
        self.0.count.store(watchers.len(), Ordering::Release);
    }
}

/// A watch over a name; ends when dropped.
#[derive(Debug)]
pub struct NameWatch {
    events: Receiver<QueryEvent>,
    watchers: Watchers,
}

impl NameWatch {
    /// The next event. `None` never comes while the watch is held.
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
