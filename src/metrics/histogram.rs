//! Times, counted in buckets.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, from a batch of answers to a flood's hashes. A last bucket without a
/// bound follows.
pub const BOUNDS: [u64; 19] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Counts of times by bucket, and their sum.
///
/// prometheus-client has a histogram too; that one takes a lock for each observation, which the query path must not.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// Counts an event that took `time`.
    pub fn took(&self, time: Duration) {
        self.each_took(time, 1);
    }

    /// Counts `events` that took `time` each.
    pub fn each_took(&self, time: Duration, events: u64) {
        let bucket = BOUNDS.partition_point(|bound| Duration::from_micros(*bound) < time);
        self.buckets[bucket].fetch_add(events, Ordering::Relaxed);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds.saturating_mul(events), Ordering::Relaxed);
    }

    /// The events of each bucket alone, not cumulated.
    pub fn buckets(&self) -> [u64; BOUNDS.len() + 1] {
        array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed))
    }

    /// The sum of all times, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
    }
}
