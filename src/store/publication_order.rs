//! The accounts by their last publication, in memory: an index in the database would make each publication write two more
//! pages, and take a fifth longer. Nothing is kept until a list in this order is asked for, but the account that has published
//! last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most publications that are remembered until the next list is asked for. After more the order is forgotten, and read anew.
const MAX_RECENT: usize = 200_000;

/// When an account last published, in Unix seconds, zero for never; and its row. 4 bytes each: 8 MB for a million accounts.
pub type Published = (u32, u32);

/// The order, kept up to date by the writer.
#[derive(Debug, Default)]
pub struct PublicationOrder(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How often collecting has begun.
    begun: u64,
    kept: Option<Kept>,
    /// The last publication: of all accounts if `is_last_read`, or else of those that have published since the start.
    last: Option<Published>,
    is_last_read: bool,
}

#[derive(Debug, Default)]
struct Kept {
    /// The order as it was; `None` while it is being read.
    sorted: Option<Arc<Vec<Published>>>,
    /// Accounts that have published since, or are new, by their row.
    recent: HashMap<u32, u32>,
}

impl PublicationOrder {
    /// Takes note of what a commit has published. Costs nothing where no list is asked for.
    pub fn note(&self, published: &[Published]) {
        if published.is_empty() {
            return;
        }
        let mut state = self.state();
        // New accounts have published nothing yet.
        state.last = published.iter().filter(|(at, _)| *at > 0).copied().max().max(state.last);
        let Some(kept) = &mut state.kept else { return };
        kept.recent.extend(published.iter().map(|(at, row)| (*row, *at)));
        if kept.recent.len() > MAX_RECENT {
            state.kept = None;
        }
    }

    /// Begins to collect, before a reader takes its snapshot of the database. Returns the beginning, for [`Self::current`].
    pub fn collect(&self) -> u64 {
        let mut state = self.state();
        if state.kept.is_none() {
            state.kept = Some(Kept::default());
            state.begun += 1;
        }
        state.begun
    }

    /// The order, the earliest publication first. Where it is not known, `read` gives each account of a snapshot that is
    /// younger than `begun`.
    pub fn current<E>(
        &self,
        begun: u64,
        read: impl FnOnce() -> Result<Vec<Published>, E>,
    ) -> Result<Arc<Vec<Published>>, E> {
        let known = self.state().kept.as_ref().and_then(|kept| Some((kept.sorted.clone()?, kept.recent.clone())));
        let (sorted, recent) = match known {
            Some((sorted, recent)) if recent.is_empty() => return Ok(sorted),
            Some(known) => known,
            None => {
                let mut all = read()?;
                all.sort_unstable();
                (Arc::new(all), HashMap::new())
            }
        };
        // Outside of the lock: the writer takes it after each commit.
        let merged = if recent.is_empty() { sorted } else { Arc::new(merge(&sorted, &recent)) };
        let mut state = self.state();
        if state.begun == begun
            && let Some(kept) = &mut state.kept
        {
            kept.sorted = Some(merged.clone());
            kept.recent.retain(|row, at| recent.get(row) != Some(at));
        }
        Ok(merged)
    }

    /// The row of the account that has published last. Where it is not known, `read` finds it in the database.
    pub fn last<E>(&self, read: impl FnOnce() -> Result<Option<Published>, E>) -> Result<Option<u32>, E> {
        let known = Some(self.state()).filter(|state| state.is_last_read).map(|state| state.last);
        let last = match known {
            Some(last) => last,
            None => {
                let read = read()?;
                let mut state = self.state();
                state.last = state.last.max(read);
                state.is_last_read = true;
                state.last
            }
        };
        Ok(last.map(|(_, row)| row))
    }

    /// Forgets who has published last: the account at this row is gone.
    pub fn forget_last(&self, row: u32) {
        let mut state = self.state();
        if state.last.is_some_and(|(_, last)| last == row) {
            state.last = None;
            state.is_last_read = false;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(sorted: &[Published], recent: &HashMap<u32, u32>) -> Vec<Published> {
    let mut merged: Vec<Published> = Vec::with_capacity(sorted.len() + recent.len());
    merged.extend(sorted.iter().filter(|(_, row)| !recent.contains_key(row)));
    merged.extend(recent.iter().map(|(row, at)| (*at, *row)));
    // Finds that most of it is in order already.
    merged.sort();
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(order: &PublicationOrder, begun: u64, stored: &[Published]) -> Vec<Published> {
        order.current(begun, || Ok::<_, ()>(stored.to_vec())).unwrap().to_vec()
    }

    #[test]
    fn publications_since_the_first_list_move_accounts() {
        let order = PublicationOrder::default();
        order.note(&[(9, 1)]);
        let begun = order.collect();
        // Committed after the snapshot, and before the list.
        order.note(&[(20, 2)]);
        current(&order, begun, &[(5, 2), (3, 1), (0, 3)]);
        assert_eq!(current(&order, order.collect(), &[]), [(0, 3), (3, 1), (20, 2)]);
        order.note(&[(21, 3), (0, 4)]);
        order.note(&[(22, 3)]);
        assert_eq!(current(&order, order.collect(), &[]), [(0, 4), (3, 1), (20, 2), (22, 3)]);
        assert!(order.state().kept.as_ref().unwrap().recent.is_empty());
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let order = PublicationOrder::default();
        let begun = order.collect();
        current(&order, begun, &[(1, 1)]);
        let many: Vec<Published> = (0..=MAX_RECENT as u32).map(|row| (5, row)).collect();
        order.note(&many);
        assert!(order.state().kept.is_none());
        assert_eq!(current(&order, order.collect(), &[(7, 1)]), [(7, 1)], "read anew");
        // A reader from before must not bring back what it has read.
        order.note(&many);
        order.collect();
        current(&order, begun, &[(1, 1)]);
        assert!(order.state().kept.as_ref().unwrap().sorted.is_none());
    }

    #[test]
    fn the_last_publisher_is_read_once_and_noted_from_then_on() {
        let order = PublicationOrder::default();
        let known = || order.last(|| Err("it is known")).unwrap();
        assert_eq!(order.last(|| Ok::<_, ()>(None)), Ok(None));
        assert_eq!(known(), None);
        order.note(&[(20, 2), (21, 3), (0, 4)]);
        assert_eq!(known(), Some(3));
        order.note(&[(19, 5)]);
        assert_eq!(known(), Some(3), "an imported publication is as old as it says");
        order.forget_last(2);
        assert_eq!(known(), Some(3));
        order.forget_last(3);
        // While it is read, another account publishes.
        let read = order.last(|| {
            order.note(&[(22, 5)]);
            Ok::<_, ()>(Some((20, 2)))
        });
        assert_eq!((read, known()), (Ok(Some(5)), Some(5)));
    }
}
