//! The hash table of one shard's UUID names, with key and slot side by side.
//!
//! A look-up is nearly all the time that a query takes outside of the kernel, and nearly all of that is waiting for
//! memory. The standard map looks at its control bytes first and then elsewhere at the entry; here one place is looked
//! at, and where that is taken by another name the next one beside it (linear probing).

use super::super::owner_state::OwnerState;

/// A UUID in its 16 bytes.
pub type Key = [u8; 16];

/// The table. The caller hashes, always the same way, with a state that nobody can guess.
#[derive(Debug, Default)]
pub struct Table {
    /// A power of two of them, or none; at least a quarter are free.
    places: Box<[Option<(Key, OwnerState)>]>,
    count: usize,
}

impl Table {
    /// Where a table starts to grow from.
    const FIRST: usize = 4;

    /// The slot of a key.
    pub fn at(&self, key: &Key, hash: u64) -> Option<&OwnerState> {
        self.places[self.probe(key, hash)?].as_ref().map(|(_, slot)| slot)
    }

    /// Puts a slot in place of the one that is there, or of none, and returns the one that was there.
    pub fn put(&mut self, key: Key, slot: OwnerState, hash: impl Fn(&Key) -> u64) -> Option<OwnerState> {
        if (self.count + 1) * 4 > self.places.len() * 3 {
            self.grow(&hash);
        }
        let at = self.probe(&key, hash(&key))?;
        let before = self.places[at].replace((key, slot));
        self.count += usize::from(before.is_none());
        before.map(|(_, slot)| slot)
    }

    /// All keys and slots, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &(Key, OwnerState)> {
        self.places.iter().flatten()
    }

    /// Takes a key away, and returns its slot. Those behind it move up, so that no look-up stops at the gap before it has
    /// found them.
    pub fn remove(&mut self, key: &Key, hash: impl Fn(&Key) -> u64) -> Option<OwnerState> {
        let mut gap = self.probe(key, hash(key))?;
        let (_, removed) = self.places[gap].take()?;
        self.count -= 1;
        let mut at = self.after(gap);
        while let Some((key, _)) = &self.places[at] {
            let home = self.home(hash(key));
            // How far it stands from where it belongs, and from the gap, around the end of the table.
            if self.distance(home, at) >= self.distance(gap, at) {
                self.places.swap(gap, at);
                gap = at;
            }
            at = self.after(at);
        }
        Some(removed)
    }

    /// The place of a key, or else the free one where it would be; `None` where there are no places yet.
    fn probe(&self, key: &Key, hash: u64) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        // Ends: some places are free.
        while self.places[at].as_ref().is_some_and(|(found, _)| found != key) {
            at = self.after(at);
        }
        Some(at)
    }

    /// By the upper half of the hash: the lower bits have chosen the shard.
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.places.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }

    fn grow(&mut self, hash: &impl Fn(&Key) -> u64) {
        let places = (self.places.len() * 2).max(Self::FIRST);
        let old = std::mem::replace(&mut self.places, (0..places).map(|_| None).collect());
        for (key, slot) in old.into_iter().flatten() {
            if let Some(at) = self.probe(&key, hash(&key)) {
                self.places[at] = Some((key, slot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::time::RunningTime;

    fn key(number: u64) -> Key {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn slot(number: u64) -> OwnerState {
        OwnerState::Expired(RunningTime::from_seconds(number.try_into().unwrap()))
    }

    /// Does the same to a table and to the standard map, and compares them after each step.
    fn same_as_a_map(keys: u64, steps: u64, hash: impl Fn(&Key) -> u64 + Copy) {
        let (mut table, mut map) = (Table::default(), HashMap::new());
        let mut dice = 1_u64;
        for step in 0..steps {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (dice >> 33) % keys;
            if dice >> 63 == 0 {
                table.put(key(number), slot(step), hash);
                map.insert(number, slot(step));
            } else {
                table.remove(&key(number), hash);
                map.remove(&number);
            }
            assert_eq!(table.count, map.len());
            for number in 0..keys {
                assert_eq!(table.at(&key(number), hash(&key(number))), map.get(&number), "{number} in step {step}");
            }
        }
        assert!(table.places.len() <= (keys as usize * 2).next_power_of_two().max(Table::FIRST));
    }

    #[test]
    fn it_is_a_map_whatever_the_hashes() {
        let spread = |key: &Key| u64::from(key[7]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        same_as_a_map(60, 3_000, spread);
        same_as_a_map(60, 3_000, |_| 7 << 32);
        // All belong near the end, so that runs go around it.
        same_as_a_map(30, 3_000, |key| u64::from(u32::MAX - u32::from(key[7] % 3)) << 32);
    }

    #[test]
    fn an_empty_table_has_no_places_and_a_place_no_byte_to_spare() {
        assert!(Table::default().at(&key(1), 0).is_none());
        Table::default().remove(&key(1), |_| 0);
        assert!(size_of::<Option<(Key, OwnerState)>>() <= 72);
    }
}
