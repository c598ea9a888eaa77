//! Counters, and their text in Prometheus' exposition format.
//!
//! Plain atomics with a closed set of labels, so that counting costs the read road one addition and nothing that
//! comes from the network can add a series.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::RecordType;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn one(&self) {
        self.add(1);
    }

    /// Counts several.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Makes it this.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took place, and how long it took in all.
#[derive(Debug, Default)]
pub struct Timer {
    count: Counter,
    micros: Counter,
}

impl Timer {
    /// Counts one that took `time`.
    pub fn took(&self, time: Duration) {
        self.count.one();
        self.micros.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// The query types that are counted by name; every other one counts as the last, `other`.
const TYPES: [&str; 9] = ["TXT", "A", "AAAA", "CAA", "NS", "SOA", "CNAME", "ANY", "other"];

/// The response codes that are counted by name; every other one counts as the last, `other`.
const RCODES: [&str; 7] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other"];

/// What the daemon counts.
#[derive(Debug, Default)]
pub struct Metrics {
    queries: [[Counter; TYPES.len()]; RCODES.len()],
    /// DNS queries answered over TCP, over TLS and over QUIC; the others came over UDP.
    pub over_tcp: Counter,
    pub over_tls: Counter,
    pub over_quic: Counter,
    /// DNS messages that got no answer: responses, and too short ones.
    pub dropped: Counter,
    /// Answers that did not fit, or were over the limit, and said so (TC).
    pub truncated: Counter,
    /// Answers over the limit that said TC in place of what they had to say; among those truncated.
    pub slipped: Counter,
    /// Errors over the limit, which were not sent.
    pub withheld: Counter,
    /// Queries that showed a DNS cookie: without a valid one of ours, and with.
    pub cookies: [Counter; 2],
    /// DNS messages whose TSIG is of no key that is known here, or not right.
    pub unverified: Counter,
    /// Values published.
    pub updates: Counter,
    /// Accounts registered.
    pub registrations: Counter,
    /// Requests with wrong or unusable credentials.
    pub denials: Counter,
    /// Requests turned away because too much was asked (429, 503).
    pub refusals: Counter,
    /// Requests that failed by our own fault (500).
    pub faults: Counter,
    /// Commits to the database, fsync included.
    pub commits: Timer,
    /// Rows of work in those commits.
    pub committed: Counter,
    /// Key hashes computed.
    pub hashes: Timer,
    /// Certificates that a CA has issued to the daemon.
    pub certificates_issued: Counter,
    /// Attempts to get one that have failed.
    pub certificate_failures: Counter,
    /// When the API's certificate ends, in Unix seconds; 0 where a CA has issued none to the daemon.
    pub api_certificate_expires: Gauge,
    /// Certificates that are managed for others.
    pub managed: Managed,
}

/// When managed certificates end, and when one was last not as it should be, in Unix seconds. Their names are the
/// operator's, so that there are never more series than the operator wants.
#[derive(Debug, Default)]
pub struct Managed(Mutex<BTreeMap<String, (u64, u64)>>);

impl Managed {
    /// When one ends; 0 where there is none yet.
    pub fn expires(&self, name: &str, at: u64) {
        self.lock().entry(name.to_owned()).or_default().0 = at;
    }

    /// When one has failed.
    pub fn failed(&self, name: &str, at: u64) {
        self.lock().entry(name.to_owned()).or_default().1 = at;
    }

    /// One is managed no more.
    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn render(&self, out: &mut String) {
        type Read = fn(&(u64, u64)) -> u64;
        let families: [(&str, &str, Read); 2] = [
            ("txtgate_certificate_expires_seconds", "When a managed certificate ends; 0: none yet.", |times| times.0),
            ("txtgate_certificate_failed_seconds", "When a managed certificate last failed; 0: never.", |times| {
                times.1
            }),
        ];
        let certificates = self.lock();
        for (name, help, read) in families.into_iter().filter(|_| !certificates.is_empty()) {
            family(out, name, "gauge", help);
            for (certificate, times) in certificates.iter() {
                _ = writeln!(out, "{name}{{certificate=\"{certificate}\"}} {}", read(times));
            }
        }
    }
}

impl Metrics {
    /// Counts an answered DNS query.
    pub fn answered(&self, rtype: RecordType, rcode: u16) {
        let rcode = usize::from(rcode).min(RCODES.len() - 1);
        self.queries[rcode][type_index(rtype)].one();
    }

    /// All of it as text; `gauges` are numbers that others know: name, meaning, value.
    pub fn render(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut out = String::with_capacity(4_096);
        self.render_dns(&mut out);
        for (name, help, counter) in [
            ("txtgate_dns_dropped_total", "DNS messages that got no answer.", &self.dropped),
            (
                "txtgate_dns_truncated_total",
                "DNS answers that were too large for UDP or over the limit.",
                &self.truncated,
            ),
            (
                "txtgate_dns_unverified_total",
                "DNS messages with a TSIG of an unknown key, or a wrong one.",
                &self.unverified,
            ),
            ("txtgate_updates_total", "TXT values published.", &self.updates),
            ("txtgate_registrations_total", "Accounts registered.", &self.registrations),
            ("txtgate_denials_total", "Requests with wrong credentials.", &self.denials),
            ("txtgate_refusals_total", "Requests turned away under load.", &self.refusals),
            ("txtgate_faults_total", "Requests that failed by the daemon's own fault.", &self.faults),
            ("txtgate_committed_total", "Changes made durable.", &self.committed),
            ("txtgate_certificates_issued_total", "Certificates issued to the daemon.", &self.certificates_issued),
            ("txtgate_certificate_failures_total", "Failed attempts to get a certificate.", &self.certificate_failures),
        ] {
            family(&mut out, name, "counter", help);
            _ = writeln!(out, "{name} {}", counter.value());
        }
        for (name, help, timer) in [
            ("txtgate_commit_seconds", "Time of commits, fsync included.", &self.commits),
            ("txtgate_hash_seconds", "Time of key hashes.", &self.hashes),
        ] {
            family(&mut out, name, "summary", help);
            let micros = timer.micros.value();
            _ = writeln!(out, "{name}_sum {}.{:06}", micros / 1_000_000, micros % 1_000_000);
            _ = writeln!(out, "{name}_count {}", timer.count.value());
        }
        let expires = self.api_certificate_expires.value();
        let expires =
            ("txtgate_api_certificate_expires_seconds", "When the API's certificate ends; 0: no CA's.", expires);
        for (name, help, value) in gauges.iter().chain([&expires]) {
            family(&mut out, name, "gauge", help);
            _ = writeln!(out, "{name} {value}");
        }
        self.managed.render(&mut out);
        out
    }

    fn render_dns(&self, out: &mut String) {
        family(out, "txtgate_dns_answers_total", "counter", "DNS queries answered, by rcode and query type.");
        for (rcode, by_type) in RCODES.iter().zip(&self.queries) {
            for (rtype, counter) in TYPES.iter().zip(by_type) {
                let count = counter.value();
                _ = writeln!(out, "txtgate_dns_answers_total{{rcode=\"{rcode}\",type=\"{rtype}\"}} {count}");
            }
        }
        let name = "txtgate_dns_connection_answers_total";
        let kinds = [("tcp", &self.over_tcp), ("tls", &self.over_tls), ("quic", &self.over_quic)];
        labelled(out, name, "Of these, those over connections, by kind.", "transport", kinds);
        let [others, ours] = &self.cookies;
        let name = "txtgate_dns_cookies_total";
        labelled(
            out,
            name,
            "DNS queries with a cookie, by whether it is ours.",
            "valid",
            [("no", others), ("yes", ours)],
        );
        let name = "txtgate_dns_limited_total";
        let became = [("truncated", &self.slipped), ("dropped", &self.withheld)];
        labelled(out, name, "DNS answers over the limit, by what became of them.", "became", became);
    }
}

/// A family of counters that differ in one label.
fn labelled<const N: usize>(out: &mut String, name: &str, help: &str, label: &str, counters: [(&str, &Counter); N]) {
    family(out, name, "counter", help);
    for (value, counter) in counters {
        _ = writeln!(out, "{name}{{{label}=\"{value}\"}} {}", counter.value());
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_each_family_once_and_counts() {
        let metrics = Metrics::default();
        metrics.answered(RecordType::TXT, 3);
        metrics.answered(RecordType::Unknown(65_280), 16);
        metrics.commits.took(Duration::from_micros(1_500_000));
        let text = metrics.render(&[("txtgate_values", "Live values.", 7)]);
        assert!(text.contains("txtgate_dns_answers_total{rcode=\"NXDOMAIN\",type=\"TXT\"} 1\n"));
        assert!(text.contains("txtgate_dns_answers_total{rcode=\"other\",type=\"other\"} 1\n"));
        assert!(text.contains("txtgate_commit_seconds_sum 1.500000\n") && text.contains("txtgate_values 7\n"));
        assert_eq!(text.matches("# TYPE txtgate_dns_answers_total ").count(), 1);
    }
}
