//! Counters, gauges and histograms of the daemon.
//!
//! All of them are plain atomics with a closed set of labels: counting costs the query path one addition and no lock,
//! and nothing from the network can add a series. `prometheus-client` only writes them out.

mod counter;
mod exposition;
pub mod histogram;
pub mod transfers;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use histogram::Histogram;
use transfers::TransferMetrics;

pub use counter::{Counter, Gauge};
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// The query types that have a series of their own; all others count as the last, `other`.
const TYPES: [&str; 9] = ["TXT", "A", "AAAA", "CAA", "NS", "SOA", "CNAME", "ANY", "other"];

/// The response codes that have a series of their own; all others count as the last, `other`.
const RCODES: [&str; 7] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other"];

/// The routes of the API that have a series of their own; all others count as the last, `other`.
const ROUTES: [&str; 6] = ["update", "register", "httpreq", "account", "health", "other"];

/// Everything that the daemon counts and measures.
#[derive(Debug, Default)]
pub struct Metrics {
    queries: [[Counter; TYPES.len()]; RCODES.len()],
    /// DNS queries answered over TCP, TLS and QUIC; all others came over UDP.
    pub over_tcp: Counter,
    pub over_tls: Counter,
    pub over_quic: Counter,
    /// DNS messages without an answer: responses, and messages shorter than a header.
    pub dropped: Counter,
    /// Answers with the TC flag: too large for UDP, or over the rate limit.
    pub truncated: Counter,
    /// Answers over the rate limit that became empty ones with the TC flag; `truncated` counts them too.
    pub slipped: Counter,
    /// Errors over the rate limit, which were not sent.
    pub withheld: Counter,
    /// Queries with a DNS cookie: without a valid server cookie of ours, and with one.
    pub cookies: [Counter; 2],
    /// Messages that the dnstap receiver got, and that it did not get since it was slow or gone.
    pub dnstap_written: Counter,
    pub dnstap_lost: Counter,
    /// Queries for owners' names that were logged, those that were lost because the log could not keep up, and those that
    /// it left out because their network had sent its share of the second.
    pub queries_logged: Counter,
    pub queries_lost: Counter,
    pub queries_over_share: Counter,
    /// Logged queries that the file of queries did not get.
    pub queries_not_kept: Counter,
    /// Values that enough networks had fetched, and that retired before the end of their lifetime.
    pub values_retired_early: Counter,
    /// Requests that asked to wait for the nameservers, by what became of the wait.
    pub waits_served: Counter,
    pub waits_in_vain: Counter,
    pub waits_refused: Counter,
    /// Owners in the query log's memory, and the bytes that it takes.
    pub query_log_owners: Gauge,
    pub query_log_bytes: Gauge,
    /// DNS messages with a TSIG of an unknown key, or a wrong one.
    pub unverified: Counter,
    /// The time from receiving a batch of queries over UDP to sending its answers, for each answer of a timed batch.
    pub answer_times: Histogram,
    /// The time from the header of an HTTP request to its response.
    requests: [Histogram; ROUTES.len()],
    /// Values published.
    pub updates: Counter,
    /// The time of changes of TXT values, from a checked request until the change is durable and served.
    pub update_times: Histogram,
    /// Values removed at the end of their lifetime.
    pub values_expired: Counter,
    /// Accounts registered.
    pub registrations: Counter,
    /// Accounts removed for good: deleted ones, and ones that never published.
    pub removed_deleted: Counter,
    pub removed_unused: Counter,
    /// Requests with wrong or unusable credentials.
    pub denials: Counter,
    /// Requests turned away under load (429, 503).
    pub refusals: Counter,
    /// Requests that failed by a fault of the daemon (500).
    pub faults: Counter,
    /// Commits to the database, fsync included.
    pub commits: Histogram,
    /// Changes in those commits.
    pub committed: Counter,
    /// Key hashes computed.
    pub hashes: Histogram,
    /// Certificates that a CA has issued to the daemon.
    pub certificates_issued: Counter,
    /// Failed attempts to get a certificate.
    pub certificate_failures: Counter,
    /// The end of the API's certificate, in Unix seconds; 0 where no CA has issued one to the daemon.
    pub api_certificate_expires: Gauge,
    pub managed: CertificateTimes,
    pub notifications: NotificationCounters,
    pub open_matters: OpenMatterGauges,
    pub transfers: TransferMetrics,
}

