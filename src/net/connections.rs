//! The open connections of a listener: how many, whose, and which one has been idle longest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::prefix::Prefix;

/// The open connections of one or several listeners; a cheap handle.
///
/// A full house never turns a newcomer away: whoever opens connections and leaves them idle would then shut everybody
/// else out. The one that has been idle longest leaves instead, of the newcomer's own prefix where that is full.
#[derive(Clone, Debug)]
pub struct Connections {
    table: Arc<Mutex<Table>>,
    total: usize,
    per_prefix: usize,
}

/// Seats in the order of their last activity. A turn is the moment of one, and no two permits share one, so that each
/// step (come, act, leave, find the longest idle) costs one look-up in a sorted tree.
#[derive(Debug, Default)]
struct Table {
    next_turn: u64,
    permits: BTreeMap<u64, (Prefix, Arc<Told>)>,
    prefixes: HashMap<Prefix, BTreeSet<u64>>,
    /// Connections that were told to close and are still there.
    leaving: usize,
}

/// What a connection that must close is told.
#[derive(Debug, Default)]
struct Told {
    to_close: AtomicBool,
    woken: Notify,
    /// The key of the permit's entry; read and written under the table's lock only.
    turn: Mutex<u64>,
}

impl Connections {
    /// At most `total` open connections, and at most `per_prefix` from one IPv4 /24 or IPv6 /56; at least one each.
    pub fn new(total: usize, per_prefix: usize) -> Self {
        Self { table: Arc::default(), total: total.max(1), per_prefix: per_prefix.max(1) }
    }

    /// Counts a new connection, and tells the longest idle one to close where there is no room.
    pub fn admit(&self, prefix: Prefix) -> ConnectionPermit {
        let mut table = self.lock();
        if table.prefixes.get(&prefix).is_some_and(|turns| turns.len() >= self.per_prefix) {
            table.evict_of(prefix);
        } else if table.permits.len() >= self.total {
            table.evict_any();
        }
        let told = Arc::new(Told::default());
        table.permit(prefix, &told);
        ConnectionPermit { connections: self.clone(), prefix, told }
    }

    /// Tells the longest idle connection to close, for a process out of file descriptors. False where there is none.
    pub fn evict_idlest(&self) -> bool {
        self.lock().evict_any()
    }

    /// Open connections, without those that were told to close.
    pub fn len(&self) -> usize {
        self.lock().permits.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Connections that were told to close and have not yet. A listener slows down while they are many: they still
    /// hold their descriptors.
    pub fn leaving(&self) -> usize {
        self.lock().leaving
    }

    // A panic under the lock leaves at worst a count that is off by one: go on with it.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn permit(&mut self, prefix: Prefix, told: &Arc<Told>) {
        let turn = self.next_turn;
        self.next_turn += 1;
        told.set_turn(turn);
        self.permits.insert(turn, (prefix, told.clone()));
        self.prefixes.entry(prefix).or_default().insert(turn);
    }

    fn unseat(&mut self, turn: u64) -> Option<Arc<Told>> {
        let (prefix, told) = self.permits.remove(&turn)?;
        if let Some(turns) = self.prefixes.get_mut(&prefix) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.prefixes.remove(&prefix);
            }
        }
        Some(told)
    }

    fn evict_of(&mut self, prefix: Prefix) {
        let idlest = self.prefixes.get(&prefix).and_then(|turns| turns.first().copied());
        self.evict(idlest);
    }

    fn evict_any(&mut self) -> bool {
        let idlest = self.permits.first_key_value().map(|(turn, _)| *turn);
        self.evict(idlest)
    }

    fn evict(&mut self, turn: Option<u64>) -> bool {
        let Some(told) = turn.and_then(|turn| self.unseat(turn)) else {
            return false;
        };
        told.to_close.store(true, Ordering::Release);
        told.woken.notify_waiters();
        self.leaving += 1;
        true
    }
}

