//! The daemon's clock: the machine's, and the time that the daemon has run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;

use super::Timestamp;
use super::running::{Moment, RunningTime};

/// The largest difference of the machine's clock that counts as a correction rather than as a fault.
const CORRECTION: Duration = Duration::from_secs(60);

/// The daemon's clock. Cheap to clone; all clones share what is known of the last commit.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    /// The stored running time of the runs before this one. Its fraction of a second is that of the machine's clock, so
    /// that both change their second at the same instant.
    ran_before: Duration,
    /// The machine's clock at the start, unless it was behind the last commit. Together with the monotonic time it shows
    /// whether the machine's clock has jumped since.
    wall_at_start: Option<Timestamp>,
    /// The time of the last stored change, by the machine's clock.
    last_commit: Arc<AtomicU32>,
}

/// The machine's clock is behind the last stored change: it is wrong now, or was wrong then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the machine's clock says {clock}, which is before the last change that is stored ({last_commit})")]
pub struct Behind {
    /// The clock now.
    pub clock: Timestamp,
    /// The clock at the last stored change.
    pub last_commit: Timestamp,
}

impl Behind {
    pub fn lag(self) -> Duration {
        self.last_commit.since(self.clock)
    }
}

impl Clock {
    /// Starts a run after the stored running time of those before it; `None` for the first run.
    pub fn start(stored: Option<RunningTime>) -> Self {
        let stored = stored.unwrap_or(RunningTime::START);
        let wall = since_1970();
        Self {
            started: Instant::now(),
            ran_before: stored.since(RunningTime::START) + Duration::from_nanos(wall.subsec_nanos().into()),
            wall_at_start: Some(timestamp(wall)),
            last_commit: Arc::default(),
        }
    }

    /// Takes the time of the last stored change into account, if there is one.
    pub fn after(self, last_commit: Option<Timestamp>) -> Self {
        let last_commit = last_commit.unwrap_or_default();
        let wall_at_start = self.wall_at_start.filter(|wall| *wall >= last_commit);
        Self { wall_at_start, last_commit: Arc::new(AtomicU32::new(last_commit.low_32_bits())), ..self }
    }

    /// The date, by the machine's clock: right or wrong, and with its jumps.
    pub fn now(&self) -> Timestamp {
        timestamp(since_1970())
    }

    /// The time that the daemon has run until now, in all runs.
    pub fn running(&self) -> RunningTime {
        RunningTime::START.plus(self.ran_before + self.started.elapsed())
    }

    /// Both.
    pub fn moment(&self) -> Moment {
        Moment { date: self.now(), running: self.running() }
    }

    /// The machine's clock now, jumps included, with which others compare the time of a signature. Never a time before
    /// the last commit: a clock that is behind it must not date anything.
    pub fn wall(&self) -> Result<Timestamp, Behind> {
        let expected = self.wall_at_start.map(|wall| wall.plus(self.started.elapsed()));
        plausible_wall(timestamp(since_1970()), self.last_commit(), expected)
    }

    /// The time to store with a change. Where the clock is wrong, the time of the last change.
    pub fn commit(&self) -> Timestamp {
        self.wall().unwrap_or_else(|behind| behind.last_commit)
    }

    /// Records the time of a stored change. An earlier time than the last one comes from the operator, who declares that
    /// the clock is right now and was wrong before.
    pub fn committed(&self, at: Timestamp) {
        self.last_commit.store(at.low_32_bits(), Ordering::Relaxed);
    }

    fn last_commit(&self) -> Timestamp {
        Timestamp::from_unix(self.last_commit.load(Ordering::Relaxed).into())
    }
}

/// The time to date a signature by.
///
/// If the machine's clock is behind the last commit, one of the two is wrong. `expected` tells which: the clock at the
/// start of this process, when it was not behind, plus the monotonic time since. If the clock agrees with `expected`, the
/// commit was made while the clock had jumped ahead.
fn plausible_wall(wall: Timestamp, last_commit: Timestamp, expected: Option<Timestamp>) -> Result<Timestamp, Behind> {
    if wall.plus(CORRECTION) >= last_commit {
        return Ok(wall.max(last_commit));
    }
    let is_expected = expected.is_some_and(|expected| expected.since(wall).max(wall.since(expected)) <= CORRECTION);
    if is_expected { Ok(wall) } else { Err(Behind { clock: wall, last_commit }) }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn timestamp(since_1970: Duration) -> Timestamp {
    Timestamp::from_unix(since_1970.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_the_stored_running_time_ends() {
        let clock = Clock::start(Some(RunningTime::from_seconds(1_000)));
        let passed = clock.running().since(RunningTime::from_seconds(1_000));
        assert!(passed < Duration::from_secs(60), "{passed:?}");
        assert!(Clock::start(None).running() < RunningTime::from_seconds(60));
    }

    #[test]
    fn nothing_is_dated_before_the_last_commit() {
        let clock = Clock::start(None);
        assert!(clock.wall().is_ok());
        let late = Timestamp::from_unix(4_000_000_000);
        let clock = clock.after(Some(late));
        assert_eq!(clock.wall().unwrap_err().last_commit, late);
        // What is stored meanwhile does not make the clock right.
        clock.committed(clock.commit());
        assert_eq!(clock.wall().unwrap_err().last_commit, late);
        let (seen, clone) = (clock.wall().unwrap_err().clock, clock.clone());
        clone.committed(seen);
        assert!(clock.wall().is_ok_and(|wall| wall >= seen));
    }

    #[test]
    fn a_clock_that_is_corrected_by_seconds_is_right_and_the_monotonic_time_outweighs_a_commit() {
        let at = Timestamp::from_unix;
        let plausible = |wall, last, expected: Option<u64>| plausible_wall(at(wall), at(last), expected.map(at)).ok();
        assert_eq!(plausible(1_000, 900, None), Some(at(1_000)));
        assert_eq!(plausible(1_000, 1_060, None), Some(at(1_060)), "never before the commit");
        assert_eq!(plausible(1_000, 1_061, None), None);
        // It jumped ahead, a change was stored, and it came back to where this process has run since its start.
        assert_eq!(plausible(1_000, 9_000, Some(1_030)), Some(at(1_000)));
        assert_eq!(plausible(1_000, 9_000, Some(1_061)), None);
        assert_eq!(plausible(1_000, 9_000, Some(939)), None);
    }
}
