//! The registered names of one zone and the TXT values that live at them.

pub mod history;
pub mod label;
mod table;
pub mod undo;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::model::serial::Serial;

use super::owner_state::OwnerState;

use history::{Difference, History};
use label::{LiveLabel, uuid_of};
use table::Table;
use undo::Undo;

/// Shards of the name table: enough that a writer at full speed stalls no reader that can be measured, and few enough that
/// their locks stay in the nearest cache of the processor.
const SHARDS: usize = 256;

/// The label under which the apex itself is kept: no label of a name is empty.
pub const APEX: &[u8] = b"";

/// A table in parts, each behind a lock of its own.
#[derive(Debug)]
struct Shards<T>(Box<[RwLock<T>]>);

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| RwLock::default()).collect())
    }
}

impl<T> Shards<T> {
    fn shard(&self, hash: u64) -> &RwLock<T> {
        &self.0[shard_of(hash)]
    }

    // A panic while a shard was locked leaves it whole (nothing in a change panics half-way): go on with it.
    fn read(&self, hash: u64) -> RwLockReadGuard<'_, T> {
        self.shard(hash).read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shard of a hash, locked for as long as `locked` is there.
    fn lock<'s, 'l>(&'s self, locked: &'l mut BTreeMap<u64, RwLockWriteGuard<'s, T>>, hash: u64) -> &'l mut T {
        let lock = || self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        locked.entry(hash % SHARDS as u64).or_insert_with(lock)
    }
}

/// The registered names of one zone, and its serial. Hashed with a random state: labels can be chosen.
#[derive(Debug)]
pub struct Live {
    /// Labels that are UUIDs, as 16 bytes.
    uuids: Shards<Table>,
    /// Any others, as text.
    others: Shards<HashMap<Box<[u8]>, OwnerState>>,
    spread: RandomState,
    serial: AtomicU32,
    history: History,
}

impl Live {
    /// No names yet, and a serial to start from.
    pub fn new(serial: Serial) -> Self {
        let (uuids, others, spread) = (Shards::default(), Shards::default(), RandomState::new());
        Self { uuids, others, spread, serial: AtomicU32::new(serial.0), history: History::default() }
    }

    /// What is at a label in lower case, or at the [`APEX`]; `None` where nobody registered it.
    pub fn at(&self, label: &[u8]) -> Option<OwnerState> {
        self.at_with_serial(label).0
    }

    /// The same, with the serial at the same moment: what a commit changes at the label, and the commit's serial, are
    /// seen both or neither.
    pub fn at_with_serial(&self, label: &[u8]) -> (Option<OwnerState>, Serial) {
        match uuid_of(label) {
            Some(uuid) => {
                let hash = self.hash(&uuid);
                let shard = self.uuids.read(hash);
                (shard.at(&uuid, hash).cloned(), self.serial())
            }
            None => {
                let shard = self.others.read(self.hash(label));
                (shard.get(label).cloned(), self.serial())
            }
        }
    }

    /// Puts a name in place, or takes it away with `None`, and leaves the serial as it is: for a zone that is being
    /// loaded, before anybody can see it.
    pub fn put(&self, label: &str, state: Option<OwnerState>) {
        self.apply([(label, state)], self.serial());
    }

