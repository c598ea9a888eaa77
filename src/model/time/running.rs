//! The time that the daemon has run.

use std::time::Duration;

use super::Timestamp;

/// The time that the daemon has run, all its runs together, in whole seconds. Each run measures it on the monotonic
/// clock, and stores it with each commit and heartbeat of the store.
///
/// Deadlines are running times. The machine's clock may be years ahead or behind, at a start or in between: nothing ends
/// early and nothing ends late by that. The time in which no daemon runs does not count, since only the machine's clock
/// could tell it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RunningTime(i32);

impl RunningTime {
    /// The start of the first run. What an import brings can be older.
    pub const START: Self = Self(0);
    /// After 68 years; stands for never.
    pub const MAX: Self = Self(i32::MAX);

    pub const fn from_seconds(seconds: i32) -> Self {
        Self(seconds)
    }

    pub fn as_seconds(self) -> i32 {
        self.0
    }

    /// The moment `after` this one; saturates.
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(seconds(after)))
    }

    /// The moment `before` this one; saturates.
    pub fn minus(self, before: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(seconds(before)))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let passed = i64::from(self.0) - i64::from(earlier.0);
        Duration::from_secs(u64::try_from(passed).unwrap_or(0))
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// A moment by both clocks: its date for people, and its running time for deadlines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Moment {
    pub date: Timestamp,
    pub running: RunningTime,
}

impl Moment {
    /// The moment `before` this one; saturates.
    pub fn minus(self, before: Duration) -> Self {
        Self { date: self.date.minus(before), running: self.running.minus(before) }
    }

    /// The date of another running time, for people: a future one if the daemon runs on without a pause, a past one if it
    /// has run without one.
    pub fn date_of(self, other: RunningTime) -> Timestamp {
        self.date.plus(other.since(self.running)).minus(self.running.since(other))
    }

    /// The running time of another date, for what comes from elsewhere with dates.
    pub fn running_of(self, other: Timestamp) -> RunningTime {
        self.running.plus(other.since(self.date)).minus(self.date.since(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_times_saturate_and_may_lie_before_the_start() {
        let day = Duration::from_secs(86_400);
        assert_eq!(RunningTime::START.minus(day).plus(day), RunningTime::START);
        assert_eq!(RunningTime::START.since(RunningTime::START.minus(day)), day);
        assert_eq!(RunningTime::START.minus(day).since(RunningTime::START), Duration::ZERO);
        assert_eq!(RunningTime::MAX.plus(day), RunningTime::MAX);
        assert_eq!(RunningTime::START.plus(Duration::MAX), RunningTime::MAX);
        assert!(RunningTime::START.minus(Duration::MAX) < RunningTime::START);
    }

    #[test]
    fn dates_of_running_times_are_as_far_away_as_these() {
        let at = Timestamp::from_unix;
        let now = Moment { date: at(1_000), running: RunningTime::from_seconds(50) };
        assert_eq!(now.date_of(RunningTime::from_seconds(60)), at(1_010));
        assert_eq!(now.date_of(RunningTime::from_seconds(20)), at(970));
        assert_eq!(now.date_of(RunningTime::from_seconds(50)), at(1_000));
        assert_eq!(now.running_of(at(1_010)), RunningTime::from_seconds(60));
        assert_eq!(now.running_of(at(900)), RunningTime::from_seconds(-50));
        assert_eq!(now.running_of(Timestamp::MAX), RunningTime::MAX);
        let late = Moment { date: Timestamp::MAX, running: RunningTime::START };
        assert_eq!(late.date_of(RunningTime::MAX), Timestamp::MAX);
    }
}
