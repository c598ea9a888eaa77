//! A rate limit that all threads share without a lock: the generic cell rate algorithm (ITU-T I.371).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A limit of so many events a second, with a burst.
#[derive(Debug)]
pub struct RateLimit {
    started: Instant,
    /// When the next event is due at the steady rate, in nanoseconds from the start.
    theoretical_arrival: AtomicU64,
    /// Nanoseconds between two events at the steady rate.
    interval: u64,
    /// Nanoseconds that an event may come before it is due.
    tolerance: u64,
}

impl RateLimit {
    /// `per_second` events a second. After a quiet time as many come at once as are due within `burst`.
    pub fn new(per_second: u32, burst: Duration) -> Self {
        let interval = 1_000_000_000 / u64::from(per_second.max(1));
        Self { started: Instant::now(), theoretical_arrival: AtomicU64::new(0), interval, tolerance: nanos(burst) }
    }

    /// Counts one event, and returns how long before it is due it comes; `None` if that is more than the burst allows.
    pub fn take(&self) -> Option<Duration> {
        self.take_at(nanos(self.started.elapsed()))
    }

    pub(super) fn take_at(&self, now: u64) -> Option<Duration> {
        let next = |theoretical_arrival: u64| {
            let due = theoretical_arrival.max(now);
            (due - now <= self.tolerance).then_some(due + self.interval)
        };
        let due = self.theoretical_arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(Duration::from_nanos(due.saturating_sub(now)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_a_burst_and_then_at_the_rate() {
        let limit = RateLimit::new(1_000, Duration::from_millis(10));
        let taken = |now: u64| (0..1_000).map_while(|_| limit.take_at(now)).collect::<Vec<_>>();
        let burst = taken(0);
        assert_eq!((burst.len(), burst[0], burst[10]), (11, Duration::ZERO, Duration::from_millis(10)));
        assert_eq!(taken(5_000_000).len(), 5);
        assert_eq!(taken(1_000_000_000).len(), 11);
    }
}
