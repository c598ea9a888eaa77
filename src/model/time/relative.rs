//! Times as people think of them: `3 min ago`, `in 57 days`.

use super::{Clock, Timestamp};

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// A time of a reply beside the present one. What is not a time stays as it is.
pub fn relative(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |at| relative_to(at, Clock::start(None).now()))
}

/// The same with the time itself before it.
pub fn with_relative(text: &str) -> String {
    format!("{text} ({})", relative(text))
}

/// A span in its largest unit.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        DAY..172_800 => "1 day".to_owned(),
        _ => format!("{} days", seconds / DAY),
    }
}

fn relative_to(at: Timestamp, now: Timestamp) -> String {
    if at == Timestamp::MAX {
        "never".to_owned()
    } else if at > now {
        format!("in {}", span(at.since(now).as_secs()))
    } else {
        format!("{} ago", span(now.since(at).as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_unix(1_000_000_000);
        for (offset, expected) in [
            (0, "0 s ago"),
            (-59, "59 s ago"),
            (-61, "1 min ago"),
            (3_599, "in 59 min"),
            (7_200, "in 2 h"),
            (-86_400, "1 day ago"),
            (5_000_000, "in 57 days"),
        ] {
            let at = Timestamp::from_unix(u64::try_from(1_000_000_000_i64 + offset).unwrap());
            assert_eq!(relative_to(at, now), expected);
        }
        assert_eq!(relative_to(Timestamp::MAX, now), "never");
        assert_eq!(relative("soon"), "soon");
    }
}
