//! Queries as they arrive, for those who wait for them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::model::name::Owner;

use super::evidence::LoggedQuery;

/// Streams that may be open at the same time.
pub const MAX_FOLLOWERS: usize = 64;
/// Queries that may wait for one reader. It misses those past them.
const MAX_WAITING: usize = 256;

/// All streams are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{MAX_FOLLOWERS} streams of queries are open already; end one of them first, or ask for a list")]
pub struct TooManyFollowers;

/// A query, and the owner that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedQuery {
    pub owner: Owner,
    pub query: LoggedQuery,
}

/// The open streams.
#[derive(Clone, Debug, Default)]
pub struct Followers(Arc<FollowerList>);

#[derive(Debug, Default)]
struct FollowerList {
    count: AtomicUsize,
    open: Mutex<Vec<Follower>>,
}

#[derive(Debug)]
struct Follower {
    owners: BTreeSet<Owner>,
    queue: Sender<Arc<FollowedQuery>>,
}

/// An open stream. Dropping it ends it.
#[derive(Debug)]
pub struct QueryStream {
    queue: Receiver<Arc<FollowedQuery>>,
    followers: Followers,
}

impl Followers {
    /// A stream of the queries for these owners, from now on.
    pub fn follow(&self, owners: BTreeSet<Owner>) -> Result<QueryStream, TooManyFollowers> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_FOLLOWERS {
            return Err(TooManyFollowers);
        }
        let (queue, receiver) = channel(MAX_WAITING);
        open.push(Follower { owners, queue });
        self.0.count.store(open.len(), Ordering::Relaxed);
        Ok(QueryStream { queue: receiver, followers: self.clone() })
    }

    /// Sends a query to each stream of its owner. Never waits.
    pub fn tell(&self, owner: &Owner, query: impl FnOnce() -> LoggedQuery) {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut concerned = open.iter().filter(|follower| follower.owners.contains(owner)).peekable();
        if concerned.peek().is_none() {
            return;
        }
        let told = Arc::new(FollowedQuery { owner: owner.clone(), query: query() });
        // A full queue loses the query.
        concerned.for_each(|follower| _ = follower.queue.try_send(told.clone()));
    }

    fn forget_closed(&self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|follower| !follower.queue.is_closed());
        self.0.count.store(open.len(), Ordering::Relaxed);
    }
}

impl QueryStream {
    /// Waits for the next query. Never returns `None` while the stream is open.
    pub async fn next(&mut self) -> Option<Arc<FollowedQuery>> {
        self.queue.recv().await
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        self.queue.close();
        self.followers.forget_closed();
    }
}