    /// Applies what one commit has changed, and its serial, in one step. `None` takes a name away.
    ///
    /// All shards that a change touches stay locked until the serial is in place, so that no reader sees a part of it.
    /// Readers hold one lock at a time, so this waits for each of them for the time of a copy. A serial that is not
    /// after the present one stays as it is (RFC 1982).
    pub fn apply<'l>(&self, states: impl IntoIterator<Item = (&'l str, Option<OwnerState>)>, serial: Serial) {
        let mut history = self.history.lock();
        let mut uuids = BTreeMap::new();
        let mut others = BTreeMap::new();
        for (label, state) in states {
            let after = if history.is_followed() { state.clone() } else { None };
            let (shard, before) = match uuid_of(label.as_bytes()) {
                Some(uuid) => {
                    let hash = self.hash(&uuid);
                    let table = self.uuids.lock(&mut uuids, hash);
                    let before = match state {
                        Some(state) => table.put(uuid, state, |key| self.hash(key)),
                        None => table.remove(&uuid, |key| self.hash(key)),
                    };
                    (shard_of(hash), before)
                }
                None => {
                    let hash = self.hash(label.as_bytes());
                    let names = self.others.lock(&mut others, hash);
                    let before = match state {
                        Some(state) => names.insert(label.as_bytes().into(), state),
                        None => names.remove(label.as_bytes()),
                    };
                    (SHARDS + shard_of(hash), before)
                }
            };
            if history.is_followed() {
                history.note(shard, LiveLabel::of(label.as_bytes()), before, after);
            }
        }
        let present = self.serial();
        if serial.is_after(present) {
            history.close(present, serial);
            self.serial.store(serial.0, Ordering::Release);
        } else {
            history.close_unnumbered();
        }
    }

    /// The serial as of now.
    pub fn serial(&self) -> Serial {
        Serial(self.serial.load(Ordering::Acquire))
    }

    /// Raises the serial; one that is not after the present one changes nothing (RFC 1982).
    pub fn raise_serial(&self, serial: Serial) {
        self.apply([], serial);
    }

    /// Keeps a bounded journal of differences from now on, or none.
    pub fn keep_journal(&self, is_kept: bool) {
        self.history.lock().keep_journal(is_kept);
    }

    /// Empties the journal: what stands beside the live values is about to change.
    pub fn cut_journal(&self) {
        self.history.lock().cut();
    }

    /// The differences from an earlier serial to the present one, and that; `None` where the journal does not reach so
    /// far back.
    pub fn differences_since(&self, earlier: Serial) -> Option<(Vec<Arc<Difference>>, Serial)> {
        let history = self.history.lock();
        // The serial only rises while the history is locked.
        let present = self.serial();
        history.since(earlier).map(|differences| (differences, present))
    }

    /// From now on, notes what names were before they change, until the result is dropped; with the present serial.
    pub fn follow(&self) -> (Arc<Undo>, Serial) {
        let mut history = self.history.lock();
        let undo = history.follow();
        (undo, self.serial())
    }

    /// The names of a shard that have values; `None` behind the last shard.
    pub fn shard_states(&self, shard: usize) -> Option<Vec<(LiveLabel, OwnerState)>> {
        let has_values = |state: &OwnerState| state.texts().next().is_some();
        if shard < SHARDS {
            let table = self.uuids.read(shard as u64);
            let found = table.iter().filter(|(_, state)| has_values(state));
            return Some(found.map(|(key, state)| (LiveLabel::Uuid(*key), state.clone())).collect());
        }
        let shard = shard - SHARDS;
        if shard >= SHARDS {
            return None;
        }
        let names = self.others.read(shard as u64);
        let found = names.iter().filter(|(_, state)| has_values(state));
        Some(found.map(|(label, state)| (LiveLabel::Text(label.clone()), state.clone())).collect())
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.spread.hash_one(key)
    }
}

/// The number of a hash's shard.
fn shard_of(hash: u64) -> usize {
    // The remainder is below SHARDS, so the cast always fits.
    (hash % SHARDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::time::{RunningTime, Timestamp};
    use crate::model::txt::LiveValue;

    fn value(letter: &str) -> LiveValue {
        let (published, expires) = (Timestamp::default(), RunningTime::MAX);
        LiveValue { txt: letter.repeat(43).parse().unwrap(), published, expires }
    }

    #[test]
    fn names_come_and_go_whatever_their_form() {
        let live = Live::new(Serial(1));
        for label in ["shop", "0f8fad5b-d9cb-469f-a165-70867728950e"] {
            assert_eq!(live.at(label.as_bytes()), None);
            live.put(label, Some(OwnerState::of(&[value("a"), value("b")])));
            assert_eq!(live.at(label.as_bytes()).unwrap().values(), [value("a"), value("b")]);
            live.put(label, Some(OwnerState::Disabled));
            assert_eq!(live.at(label.as_bytes()).unwrap().values(), []);
            live.put(label, None);
            assert_eq!(live.at(label.as_bytes()), None);
        }
    }

    /// A reader that sees a commit's serial sees all of its states, and one that sees a state sees the serial.
    #[test]
    fn states_and_serial_of_a_commit_become_visible_together() {
        const COMMITS: u32 = 20_000;
        let labels =
            ["one".to_owned(), "two".to_owned(), Uuid::from_u128(3).to_string(), Uuid::from_u128(4).to_string()];
        let live = Live::new(Serial(0));
        let expired = |serial: Serial| OwnerState::Expired(RunningTime::from_seconds(serial.0.try_into().unwrap()));
        live.apply(labels.iter().map(|label| (label.as_str(), Some(expired(Serial(0))))), Serial(0));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 1..=COMMITS {
                    let states = labels.iter().map(|label| (label.as_str(), Some(expired(Serial(number)))));
                    live.apply(states, Serial(number));
                }
            });
            while !writer.is_finished() {
                let mut before = live.serial();
                for label in &labels {
                    let (state, serial) = live.at_with_serial(label.as_bytes());
                    assert_eq!(state, Some(expired(serial)), "at {label}");
                    assert!(serial == before || serial.is_after(before), "{serial} after {before}");
                    before = serial;
                }
            }
        });
        assert_eq!(live.serial(), Serial(COMMITS));
    }
}
