//! Signatures that have been made, a bounded number of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::signed::Signed;

/// Shards, each with a lock that is held for one look-up.
const SHARDS: usize = 64;

type Generation = HashMap<Box<[u8]>, Arc<Signed>, RandomState>;

/// A map that forgets what has not been asked for lately.
///
/// Two generations: what is used moves to the young one, and when that is full the old one goes. Each step is a
/// handful of moves, so that no query pays for the cleaning of a whole cache, and no list of uses must be kept.
#[derive(Debug)]
pub struct Cache {
    shards: Box<[Mutex<Shard>]>,
    spread: RandomState,
    /// Entries of one generation of one shard.
    room: usize,
}

#[derive(Debug)]
struct Shard {
    young: Generation,
    old: Generation,
}

impl Cache {
    /// Holds at most about `size` entries.
    pub fn new(size: usize) -> Self {
        // One state for all maps: it can be chosen by nobody, and a second would only cost a second hash.
        let spread = RandomState::new();
        let generation = || Generation::with_hasher(spread.clone());
        let shard = || Mutex::new(Shard { young: generation(), old: generation() });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), spread, room: (size / SHARDS / 2).max(1) }
    }

    /// What is kept under a key.
    pub fn find(&self, key: &[u8]) -> Option<Arc<Signed>> {
        let mut shard = self.shard(key);
        if let Some(found) = shard.young.get(key) {
            return Some(found.clone());
        }
        let (key, found) = shard.old.remove_entry(key)?;
        let retired = shard.insert(key, found.clone(), self.room);
        drop(shard);
        drop(retired);
        Some(found)
    }

    /// Keeps signatures, in place of older ones.
    pub fn put(&self, key: &[u8], signed: Arc<Signed>) {
        let retired = self.shard(key).insert(key.into(), signed, self.room);
        drop(retired);
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        // The high bits: the maps use the low ones. The remainder is below SHARDS, so the index always fits.
        let shard = &self.shards[(self.spread.hash_one(key) >> 48) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Returns the generation that had to go, where one had: thousands of entries, which are freed when nobody waits
    /// for the lock.
    #[must_use]
    fn insert(&mut self, key: Box<[u8]>, signed: Arc<Signed>, room: usize) -> Option<Generation> {
        let is_full = self.young.len() >= room && !self.young.contains_key(&key);
        let retired = is_full.then(|| {
            let young = Generation::with_hasher(self.old.hasher().clone());
            std::mem::replace(&mut self.old, std::mem::replace(&mut self.young, young))
        });
        self.young.insert(key, signed);
        retired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn signed(fingerprint: u64) -> Arc<Signed> {
        Arc::new(Signed { fingerprint, at: Timestamp::from_unix(0), bytes: Box::default(), count: 1 })
    }

    #[test]
    fn what_is_used_stays_and_the_size_is_bounded() {
        let cache = Cache::new(64 * 20);
        cache.put(b"kept", signed(7));
        for number in 0..100_000_u64 {
            cache.put(&number.to_be_bytes(), signed(number));
            if number % 16 == 0 {
                assert_eq!(cache.find(b"kept").map(|found| found.fingerprint), Some(7), "{number}");
            }
        }
        let entries = |shard: &Mutex<Shard>| shard.lock().map(|shard| shard.young.len() + shard.old.len()).unwrap();
        assert!(cache.shards.iter().map(entries).sum::<usize>() <= 64 * 20);
        assert!(cache.find(&0_u64.to_be_bytes()).is_none());
    }

    #[test]
    fn a_generation_is_handed_out_of_the_lock_rather_than_freed_under_it() {
        let cache = Cache::new(64 * 20);
        let kept = signed(7);
        let mut shard = cache.shard(b"");
        let retired: Vec<_> =
            (0..30_u8).map(|number| shard.insert([number].into(), kept.clone(), cache.room)).collect();
        assert_eq!(retired.iter().flatten().map(HashMap::len).collect::<Vec<_>>(), [0, 10]);
        assert_eq!(Arc::strong_count(&kept), 31, "nothing of it has been freed");
    }
}
