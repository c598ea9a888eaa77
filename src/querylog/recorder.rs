//! The query path's end of the query log.

use std::sync::Arc;

use super::queue::{QueryRecord, Queue};

/// Records the queries that one listener answers; a cheap handle. Recording never waits and never allocates.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Option<Arc<Queue>>);

impl Recorder {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(Some(queue))
    }

    /// A recorder that drops everything.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records a query, its name in uncompressed wire form and the TXT values in its reply, or counts it where the log
    /// cannot keep up or the network has sent too many.
    pub fn record<'v>(&self, record: QueryRecord, name: &[u8], values: impl Iterator<Item = &'v [u8]> + Clone) {
        if let Some(queue) = &self.0 {
            queue.push(record, name, values);
        }
    }
}
