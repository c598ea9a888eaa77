//! The last messages of all that the daemon answers, collected only while somebody looks at them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::time::interval;

use crate::api::types::watch::WatchedMessage;

/// The messages that are kept: more than a page shows, for filters to choose from.
const KEPT: usize = 500;
/// The values of a message that are kept.
const VALUES: usize = 4;
/// The collection ends when nobody has looked for so long: each watch costs every query a little.
const UNSEEN: Duration = Duration::from_secs(60);
/// How often the collection looks whether anybody looks.
const LOOK: Duration = Duration::from_secs(5);

/// The last messages. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct LiveQueries(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<WatchedMessage>,
    /// How many there have been.
    count: u64,
    /// Since when they are collected; `None`: they are not.
    since: Option<String>,
    looked: Option<Instant>,
}

impl LiveQueries {
    /// The messages, the newest first, and since when they are collected; `None`: they are not.
    pub fn messages(&self) -> (Vec<WatchedMessage>, Option<String>) {
        let inner = self.lock();
        (inner.messages.iter().rev().cloned().collect(), inner.since.clone())
    }

    /// Begins to collect; `None` if that has begun already.
    pub fn begin(&self, now: &str) -> Option<Collection> {
        let mut inner = self.lock();
        let is_new = inner.since.is_none();
        inner.since.get_or_insert_with(|| now.to_owned());
        is_new.then(|| Collection(self.clone()))
    }

    /// Says that somebody looks; how many messages there have been.
    pub fn look(&self) -> u64 {
        let mut inner = self.lock();
        inner.looked = Some(Instant::now());
        inner.count
    }

    /// Takes the whole lines.
    fn take(&self, waiting: &mut Vec<u8>) {
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let Ok(mut message) = serde_json::from_slice::<WatchedMessage>(&line) else { continue };
            message.values.truncate(VALUES);
            message.updated.truncate(VALUES);
            let mut inner = self.lock();
            inner.count += 1;
            inner.messages.push_back(message);
            if inner.messages.len() > KEPT {
                inner.messages.pop_front();
            }
        }
    }

    fn is_unseen(&self) -> bool {
        self.lock().looked.is_none_or(|looked| looked.elapsed() > UNSEEN)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages are being collected, until this is dropped.
#[derive(Debug)]
pub struct Collection(LiveQueries);

impl Collection {
    /// Takes the lines of a watch, for as long as somebody looks.
    pub async fn collect(self, mut lines: Body) {
        let mut looks = interval(LOOK);
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                frame = lines.frame() => match frame {
                    Some(Ok(frame)) => {
                        waiting.extend_from_slice(frame.data_ref().map_or(&[], |data| &**data));
                        self.0.take(&mut waiting);
                    }
                    _ => return,
                },
                _ = looks.tick() => if self.0.is_unseen() { return },
            }
        }
    }
}

impl Drop for Collection {
    /// Forgets everything: with a gap, the list would not be the last messages.
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.messages.clear();
        inner.since = None;
        inner.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_kept_and_none_after_the_end() {
        let live = LiveQueries::default();
        let collection = live.begin("now").unwrap();
        assert!(live.begin("later").is_none());
        let message = WatchedMessage { values: vec!["v".into(); 9], ..WatchedMessage::default() };
        for number in 0..KEPT + 3 {
            let message = WatchedMessage { size: number, ..message.clone() };
            let mut line = serde_json::to_vec(&message).unwrap();
            line.push(b'\n');
            live.take(&mut line);
        }
        assert_eq!(live.look(), KEPT as u64 + 3);
        assert!(!live.is_unseen());
        let inner = live.lock();
        assert_eq!((inner.messages.len(), inner.messages[0].size, inner.messages[0].values.len()), (KEPT, 3, VALUES));
        drop(inner);
        drop(collection);
        assert!(live.lock().messages.is_empty() && live.begin("again").is_some());
    }
}