impl Told {
    fn turn(&self) -> u64 {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_turn(&self, turn: u64) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    fn is_to_close(&self) -> bool {
        self.to_close.load(Ordering::Acquire)
    }
}

/// One open connection's place; dropping it frees the place.
#[derive(Debug)]
pub struct ConnectionPermit {
    connections: Connections,
    prefix: Prefix,
    told: Arc<Told>,
}

impl ConnectionPermit {
    /// Notes that the connection is active now, so that others are idle longer.
    pub fn touch(&self) {
        let mut table = self.connections.lock();
        if table.unseat(self.told.turn()).is_some() {
            table.permit(self.prefix, &self.told);
        }
    }

    /// Waits until the connection is told to close; returns at once if it was already. May be awaited in a `select!`
    /// again and again.
    pub async fn evicted(&self) {
        // Made before the look at the flag: it hears of any eviction from here on.
        let woken = self.told.woken.notified();
        if !self.told.is_to_close() {
            woken.await;
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        if self.told.is_to_close() {
            table.leaving = table.leaving.saturating_sub(1);
        } else {
            table.unseat(self.told.turn());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn prefix(last: u8) -> Prefix {
        Prefix::V4([192, 0, last])
    }

    fn is_told(permit: &ConnectionPermit) -> bool {
        permit.told.is_to_close()
    }

    #[test]
    fn a_full_prefix_makes_room_among_its_own() {
        let connections = Connections::new(10, 2);
        let other = connections.admit(prefix(9));
        let (first, second) = (connections.admit(prefix(1)), connections.admit(prefix(1)));
        first.touch();
        let third = connections.admit(prefix(1));
        assert_eq!([&other, &first, &second, &third].map(is_told), [false, false, true, false]);
        assert_eq!((connections.len(), connections.leaving()), (3, 1));
        drop((first, second, third, other));
        assert_eq!((connections.len(), connections.leaving()), (0, 0));
        assert!(connections.lock().prefixes.is_empty());
    }

    #[test]
    fn a_full_house_evicts_the_longest_idle_of_all() {
        let connections = Connections::new(3, 3);
        let permits = [1, 2, 3].map(|last| connections.admit(prefix(last)));
        permits[0].touch();
        let _fourth = connections.admit(prefix(4));
        assert_eq!(permits.each_ref().map(is_told), [false, true, false]);
        permits[1].touch();
        assert_eq!(connections.len(), 3, "a connection that must close takes no place again");
        connections.evict_idlest();
        assert!(is_told(&permits[2]));
    }

    #[tokio::test]
    async fn eviction_wakes_the_connection_before_and_after_it_waits() {
        let connections = Connections::new(1, 1);
        let permit = connections.admit(prefix(1));
        assert!(tokio::time::timeout(Duration::from_millis(20), permit.evicted()).await.is_err());
        let waiting = async {
            permit.evicted().await;
            permit.evicted().await;
        };
        let newcomer = async {
            tokio::task::yield_now().await;
            connections.admit(prefix(2))
        };
        let both = async { tokio::join!(waiting, newcomer) };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("told to close");
    }

    #[test]
    fn a_flood_is_cheap_and_keeps_the_count() {
        let connections = Connections::new(4_096, 64);
        let start = processor_time();
        let mut permits = Vec::new();
        for turn in 0..100_000_u32 {
            let [_, a, b, c] = turn.wrapping_mul(2_654_435_761).to_be_bytes();
            permits.push(connections.admit(Prefix::V4([a % 4, b, c % 2])));
            assert!(connections.len() <= 4_096);
        }
        assert_eq!(connections.len() + connections.leaving(), permits.len());
        // Not a measurement: a search through all connections for each newcomer would take minutes.
        assert!(processor_time() - start < 60, "{} s", processor_time() - start);
    }

    /// Seconds that this thread has computed. Time in which others had the processor does not count.
    fn processor_time() -> i64 {
        rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec
    }
}
