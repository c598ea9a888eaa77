//! Moments to the millisecond, for what happens within seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::model::text::serde_as_text;

use super::{Timestamp, TimestampError, start_of};

/// A moment in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PreciseTimestamp(u64);

impl PreciseTimestamp {
    /// The machine's clock now; the beginning of 1970 where the clock is before it.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// From milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment without its fraction of a second.
    pub fn seconds(self) -> Timestamp {
        Timestamp::from_unix(self.0 / 1_000)
    }

    /// The moment `after` this one; saturates.
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The time between two moments, whichever is the earlier one.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

impl From<Timestamp> for PreciseTimestamp {
    /// The first millisecond of the second.
    fn from(at: Timestamp) -> Self {
        Self(at.as_unix() * 1_000)
    }
}

impl fmt::Display for PreciseTimestamp {
    /// Writes RFC 3339 in UTC: `2026-11-24T02:03:04.567Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).map_err(|_| fmt::Error)?;
        let at = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        write!(f, "{at:.3}")
    }
}

impl FromStr for PreciseTimestamp {
    type Err = TimestampError;

    /// Reads RFC 3339 with any offset from UTC, and cuts what is below a millisecond off.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let at = text.parse::<jiff::Timestamp>().ok();
        let millis = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        millis.map(Self).ok_or_else(|| TimestampError(start_of(text)))
    }
}

serde_as_text!(PreciseTimestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_with_three_digits_and_are_read_again() {
        let at = PreciseTimestamp::from_millis(1_795_485_784_050);
        assert_eq!(at.to_string(), "2026-11-24T02:03:04.050Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-24T04:03:04.0509+02:00".parse(), Ok(at));
        assert_eq!(
            (at.seconds(), PreciseTimestamp::from(at.seconds()).as_millis()),
            (Timestamp::from_unix(1_795_485_784), 1_795_485_784_000)
        );
        assert!("yesterday".parse::<PreciseTimestamp>().is_err());
    }
}
