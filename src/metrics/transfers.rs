//! Zone transfers, by kind and by what became of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counter::Counter;
use super::histogram::Histogram;

/// The kinds of requests for a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// The whole zone (RFC 5936).
    Axfr,
    /// What has changed since a serial (RFC 1995).
    Ixfr,
}

impl TransferKind {
    /// The type that a question has.
    pub fn as_str(self) -> &'static str {
        KINDS[self as usize]
    }
}

/// What a request for a transfer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferResult {
    /// The whole zone.
    Whole,
    /// Differences.
    Differences,
    /// The SOA record alone: the client has the zone as it is, or must ask again over a connection.
    Soa,
    /// A refusal.
    Refused,
    /// A part; the client was too slow, or has gone.
    Failed,
}

impl TransferResult {
    pub fn as_str(self) -> &'static str {
        RESULTS[self as usize]
    }
}

/// What a NOTIFY got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyResult {
    Acknowledged,
    /// A reply with another response code than NOERROR.
    Refused,
    /// No reply.
    Unanswered,
}

pub(super) const NOTIFY_RESULTS: [&str; 3] = ["acknowledged", "refused", "unanswered"];
pub(super) const KINDS: [&str; 2] = ["AXFR", "IXFR"];
pub(super) const RESULTS: [&str; 5] = ["whole", "differences", "soa", "refused", "failed"];

/// A zone at an address of a secondary. All three come from the configuration, so that nothing from the network adds a
/// series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondaryLabels {
    pub secondary: String,
    pub address: String,
    pub zone: String,
}

/// What has become of requests for transfers, and how the secondaries are.
#[derive(Debug, Default)]
pub struct TransferMetrics {
    pub(super) notifies: [Counter; NOTIFY_RESULTS.len()],
    lags: Mutex<BTreeMap<SecondaryLabels, u64>>,
    pub(super) counters: [[Counter; RESULTS.len()]; KINDS.len()],
    /// The time of each transfer that was sent to its end.
    pub times: Histogram,
}

impl TransferMetrics {
    /// Counts a request.
    pub fn count(&self, kind: TransferKind, result: TransferResult) {
        self.counters[kind as usize][result as usize].one();
    }

    /// Counts a NOTIFY.
    pub fn notified(&self, result: NotifyResult) {
        self.notifies[result as usize].one();
    }

    /// Sets by how much the serial of a zone at a secondary is behind; `None`: it is not known.
    pub fn lag(&self, labels: SecondaryLabels, lag: Option<u64>) {
        match lag {
            Some(lag) => _ = self.lags().insert(labels, lag),
            None => _ = self.lags().remove(&labels),
        }
    }

    /// Ends the series of all secondaries; those that are still there begin again.
    pub fn forget_lags(&self) {
        self.lags().clear();
    }

    pub(super) fn lags(&self) -> MutexGuard<'_, BTreeMap<SecondaryLabels, u64>> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
