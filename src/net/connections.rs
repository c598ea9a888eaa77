//! The open connections of a listener: how many there are, from which prefixes, and which one has been idle longest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::prefix::Prefix;

/// The open connections of one or several listeners. A cheap handle.
///
/// A new connection is always admitted. If there is no room, the connection that has been idle longest is evicted: one of
/// the same prefix if that prefix is full, otherwise any. If new connections were refused instead, anybody could shut out
/// everybody else with idle connections.
#[derive(Clone, Debug)]
pub struct Connections {
    table: Arc<Mutex<Table>>,
    total: usize,
    per_prefix: usize,
}

/// Permits in the order of their last activity. Each activity takes the next number, its turn, and no two permits share
/// one. So each step (admit, touch, drop, find the longest idle) costs one look-up in a sorted tree.
#[derive(Debug, Default)]
struct Table {
    next_turn: u64,
    permits: BTreeMap<u64, (Prefix, Arc<Eviction>)>,
    prefixes: HashMap<Prefix, BTreeSet<u64>>,
    /// Connections that have been evicted and are still open.
    leaving: usize,
}

/// Tells a connection that it has to close.
#[derive(Debug, Default)]
struct Eviction {
    is_evicted: AtomicBool,
    woken: Notify,
    /// The key of the permit in the table. Read and written only under the table's lock.
    turn: Mutex<u64>,
}

impl Connections {
    /// Allows `total` open connections, and `per_prefix` from one IPv4 /24 or IPv6 /56. Each limit is at least one.
    pub fn new(total: usize, per_prefix: usize) -> Self {
        Self { table: Arc::default(), total: total.max(1), per_prefix: per_prefix.max(1) }
    }

    /// Counts a new connection, and evicts the one that has been idle longest if there is no room.
    pub fn admit(&self, prefix: Prefix) -> ConnectionPermit {
        let mut table = self.lock();
        if table.prefixes.get(&prefix).is_some_and(|turns| turns.len() >= self.per_prefix) {
            table.evict_of(prefix);
        } else if table.permits.len() >= self.total {
            table.evict_any();
        }
        let eviction = Arc::new(Eviction::default());
        table.insert(prefix, &eviction);
        ConnectionPermit { connections: self.clone(), prefix, eviction }
    }

    /// Evicts the connection that has been idle longest, for a process out of file descriptors. Returns `false` if there
    /// is none.
    pub fn evict_idlest(&self) -> bool {
        self.lock().evict_any()
    }

    /// The number of open connections, without evicted ones.
    pub fn len(&self) -> usize {
        self.lock().permits.len()
    }

    /// Whether no connection is open, apart from evicted ones.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of evicted connections that have not closed yet. A listener slows down while there are many of them: they
    /// still hold their descriptors.
    pub fn leaving(&self) -> usize {
        self.lock().leaving
    }

    // A panic under the lock leaves at worst a count that is off by one, so a poisoned table is used as it is.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, prefix: Prefix, eviction: &Arc<Eviction>) {
        let turn = self.next_turn;
        self.next_turn += 1;
        eviction.set_turn(turn);
        self.permits.insert(turn, (prefix, eviction.clone()));
        self.prefixes.entry(prefix).or_default().insert(turn);
    }

    fn remove(&mut self, turn: u64) -> Option<Arc<Eviction>> {
        let (prefix, eviction) = self.permits.remove(&turn)?;
        if let Some(turns) = self.prefixes.get_mut(&prefix) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.prefixes.remove(&prefix);
            }
        }
        Some(eviction)
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
        let Some(eviction) = turn.and_then(|turn| self.remove(turn)) else { return false };
        eviction.is_evicted.store(true, Ordering::Release);
        eviction.woken.notify_waiters();
        self.leaving += 1;
        true
    }
}

impl Eviction {
    fn turn(&self) -> u64 {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_turn(&self, turn: u64) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Acquire)
    }
}

/// The permit of one open connection. Dropping the permit makes room for another connection.
#[derive(Debug)]
pub struct ConnectionPermit {
    connections: Connections,
    prefix: Prefix,
    eviction: Arc<Eviction>,
}

impl ConnectionPermit {
    /// Notes that the connection is active now.
    pub fn touch(&self) {
        let mut table = self.connections.lock();
        if table.remove(self.eviction.turn()).is_some() {
            table.insert(self.prefix, &self.eviction);
        }
    }

    /// Counts the connection under another prefix from now on, as a new one.
    pub fn moved_to(self, prefix: Prefix) -> Self {
        let connections = self.connections.clone();
        drop(self);
        connections.admit(prefix)
    }

    /// Waits until the connection is evicted. Returns at once if it has been evicted already. Cancel safe.
    pub async fn evicted(&self) {
        // Created before the flag is read, so that no eviction from here on is missed.
        let woken = self.eviction.woken.notified();
        if !self.eviction.is_evicted() {
            woken.await;
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        if self.eviction.is_evicted() {
            table.leaving = table.leaving.saturating_sub(1);
        } else {
            table.remove(self.eviction.turn());
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

    fn is_evicted(permit: &ConnectionPermit) -> bool {
        permit.eviction.is_evicted()
    }

    #[test]
    fn a_full_prefix_makes_room_among_its_own() {
        let connections = Connections::new(10, 2);
        let other = connections.admit(prefix(9));
        let (first, second) = (connections.admit(prefix(1)), connections.admit(prefix(1)));
        first.touch();
        let third = connections.admit(prefix(1));
        assert_eq!([&other, &first, &second, &third].map(is_evicted), [false, false, true, false]);
        assert_eq!((connections.len(), connections.leaving()), (3, 1));
        drop((first, second, third, other));
        assert_eq!((connections.len(), connections.leaving()), (0, 0));
        assert!(connections.lock().prefixes.is_empty());
    }

    #[test]
    fn a_connection_of_a_proxy_counts_for_its_client() {
        let connections = Connections::new(10, 1);
        let first = connections.admit(prefix(1)).moved_to(prefix(2));
        let second = connections.admit(prefix(1)).moved_to(prefix(3));
        assert_eq!((connections.len(), [&first, &second].map(is_evicted)), (2, [false, false]));
        let third = connections.admit(prefix(1)).moved_to(prefix(2));
        assert_eq!([&first, &second, &third].map(is_evicted), [true, false, false]);
    }

    #[test]
    fn a_full_house_evicts_the_longest_idle_of_all() {
        let connections = Connections::new(3, 3);
        let permits = [1, 2, 3].map(|last| connections.admit(prefix(last)));
        permits[0].touch();
        let _fourth = connections.admit(prefix(4));
        assert_eq!(permits.each_ref().map(is_evicted), [false, true, false]);
        permits[1].touch();
        assert_eq!(connections.len(), 3, "a connection that must close takes no place again");
        connections.evict_idlest();
        assert!(is_evicted(&permits[2]));
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
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("evicted");
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
