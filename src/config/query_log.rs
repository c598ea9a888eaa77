//! `[querylog]`: how many queries are kept, where, and how exactly.

use std::time::Duration;

use super::file::{Privacy, QueryLog};
use super::read::Reader;

/// Queries of one owner that may be kept in memory.
const PER_OWNER: (u64, u64) = (8, 1_024);
/// The memory that may be taken: the least that holds anything useful, and the most that a 32-bit number counts.
const MEMORY: (&str, &str) = ("1 MiB", "4095 MiB");
/// The most days for which a file keeps queries.
const MOST_DAYS: u64 = 400;
/// The size of that file in MiB: the least that holds anything useful, and 1 TiB.
const KEEP_MEBIBYTES: (u64, u64) = (16, 1 << 20);

/// The settings of the query log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLogSettings {
    /// Whether queries are logged at all.
    pub enabled: bool,
    /// Queries of each owner that memory holds.
    pub per_owner: usize,
    /// Bytes of memory in all.
    pub memory: usize,
    /// Whether addresses are cut to their networks before anything is kept.
    pub is_private: bool,
    /// How much a file keeps; `None`: there is no file.
    pub keep: Option<QueryFileLimits>,
}

/// How much the file of queries keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryFileLimits {
    /// For how long, as the daemon runs.
    pub time: Duration,
    /// Bytes in all.
    pub bytes: u64,
}

impl QueryLogSettings {
    /// No log.
    pub const OFF: Self = Self { enabled: false, per_owner: 0, memory: 0, is_private: true, keep: None };
}

impl Reader<'_> {
    pub(super) fn query_log(&self, log: &QueryLog) -> QueryLogSettings {
        let (least, most) = PER_OWNER;
        self.in_range("querylog.per-owner", log.per_owner as u64, least, most);
        QueryLogSettings {
            enabled: log.enabled,
            per_owner: log.per_owner,
            memory: self.query_log_memory(&log.memory),
            is_private: log.privacy == Privacy::Network,
            keep: self.query_file_limits(log),
        }
    }

    fn query_file_limits(&self, log: &QueryLog) -> Option<QueryFileLimits> {
        self.in_range("querylog.keep-days", log.keep_days, 0, MOST_DAYS);
        let (least, most) = KEEP_MEBIBYTES;
        self.in_range("querylog.keep-mebibytes", log.keep_mebibytes, least, most);
        let time = Duration::from_secs(log.keep_days.min(MOST_DAYS) * 86_400);
        let bytes = log.keep_mebibytes.min(most) << 20;
        (!time.is_zero()).then_some(QueryFileLimits { time, bytes })
    }

    fn query_log_memory(&self, text: &str) -> usize {
        let (least, most) = MEMORY;
        let bounds = bytes(least).zip(bytes(most));
        match (bytes(text), bounds) {
            (Some(found), Some((least, most))) if (least..=most).contains(&found) => found,
            _ => {
                let wanted = format!("write a size from {least:?} to {most:?}, in KiB, MiB or GiB");
                self.wrong("querylog.memory", format!("found {text:?}; {wanted}"));
                0
            }
        }
    }
}

/// The bytes of a size like `64 MiB`.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim_start() {
        "KiB" => 1_024,
        "MiB" => 1_024 * 1_024,
        "GiB" => 1_024 * 1_024 * 1_024,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (text, size) in [("64 MiB", 64 << 20), ("64MiB", 64 << 20), ("0 KiB", 0), ("2 GiB", 2 << 30)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for wrong in ["", "64", "64 MB", "MiB", "-1 MiB", "1.5 GiB", "64 mib", "64 MiB ", "99999999999999999999 GiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
