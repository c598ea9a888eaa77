//! Time: the wall clock is read once at start; from then on the monotonic clock carries it.
//!
//! So a wall clock that jumps, forwards or backwards, expires nothing and brings nothing back.

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
    /// The last moment that there is, which stands for never.
    pub const MAX: Self = Self(u32::MAX);

    /// From Unix seconds; clamped to the years 1970 to 2106.
    pub fn from_unix(seconds: u64) -> Self {
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Unix seconds.
    pub fn as_unix(self) -> u64 {
        u64::from(self.0)
    }

    /// The Unix seconds modulo 2^32, as a SOA serial takes them.
    pub fn low_32_bits(self) -> u32 {
        self.0
    }

    /// This moment and `after` more; saturates.
    pub fn plus(self, after: Duration) -> Self {
        Self::from_unix(self.as_unix().saturating_add(after.as_secs()))
    }

    /// This moment less `before`; saturates.
    pub fn minus(self, before: Duration) -> Self {
        Self::from_unix(self.as_unix().saturating_sub(before.as_secs()))
    }

    /// How long from `earlier` to here; zero where that is later.
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

/// A text is no moment from 1970 on.
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

/// How far the machine's clock may be set back, or differ from ours, and still be right: it is being corrected.
const CORRECTION: Duration = Duration::from_secs(60);

/// The daemon's clock: wall time at start plus what the monotonic clock has run since. Cheap to clone; all clones know
/// of the same last commit.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    start: Duration,
    /// What the machine's clock said at the start, where that was not before the last commit.
    witness: Option<Timestamp>,
    /// When the last change was stored, by the machine's clock.
    last_commit: Arc<AtomicU32>,
}

/// The machine's clock is behind the last change that is stored: it is wrong, or was wrong then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the machine's clock says {clock}, which is before the last change that is stored ({last_commit})")]
pub struct Behind {
    /// What it says.
    pub clock: Timestamp,
    /// What it said when the last change was stored.
    pub last_commit: Timestamp,
}

impl Behind {
    /// By how much.
    pub fn lag(self) -> Duration {
        self.last_commit.since(self.clock)
    }
}

impl Clock {
    /// Reads the wall clock, and starts at `newest` where that is later: a machine whose clock has lost its battery
    /// must not undo what it has published.
    pub fn start(newest: Option<Timestamp>) -> Self {
        let newest = newest.map_or(Duration::ZERO, |at| Duration::from_secs(at.as_unix()));
        let (wall, last_commit) = (since_1970(), Arc::default());
        Self { started: Instant::now(), start: wall.max(newest), witness: Some(timestamp(wall)), last_commit }
    }

    /// The same, knowing when the last change was stored, if one was.
    pub fn after(self, last_commit: Option<Timestamp>) -> Self {
        let last_commit = last_commit.unwrap_or(Timestamp(0));
        let witness = self.witness.filter(|wall| *wall >= last_commit);
        Self { witness, last_commit: Arc::new(AtomicU32::new(last_commit.0)), ..self }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        timestamp(self.start + self.started.elapsed())
    }

    /// The time that others compare a signature's with: what the machine's clock says now, jumps included. Never a
    /// time before the last commit: nothing may be dated by a clock that is behind that.
    pub fn wall(&self) -> Result<Timestamp, Behind> {
        let witness = self.witness.map(|wall| wall.plus(self.started.elapsed()));
        let last_commit = Timestamp(self.last_commit.load(Ordering::Relaxed));
        believed(timestamp(since_1970()), last_commit, witness)
    }

    /// The time to write down with a change: that of the last one where the clock cannot be believed.
    pub fn commit(&self) -> Timestamp {
        self.wall().unwrap_or_else(|behind| behind.last_commit)
    }

    /// Takes note of a change that has been stored. One that was stored before the present last one is the operator's
    /// word that the clock is right and was wrong then.
    pub fn committed(&self, at: Timestamp) {
        self.last_commit.store(at.0, Ordering::Relaxed);
    }
}

/// What to date a signature by.
///
/// Where the machine's clock is behind the last commit, one of the two is wrong. Which one the `witness` can tell:
/// the time that has run in this process since its start, when the clock was not behind. It and the clock together
/// outweigh a commit that was made while the clock had jumped ahead.
fn believed(wall: Timestamp, last_commit: Timestamp, witness: Option<Timestamp>) -> Result<Timestamp, Behind> {
    if wall.plus(CORRECTION) >= last_commit {
        return Ok(wall.max(last_commit));
    }
    let is_witnessed = witness.is_some_and(|witness| witness.since(wall).max(wall.since(witness)) <= CORRECTION);
    if is_witnessed { Ok(wall) } else { Err(Behind { clock: wall, last_commit }) }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn timestamp(since_1970: Duration) -> Timestamp {
    Timestamp::from_unix(since_1970.as_secs())
}

/// A text is no span of time.
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
    fn a_clock_that_is_corrected_by_seconds_is_right_and_one_witness_outweighs_a_commit() {
        let at = Timestamp::from_unix;
        let believed = |wall, last, witness: Option<u64>| believed(at(wall), at(last), witness.map(at)).ok();
        assert_eq!(believed(1_000, 900, None), Some(at(1_000)));
        assert_eq!(believed(1_000, 1_060, None), Some(at(1_060)), "never before the commit");
        assert_eq!(believed(1_000, 1_061, None), None);
        // It jumped ahead, a change was stored, and it came back to where this process has run since its start.
        assert_eq!(believed(1_000, 9_000, Some(1_030)), Some(at(1_000)));
        assert_eq!(believed(1_000, 9_000, Some(1_061)), None);
        assert_eq!(believed(1_000, 9_000, Some(939)), None);
    }
}
