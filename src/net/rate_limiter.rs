//! Growing delays after too many events of one kind from one client: wrong keys, wrong secrets, registrations.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most keys in the table. Any other key counts as new.
const CAPACITY: usize = 16_384;
/// The least time between two searches of a full table for old entries.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How many events are free, and how much time must lie between further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The number of events without a delay.
    pub free: u32,
    /// The first delay. Each further event doubles it.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
    /// A key without events for this long counts as new.
    pub quiet: Duration,
}

impl Rule {
    /// The delay between the last of `events` and the next one.
    fn delay(&self, events: u32) -> Duration {
        match events.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => self.first.saturating_mul(1 << over.min(30)).min(self.longest),
        }
    }
}

/// Events by key, under one [`Rule`].
#[derive(Debug)]
pub struct RateLimiter<K> {
    rule: Rule,
    capacity: usize,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    counts: HashMap<K, EventCount>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct EventCount {
    events: u32,
    last: Instant,
}

impl<K: Eq + Hash + Clone> RateLimiter<K> {
    /// A limiter without events.
    pub fn new(rule: Rule) -> Self {
        Self { rule, capacity: CAPACITY, table: Mutex::new(Table { counts: HashMap::new(), swept: None }) }
    }

    /// Whether an event may take place now. The error says how long it must wait. Counts nothing: a refusal never prolongs
    /// the wait.
    pub fn try_now(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let table = self.lock();
        let Some(count) = self.recent(&table, key, now) else { return Ok(()) };
        let since = now.saturating_duration_since(count.last);
        match self.rule.delay(count.events).checked_sub(since).filter(|left| !left.is_zero()) {
            None => Ok(()),
            Some(left) => Err(left),
        }
    }

    /// Counts an event.
    pub fn failed(&self, key: &K, now: Instant) {
        let mut table = self.lock();
        let events = self.recent(&table, key, now).map_or(0, |count| count.events);
        if !table.counts.contains_key(key) {
            self.make_room(&mut table, now);
        }
        table.counts.insert(key.clone(), EventCount { events: events.saturating_add(1), last: now });
    }

    /// Forgets the events of a key.
    pub fn succeeded(&self, key: &K) {
        self.lock().counts.remove(key);
    }

    /// [`RateLimiter::try_now`] and, if that allows the event, [`RateLimiter::failed`]: for events that count whatever
    /// their outcome.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.try_now(key, now)?;
        self.failed(key, now);
        Ok(())
    }

    fn recent(&self, table: &Table<K>, key: &K, now: Instant) -> Option<EventCount> {
        table.counts.get(key).copied().filter(|count| now.saturating_duration_since(count.last) < self.rule.quiet)
    }

    fn make_room(&self, table: &mut Table<K>, now: Instant) {
        if table.counts.len() < self.capacity {
            return;
        }
        if table.swept.is_none_or(|then| now.saturating_duration_since(then) >= SWEEP_EVERY) {
            table.swept = Some(now);
            table.counts.retain(|_, count| now.saturating_duration_since(count.last) < self.rule.quiet);
        }
        if table.counts.len() >= self.capacity {
            // The map hashes with a random state, so nobody can choose which entry goes.
            if let Some(any) = table.counts.keys().next().cloned() {
                table.counts.remove(&any);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table<K>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter() -> RateLimiter<&'static str> {
        RateLimiter::new(Rule { free: 2, first: SECOND, longest: 5 * SECOND, quiet: 60 * SECOND })
    }

    #[test]
    fn delays_grow_from_the_first_that_is_not_free_to_the_longest() {
        let (limiter, mut now) = (limiter(), Instant::now());
        for wait in [0, 0, 1, 2, 4, 5, 5] {
            let left = limiter.try_now(&"a", now).err().unwrap_or_default();
            assert_eq!(left, wait * SECOND);
            assert_eq!(limiter.try_now(&"b", now), Ok(()), "others are not delayed");
            now += left;
            assert_eq!(limiter.take(&"a", now), Ok(()));
        }
    }

    #[test]
    fn asking_does_not_prolong_the_wait() {
        let (limiter, now) = (limiter(), Instant::now());
        (0..3).for_each(|_| limiter.failed(&"a", now));
        for _ in 0..100 {
            assert_eq!(limiter.take(&"a", now + SECOND), Err(SECOND));
        }
        assert_eq!(limiter.try_now(&"a", now + 2 * SECOND), Ok(()));
    }

    #[test]
    fn success_and_quiet_are_forgiven() {
        let (limiter, now) = (limiter(), Instant::now());
        (0..9).for_each(|_| limiter.failed(&"a", now));
        assert!(limiter.try_now(&"a", now).is_err());
        limiter.succeeded(&"a");
        assert_eq!(limiter.try_now(&"a", now), Ok(()));
        (0..9).for_each(|_| limiter.failed(&"a", now));
        limiter.failed(&"a", now + 60 * SECOND);
        assert_eq!(limiter.try_now(&"a", now + 60 * SECOND), Ok(()), "the count began anew");
    }

    #[test]
    fn the_table_has_an_end() {
        let mut limiter = RateLimiter::new(Rule { free: 0, first: SECOND, longest: SECOND, quiet: 2 * SECOND });
        limiter.capacity = 100;
        let now = Instant::now();
        (0..1_000).for_each(|key| limiter.failed(&key, now));
        assert_eq!(limiter.lock().counts.len(), 100);
        limiter.failed(&5_000, now + 3 * SECOND);
        assert_eq!(limiter.lock().counts.len(), 1, "what is forgotten goes first");
    }
}
