//! Watching the queries for a name as they are answered, for an operator who wonders whether a CA asks at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::model::name::Name;
use crate::model::time::Timestamp;

use super::Source;
use super::answer::{Answer, Records};
use super::question::Question;

/// Those who may watch at once: an operator or two, and each costs every query a comparison.
const MAX_WATCHERS: usize = 16;
/// Queries that wait for one watcher. More are lost to it: nobody waits for who watches.
const MAX_WAITING: usize = 1_024;

/// There are enough watchers already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{MAX_WATCHERS} are watching already")]
pub struct TooManyWatchers;

/// One answered query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryEvent {
    /// When.
    pub at: Timestamp,
    /// Who asked, and how.
    pub source: Source,
    /// The name asked for, in lower case.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// The response code.
    pub rcode: ResponseCode,
    /// The live values in the answer.
    pub values: Vec<String>,
}

/// Whoever watches; a cheap handle. Without watchers a query costs it one look at an atomic.
///
/// Each watcher has a queue of its own that only its name's queries enter: in one queue for all, a flood of other
/// queries would push out the very one that is waited for.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    count: AtomicUsize,
    watchers: RwLock<Vec<(Name, Sender<QueryEvent>)>>,
}

impl Watchers {
    /// Watches the queries for `name` and everything below it, until the watch is dropped.
    pub fn watch(&self, name: Name) -> Result<Watch, TooManyWatchers> {
        let mut watchers = self.0.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|(_, queue)| !queue.is_closed());
        if watchers.len() >= MAX_WATCHERS {
            return Err(TooManyWatchers);
        }
        let (queue, sightings) = channel(MAX_WAITING);
        watchers.push((name, queue));
        self.0.count.store(watchers.len(), Ordering::Release);
        Ok(Watch { sightings, watchers: self.clone() })
    }

    /// Whether anybody watches.
    pub(super) fn are_there(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// Tells those whose name was asked for. Never waits.
    pub(super) fn tell(&self, at: Timestamp, source: Source, question: &Question<'_>, answer: &Answer<'_>) {
        let name = question.name();
        let watchers = self.0.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for (_, queue) in watchers.iter().filter(|(watched, _)| name.below(watched.as_ref()).is_some()) {
            let values = match &answer.records {
                Records::Live(txt) => txt.texts().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
                _ => Vec::new(),
            };
            let (name, rtype, rcode) = (name.to_name(), question.rtype(), answer.rcode);
            // A full queue loses it; a closed one goes with the next change.
            _ = queue.try_send(QueryEvent { at, source, name, rtype, rcode, values });
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
pub struct Watch {
    sightings: Receiver<QueryEvent>,
    watchers: Watchers,
}

impl Watch {
    /// The next query. `None` never comes while the watch is held.
    pub async fn next(&mut self) -> Option<QueryEvent> {
        self.sightings.recv().await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.sightings.close();
        self.watchers.forget_closed();
    }
}
