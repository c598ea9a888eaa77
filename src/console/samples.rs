//! The queries and updates of the last hour, a number for each minute.
//!
//! A task reads the counters of the metrics once a minute, so that the query path has nothing to do for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::interval;

use crate::metrics::Metrics;

/// The minutes that are shown.
pub const MINUTES: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// What the counters say at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    queries: u64,
    updates: u64,
}

impl Sample {
    /// What the counters say now.
    pub fn of(metrics: &Metrics) -> Self {
        Self { queries: metrics.queries_answered(), updates: metrics.updates.value() }
    }
}

/// Numbers for each of the last [`MINUTES`], the oldest first; the last minute is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastHour {
    pub queries: Vec<u64>,
    pub updates: Vec<u64>,
}

/// The samples of the last hour.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<Sample>>);

impl Samples {
    fn take(&self, sample: Sample) {
        let mut samples = self.lock();
        samples.push_back(sample);
        if samples.len() > MINUTES {
            samples.pop_front();
        }
    }

    /// The numbers by minute. `now`: what the counters say now.
    pub fn last_hour(&self, now: Sample) -> LastHour {
        let samples: Vec<Sample> = self.lock().iter().copied().chain([now]).collect();
        let by_minute = |count: fn(&Sample) -> u64| {
            let steps = samples.windows(2).map(|pair| count(&pair[1]).saturating_sub(count(&pair[0])));
            let before = std::iter::repeat_n(0, MINUTES.saturating_sub(steps.len()));
            before.chain(steps).collect()
        };
        LastHour { queries: by_minute(|sample| sample.queries), updates: by_minute(|sample| sample.updates) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a sample each minute, until `shutdown` says that the daemon stops.
pub async fn keep_sampling(samples: Arc<Samples>, metrics: Arc<Metrics>, mut shutdown: watch::Receiver<bool>) {
    let mut minutes = interval(MINUTE);
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = minutes.tick() => samples.take(Sample::of(&metrics)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_has_what_was_counted_in_it_and_older_ones_are_dropped() {
        let samples = Samples::default();
        samples.take(Sample::default());
        samples.take(Sample { queries: 5, updates: 1 });
        let hour = samples.last_hour(Sample { queries: 7, updates: 1 });
        assert_eq!((hour.queries.len(), hour.updates.len()), (MINUTES, MINUTES));
        assert_eq!((&hour.queries[57..], &hour.updates[57..]), (&[0, 5, 2][..], &[0, 1, 0][..]));
        for minute in 0..2 * MINUTES as u64 {
            samples.take(Sample { queries: 100 + minute, updates: 1 });
        }
        let hour = samples.last_hour(Sample { queries: 219, updates: 1 });
        assert_eq!((hour.queries.len(), hour.queries.iter().sum::<u64>()), (MINUTES, 59));
    }
}
