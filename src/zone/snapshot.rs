//! A zone's live values at one serial, read shard by shard while updates go on.
//!
//! A copy of everything at once would hold up updates, and take the memory of a second zone. So a reader takes one shard
//! at a time as it is by then, and puts back what has changed in it since the beginning: each update notes the former
//! state of its names for every snapshot that has not read them yet.

use std::sync::Arc;

use thiserror::Error;

use crate::model::serial::Serial;

use super::live::Live;
use super::live::label::LiveLabel;
use super::live::undo::{MAX_CHANGED, Undo};
use super::owner_state::OwnerState;

/// A snapshot was read too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("over {MAX_CHANGED} names changed before they were read")]
pub struct SnapshotLost;

/// The names of a zone that had values at one serial.
#[derive(Debug)]
pub struct Snapshot {
    live: Arc<Live>,
    serial: Serial,
    undo: Arc<Undo>,
}

impl Snapshot {
    /// Begins with the values as they are now.
    pub fn of(live: Arc<Live>) -> Self {
        let (undo, serial) = live.follow();
        Self { live, serial, undo }
    }

    /// The serial of all that is read.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The names of the next shard that had values then; `None` behind the last.
    pub fn next_shard(&mut self) -> Result<Option<Vec<(LiveLabel, OwnerState)>>, SnapshotLost> {
        let shard = self.undo.next();
        let Some(mut states) = self.live.shard_states(shard) else { return Ok(None) };
        // A change between this reading and the next line is noted, and undoing it changes nothing.
        let changed = self.undo.read(shard).ok_or(SnapshotLost)?;
        if !changed.is_empty() {
            states.retain(|(label, _)| !changed.contains_key(&(shard, label.clone())));
            let had_values = changed.into_iter().filter_map(|((_, label), state)| Some((label, state?)));
            states.extend(had_values.filter(|(_, state)| state.texts().next().is_some()));
        }
        Ok(Some(states))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;
    use crate::model::time::{RunningTime, Timestamp};
    use crate::model::txt::LiveValue;
    use crate::zone::live::undo::MAX_CHANGED;

    fn state(number: u32) -> Option<OwnerState> {
        let txt = format!("{number:043}").parse().unwrap();
        let value = LiveValue { txt, published: Timestamp::default(), expires: RunningTime::MAX };
        Some(OwnerState::of(&[value]))
    }

    fn labels() -> Vec<String> {
        let uuids = (0..2_000).map(|number| Uuid::from_u128(number).to_string());
        uuids.chain((0..500).map(|number| format!("name-{number}"))).collect()
    }

    fn contents(snapshot: &mut Snapshot) -> BTreeMap<LiveLabel, OwnerState> {
        let mut found = BTreeMap::new();
        while let Some(states) = snapshot.next_shard().unwrap() {
            for (label, state) in states {
                assert_eq!(found.insert(label, state), None);
            }
        }
        found
    }

    #[test]
    fn a_snapshot_is_of_one_serial_whatever_changes_meanwhile() {
        let labels = labels();
        let live = Arc::new(Live::new(Serial(0)));
        live.apply(labels.iter().map(|label| (label.as_str(), state(7))), Serial(1));
        live.apply([("empty", Some(OwnerState::Empty)), ("off", Some(OwnerState::Disabled))], Serial(2));
        let expected = contents(&mut Snapshot::of(live.clone()));
        assert_eq!(expected.len(), labels.len());
        let mut snapshot = Snapshot::of(live.clone());
        let mut found = BTreeMap::new();
        let mut serial = 2;
        while let Some(states) = snapshot.next_shard().unwrap() {
            found.extend(states);
            // Some names change twice, some go, and others come.
            for (index, label) in labels.iter().enumerate().skip(serial as usize % 5).step_by(5) {
                let after = if index % 3 == 0 { None } else { state(serial) };
                live.apply([(label.as_str(), after)], Serial(serial));
            }
            serial += 1;
            live.apply([(format!("new-{serial}").as_str(), state(serial))], Serial(serial));
        }
        assert_eq!(snapshot.serial(), Serial(2));
        assert!(found == expected, "the snapshot holds other names or values");
        assert_ne!(contents(&mut Snapshot::of(live)), expected);
    }

    #[test]
    fn concurrent_updates_do_not_change_a_snapshot() {
        let labels = labels();
        let live = Arc::new(Live::new(Serial(0)));
        live.apply(labels.iter().map(|label| (label.as_str(), state(0))), Serial(1));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 2..40 {
                    live.apply(labels.iter().map(|label| (label.as_str(), state(round))), Serial(round));
                }
            });
            while !writer.is_finished() {
                let mut snapshot = Snapshot::of(live.clone());
                let found = contents(&mut snapshot);
                let round = snapshot.serial().0;
                let expected = state(if round == 1 { 0 } else { round }).unwrap();
                assert!(found.len() == labels.len() && found.values().all(|state| *state == expected), "at {round}");
            }
        });
    }

    #[test]
    fn a_snapshot_that_is_read_too_slowly_ends_and_frees_what_it_kept() {
        let live = Arc::new(Live::new(Serial(0)));
        let mut snapshot = Snapshot::of(live.clone());
        let changed: Vec<String> =
            (0..=MAX_CHANGED as u128).map(|number| Uuid::from_u128(number).to_string()).collect();
        live.apply(changed.iter().map(|label| (label.as_str(), state(1))), Serial(1));
        assert_eq!(snapshot.next_shard(), Err(SnapshotLost));
        assert_eq!(Snapshot::of(live).next_shard().map(|states| states.is_some()), Ok(true));
    }
}
