//! The aliases of all accounts, for whoever has to tell whether a name is one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::model::name::{Alias, NameRef};

/// Shards of the set: a writer holds up one reader in so many, for the time of one insertion.
const SHARDS: usize = 64;

/// How often each name of a shard is an alias, by its wire form.
type Shard = RwLock<HashMap<Box<[u8]>, u32>>;

/// Which names are an alias of at least one account. An alias may be that of many: each is counted.
#[derive(Debug)]
pub struct Aliases {
    shards: Box<[Shard]>,
    spread: RandomState,
    /// Names in the set; most servers have none, and then no lock is taken.
    names: AtomicUsize,
}

impl Default for Aliases {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            spread: RandomState::new(),
            names: AtomicUsize::new(0),
        }
    }
}

impl Aliases {
    /// Whether exactly this name is an alias of anybody.
    pub fn contains(&self, name: NameRef<'_>) -> bool {
        self.names.load(Ordering::Acquire) > 0
            && self.shard(name.as_wire()).read().unwrap_or_else(PoisonError::into_inner).contains_key(name.as_wire())
    }

    /// Counts an alias once more.
    pub fn add(&self, alias: &Alias) {
        let wire = alias.name().as_wire();
        let mut shard = self.shard(wire).write().unwrap_or_else(PoisonError::into_inner);
        match shard.get_mut(wire) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                shard.insert(wire.into(), 1);
                self.names.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Counts an alias once less; the last one takes the name away.
    pub fn remove(&self, alias: &Alias) {
        let wire = alias.name().as_wire();
        let mut shard = self.shard(wire).write().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = shard.get_mut(wire) else { return };
        *count -= 1;
        if *count == 0 {
            shard.remove(wire);
            self.names.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn shard(&self, wire: &[u8]) -> &Shard {
        // The remainder is below SHARDS, so the cast and the index always fit.
        &self.shards[(self.spread.hash_one(wire) % SHARDS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_alias_until_the_last_account_gives_it_up() {
        let aliases = Aliases::default();
        let [one, other] =
            ["_acme-challenge.example.com", "_acme-challenge.example.org"].map(|name| name.parse().unwrap());
        let is = |alias: &Alias| aliases.contains(alias.name().as_ref());
        aliases.add(&one);
        aliases.add(&one);
        assert!(is(&one) && !is(&other));
        aliases.remove(&other);
        aliases.remove(&one);
        assert!(is(&one));
        aliases.remove(&one);
        assert!(!is(&one));
    }
}
