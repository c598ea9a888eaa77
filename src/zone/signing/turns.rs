//! Turns at a steady rate, shared by all threads without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A token bucket in the form of one number: the moment at which all turns that were given are used up.
#[derive(Debug)]
pub struct Turns {
    started: Instant,
    /// Nanoseconds from the start.
    used_up: AtomicU64,
    apart: u64,
    ahead: u64,
}

impl Turns {
    /// So many turns a second, and as many at once as fit in the time `ahead`.
    pub fn new(per_second: u32, ahead: Duration) -> Self {
        let apart = 1_000_000_000 / u64::from(per_second.max(1));
        Self { started: Instant::now(), used_up: AtomicU64::new(0), apart, ahead: nanos(ahead) }
    }

    /// Takes a turn, and says how long it is until it would have come at the steady rate; `None` where that is too far
    /// ahead.
    pub fn take(&self) -> Option<Duration> {
        self.take_at(nanos(self.started.elapsed()))
    }

    pub(super) fn take_at(&self, now: u64) -> Option<Duration> {
        let next = |used_up: u64| {
            let turn = used_up.max(now);
            (turn - now <= self.ahead).then_some(turn + self.apart)
        };
        let before = self.used_up.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(Duration::from_nanos(before.saturating_sub(now)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_in_a_burst_and_then_at_the_rate() {
        let turns = Turns::new(1_000, Duration::from_millis(10));
        let taken = |now: u64| (0..1_000).map_while(|_| turns.take_at(now)).collect::<Vec<_>>();
        let burst = taken(0);
        assert_eq!((burst.len(), burst[0], burst[10]), (11, Duration::ZERO, Duration::from_millis(10)));
        assert_eq!(taken(5_000_000).len(), 5);
        assert_eq!(taken(1_000_000_000).len(), 11);
    }
}
