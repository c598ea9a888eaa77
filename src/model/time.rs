//! Time. The daemon reads the wall clock once at its start, and then adds the time of the monotonic clock.
//!
//! A wall clock that jumps, forwards or backwards, therefore neither expires a value nor revives one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::SpanRelativeTo;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// A moment in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Timestamp(u32);

impl Timestamp {
    /// The last moment, which stands for never.
    pub const MAX: Self = Self(u32::MAX);

    /// From Unix seconds. Later moments than those of the year 2106 become [`MAX`](Self::MAX).
    pub fn from_unix(seconds: u64) -> Self {
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Unix seconds.
    pub fn as_unix(self) -> u64 {
        u64::from(self.0)
    }

    /// The Unix seconds as a SOA serial.
    pub fn low_32_bits(self) -> u32 {
        self.0
    }

    /// The moment `after` this one; saturates.
    pub fn plus(self, after: Duration) -> Self {
        Self::from_unix(self.as_unix().saturating_add(after.as_secs()))
    }

    /// The moment `before` this one; saturates.
    pub fn minus(self, before: Duration) -> Self {
        Self::from_unix(self.as_unix().saturating_sub(before.as_secs()))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::from(self.0.saturating_sub(earlier.0)))
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC: `2026-11-24T02:03:04Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_second(self.0.into()).map_err(|_| fmt::Error)?;
        at.fmt(f)
    }
}

/// Why a text is not a timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write a moment from 1970 on as RFC 3339 does, like `2026-11-24T02:03:04Z`; found {0:?}")]
pub struct TimestampError(String);

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339 with any offset from UTC, and cuts fractions of a second off.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let at = text.parse::<jiff::Timestamp>().ok();
        let seconds = at.and_then(|at| u64::try_from(at.as_second()).ok());
        seconds.map(Self::from_unix).ok_or_else(|| TimestampError(start_of(text)))
    }
}

/// The largest difference of the machine's clock that counts as a correction rather than as a fault.
const CORRECTION: Duration = Duration::from_secs(60);

/// The daemon's clock: the wall time of the start plus the monotonic time since. Cheap to clone; all clones share the
/// last commit.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    start: Duration,
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
    /// Reads the wall clock, and starts at `newest` where that is later: a machine whose clock was reset must not undo
    /// what it has published.
    pub fn start(newest: Option<Timestamp>) -> Self {
        let newest = newest.map_or(Duration::ZERO, |at| Duration::from_secs(at.as_unix()));
        let (wall, last_commit) = (since_1970(), Arc::default());
        Self { started: Instant::now(), start: wall.max(newest), wall_at_start: Some(timestamp(wall)), last_commit }
    }

    /// Takes the time of the last stored change into account, if there is one.
    pub fn after(self, last_commit: Option<Timestamp>) -> Self {
        let last_commit = last_commit.unwrap_or(Timestamp(0));
        let wall_at_start = self.wall_at_start.filter(|wall| *wall >= last_commit);
        Self { wall_at_start, last_commit: Arc::new(AtomicU32::new(last_commit.0)), ..self }
    }

    pub fn now(&self) -> Timestamp {
        timestamp(self.start + self.started.elapsed())
    }

    /// The machine's clock now, jumps included, with which others compare the time of a signature. Never a time before
    /// the last commit: a clock that is behind it must not date anything.
    pub fn wall(&self) -> Result<Timestamp, Behind> {
        let expected = self.wall_at_start.map(|wall| wall.plus(self.started.elapsed()));
        let last_commit = Timestamp(self.last_commit.load(Ordering::Relaxed));
        plausible_wall(timestamp(since_1970()), last_commit, expected)
    }

    /// The time to store with a change. Where the clock is wrong, the time of the last change.
    pub fn commit(&self) -> Timestamp {
        self.wall().unwrap_or_else(|behind| behind.last_commit)
    }

    /// Records the time of a stored change. An earlier time than the last one comes from the operator, who declares that
    /// the clock is right now and was wrong before.
    pub fn committed(&self, at: Timestamp) {
        self.last_commit.store(at.0, Ordering::Relaxed);
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

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write a span of time as a number and a unit (s, m, h, d), like `24h`; found {0:?}")]
pub struct SpanError(String);

/// A span of time in whole seconds, as people write it: `90s`, `24h`, `7d`, `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// No [`Timestamp`] is further from another.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        whole_seconds(text).map(Self).ok_or_else(|| SpanError(start_of(text)))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.0.as_secs()))
    }
}

/// jiff reads weeks, months, signs and fractions as well. They are refused: no setting needs them, and `1mo` is easily
/// mistaken for a minute.
fn whole_seconds(text: &str) -> Option<Duration> {
    if !text.bytes().all(|byte| b"0123456789smhd".contains(&byte)) {
        return None;
    }
    let span: jiff::Span = text.parse().ok()?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let time = Duration::try_from(signed).ok()?;
    (time.subsec_nanos() == 0 && time <= LONGEST).then_some(time)
}

/// As much of a text as an error repeats.
fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339() {
        assert_eq!(Timestamp::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_unix(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Timestamp::from_unix(1_795_485_784).to_string(), "2026-11-24T02:03:04Z");
    }

    #[test]
    fn timestamps_are_read_from_any_time_zone() {
        assert_eq!("2026-11-24T02:03:04Z".parse(), Ok(Timestamp::from_unix(1_795_485_784)));
        assert_eq!("2026-11-24t04:33:04.9+02:30".parse(), Ok(Timestamp::from_unix(1_795_485_784)));
        assert_eq!(Timestamp::MAX.to_string().parse(), Ok(Timestamp::MAX));
        for bad in ["", "2026-11-24", "2026-11-24T02:03:04", "2026-02-30T02:03:04Z", "1969-12-31T23:59:59Z", "é"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_read() {
        assert_eq!("7d".parse(), Ok(Span(Duration::from_secs(604_800))));
        for (text, seconds) in [("0s", 0), ("090s", 90), ("10m", 600), ("24h", 86_400), ("1h30m", 5_400)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!("4294967295s".parse(), Ok(Span(LONGEST)));
        for bad in ["4294967296s", "1M", "1mo", "1.5h", "500ms", "P7D", "dd", "99999999999999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["", "7", "d", "7 d", "-1s", "1w", "99999999999s", "é"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_behind_the_newest_write_starts_there() {
        let newest = Timestamp::from_unix(4_000_000_000);
        assert!(Clock::start(Some(newest)).now() >= newest);
        assert!(Clock::start(None).now() < newest);
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
