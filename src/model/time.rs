//! Time: dates of the machine's clock, and the time that the daemon has run.
//!
//! Dates are for people, serials and signatures. Whatever ends after a time (values, grace times, tokens, deleted
//! accounts) ends by the [`RunningTime`], which no wrong date can move.

mod clock;
mod precise;
pub mod relative;
mod running;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SpanRelativeTo;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

pub use clock::{Behind, Clock};
pub use precise::PreciseTimestamp;
pub use running::{Moment, RunningTime};

/// A moment in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
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
}
