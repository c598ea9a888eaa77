//! What names were before they changed, for a snapshot that has not read them yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::owner_state::OwnerState;
use super::label::LiveLabel;

/// The most names that may change before their shard is read. Each takes about 200 bytes.
pub const MAX_CHANGED: usize = 131_072;

/// The former states of names whose shards a snapshot has still to read.
#[derive(Debug, Default)]
pub struct Undo(Mutex<Former>);

#[derive(Debug, Default)]
struct Former {
    /// The shards before this one have been read.
    next: usize,
    states: BTreeMap<(usize, LiveLabel), Option<OwnerState>>,
    is_lost: bool,
}

impl Undo {
    /// Notes what a name was before a change. The caller has locked its shard.
    pub(super) fn note(&self, shard: usize, label: &LiveLabel, before: Option<&OwnerState>) {
        let mut former = self.lock();
        if former.is_lost || shard < former.next {
            return;
        }
        if former.states.len() >= MAX_CHANGED {
            former.is_lost = true;
            former.states.clear();
            return;
        }
        former.states.entry((shard, label.clone())).or_insert_with(|| before.cloned());
    }

    /// The first shard that has not been read.
    pub fn next(&self) -> usize {
        self.lock().next
    }

    /// Ends the reading of a shard, and returns what its names were where they have changed. `None`: too much has changed.
    pub fn read(&self, shard: usize) -> Option<BTreeMap<(usize, LiveLabel), Option<OwnerState>>> {
        let mut former = self.lock();
        if former.is_lost {
            return None;
        }
        former.next = shard + 1;
        let later = former.states.split_off(&(shard + 1, LiveLabel::Uuid([0; 16])));
        Some(std::mem::replace(&mut former.states, later))
    }

    fn lock(&self) -> MutexGuard<'_, Former> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
