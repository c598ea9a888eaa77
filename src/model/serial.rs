//! SOA serials in the arithmetic of RFC 1982.

use std::fmt;

use crate::model::time::Timestamp;

/// A zone's SOA serial (RFC 1035 section 3.3.13), compared as RFC 1982 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Serial(pub u32);

impl Serial {
    /// The next serial: this one plus 1, or the Unix time where that is ahead, so that a serial also tells the time.
    pub fn next(self, now: Timestamp) -> Self {
        let one_more = self.one_more();
        let clock = Self(now.low_32_bits());
        if clock.is_after(one_more) { clock } else { one_more }
    }

    /// The serial after this one.
    pub fn one_more(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether `self` is greater than `other` (RFC 1982 section 3.2). At a distance of exactly 2^31 neither is.
    pub fn is_after(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_clock_and_never_goes_back() {
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(Serial(5).next(now), Serial(1_800_000_000));
        assert_eq!(Serial(1_800_000_000).next(now), Serial(1_800_000_001));
        assert_eq!(Serial(1_900_000_000).next(now), Serial(1_900_000_001));
    }

    #[test]
    fn wraps_as_rfc_1982_says() {
        assert!(Serial(0).is_after(Serial(u32::MAX)));
        assert!(!Serial(u32::MAX).is_after(Serial(0)));
        assert_eq!(Serial(u32::MAX).next(Timestamp::from_unix(5)), Serial(5));
    }
}