impl Metrics {
    /// Counts an answered DNS query.
    pub fn answered(&self, rtype: RecordType, rcode: u16) {
        let rcode = usize::from(rcode).min(RCODES.len() - 1);
        self.queries[rcode][type_index(rtype)].one();
    }

    /// How many DNS queries were answered.
    pub fn queries_answered(&self) -> u64 {
        self.queries.iter().flatten().map(Counter::value).sum()
    }

    /// Counts an HTTP request. `route`: the pattern that it has matched, such as `/v1/account`.
    pub fn requested(&self, route: &str, took: Duration) {
        self.requests[route_index(route)].took(took);
    }
}

fn route_index(route: &str) -> usize {
    match route {
        "/update" => 0,
        "/register" => 1,
        "/present" | "/cleanup" => 2,
        "/health" => 4,
        _ if route.starts_with("/v1/") => 3,
        _ => 5,
    }
}

fn type_index(rtype: RecordType) -> usize {
    match rtype {
        RecordType::TXT => 0,
        RecordType::A => 1,
        RecordType::AAAA => 2,
        RecordType::CAA => 3,
        RecordType::NS => 4,
        RecordType::SOA => 5,
        RecordType::CNAME => 6,
        RecordType::ANY => 7,
        _ => 8,
    }
}

/// The ends and the failures of managed certificates. Their names are the operator's, so there are never more series
/// than the operator wants.
#[derive(Debug, Default)]
pub struct CertificateTimes(Mutex<BTreeMap<String, EndAndFailure>>);

/// Both in Unix seconds; 0 stands for none.
#[derive(Clone, Copy, Debug, Default)]
struct EndAndFailure {
    expires: u64,
    failed: u64,
    /// No time: a count.
    lacking: u64,
}

impl CertificateTimes {
    /// Sets the end of a certificate; 0 where none is issued yet.
    pub fn expires(&self, name: &str, at: u64) {
        self.lock().entry(name.to_owned()).or_default().expires = at;
    }

    /// Sets the last failure of a certificate.
    pub fn failed(&self, name: &str, at: u64) {
        self.lock().entry(name.to_owned()).or_default().failed = at;
    }

    /// Sets how many names a certificate lacks because they could not be proven.
    pub fn lacking(&self, name: &str, count: u64) {
        self.lock().entry(name.to_owned()).or_default().lacking = count;
    }

    /// Ends the series of a certificate.
    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, EndAndFailure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ways out of notifications.
const CHANNELS: [&str; 3] = ["webhook", "command", "mail"];

/// What has become of attempts to deliver notifications, by channel.
#[derive(Debug, Default)]
pub struct NotificationCounters {
    delivered: [Counter; CHANNELS.len()],
    failed: [Counter; CHANNELS.len()],
    dropped: [Counter; CHANNELS.len()],
}

impl NotificationCounters {
    /// Counts a message that the receiver has taken.
    pub fn delivered(&self, channel: &str) {
        count(&self.delivered, channel);
    }

    /// Counts an attempt that has failed.
    pub fn failed(&self, channel: &str) {
        count(&self.failed, channel);
    }

    /// Counts a message that is given up.
    pub fn dropped(&self, channel: &str) {
        count(&self.dropped, channel);
    }
}

fn count(counters: &[Counter; CHANNELS.len()], channel: &str) {
    let found = CHANNELS.iter().zip(counters).find(|(name, _)| **name == channel);
    found.into_iter().for_each(|(_, counter)| counter.one());
}

/// The matters that were reported and are not over, by kind.
#[derive(Debug, Default)]
pub struct OpenMatterGauges(Mutex<BTreeMap<&'static str, u64>>);

impl OpenMatterGauges {
    /// Sets how many of a kind there are.
    pub fn set(&self, kind: &'static str, count: u64) {
        self.lock().insert(kind, count);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
