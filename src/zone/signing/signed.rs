//! The signatures of one record set.

use std::time::Duration;

use crate::model::time::{Behind, Timestamp};

/// The age at which a signature is made anew.
const REFRESH: Duration = Duration::from_secs(7 * 86_400);
/// A clock that is set back by more than this makes signatures anew: those that exist would begin in the future.
const SET_BACK: Duration = Duration::from_secs(3_600);

/// The RRSIG records of one set: one for each key.
#[derive(Debug)]
pub struct Signed {
    /// A hash of what was signed, TTL and RDATA, with a key of this process.
    pub(super) fingerprint: u64,
    pub(super) at: Timestamp,
    /// The RDATA of all records, one behind the other and equally long.
    pub(super) bytes: Box<[u8]>,
    pub(super) count: usize,
}

impl Signed {
    /// Each record's RDATA.
    pub fn rdatas(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.bytes.len() / self.count.max(1))
    }

    pub(super) fn is_fresh(&self, wall: Result<Timestamp, Behind>) -> bool {
        // A clock that cannot be believed says nothing about age either.
        wall.map_or(true, |wall| wall.plus(SET_BACK) >= self.at && wall.since(self.at) < REFRESH)
    }
}
