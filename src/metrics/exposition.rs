//! The metrics in Prometheus' text format, version 0.0.4.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::histogram::{BOUNDS, Histogram};
use super::transfers::{KINDS, NOTIFY_RESULTS, RESULTS};
use super::{CHANNELS, CertificateTimes, Counter, EndAndFailure, Metrics, RCODES, ROUTES, TYPES};

/// A number that somebody else knows: its name, its meaning and its value.
pub type Reading = (&'static str, &'static str, u64);

impl Metrics {
    /// Writes all metrics and `gauges` in Prometheus' text format.
    pub fn render(self: &Arc<Self>, gauges: &[Reading]) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Exposition { metrics: self.clone(), gauges: gauges.to_vec() }));
        let mut out = String::with_capacity(16 * 1_024);
        // Writing to a String cannot fail.
        _ = prometheus_text::encode(&mut out, &registry);
        out
    }
}

/// The families in the order of the exposition. Collecting them at each request, rather than registering each, leaves
/// the counters plain atomics and the order ours.
#[derive(Debug)]
struct Exposition {
    metrics: Arc<Metrics>,
    gauges: Vec<Reading>,
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_dns(&mut encoder)?;
        self.encode_dnstap(&mut encoder)?;
        self.encode_transfers(&mut encoder)?;
        self.encode_counters(&mut encoder)?;
        self.encode_labelled_counters(&mut encoder)?;
        self.encode_histograms(&mut encoder)?;
        for (name, help, value) in &self.gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)?;
        }
        for (name, help, gauge) in [
            ("txtgate_querylog_owners", "Names in the query log.", &self.metrics.query_log_owners),
            ("txtgate_querylog_bytes", "Memory of the query log.", &self.metrics.query_log_bytes),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&gauge.value())?;
        }
        let expires = self.metrics.api_certificate_expires.value();
        let help = "When the API's certificate expires; 0: no CA's.";
        let name = "txtgate_api_certificate_expires_seconds";
        encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&expires)?;
        encode_certificates(&mut encoder, &self.metrics.managed)?;
        self.encode_notifications(&mut encoder)
    }
}

impl Exposition {
    fn encode_dns(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "DNS queries answered, by rcode and query type.";
        let mut answers = counters(encoder, "txtgate_dns_answers", help)?;
        for (rcode, by_type) in RCODES.iter().zip(&self.metrics.queries) {
            for (rtype, counter) in TYPES.iter().zip(by_type) {
                encode_labelled(&mut answers, &[("rcode", *rcode), ("type", *rtype)], counter)?;
            }
        }
        let Metrics { over_tcp, over_tls, over_quic, slipped, withheld, .. } = &*self.metrics;
        let help = "Of these, those over connections, by kind.";
        let mut transports = counters(encoder, "txtgate_dns_connection_answers", help)?;
        encode_labelled(&mut transports, &[("transport", "tcp")], over_tcp)?;
        encode_labelled(&mut transports, &[("transport", "tls")], over_tls)?;
        encode_labelled(&mut transports, &[("transport", "quic")], over_quic)?;

        let [invalid, valid] = &self.metrics.cookies;
        let help = "DNS queries with a cookie, by whether it is ours.";
        let mut cookies = counters(encoder, "txtgate_dns_cookies", help)?;
        encode_labelled(&mut cookies, &[("valid", "no")], invalid)?;
        encode_labelled(&mut cookies, &[("valid", "yes")], valid)?;

        let help = "DNS answers over the limit, by what became of them.";
        let mut limited = counters(encoder, "txtgate_dns_limited", help)?;
        encode_labelled(&mut limited, &[("became", "truncated")], slipped)?;
        encode_labelled(&mut limited, &[("became", "dropped")], withheld)
    }

    fn encode_dnstap(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Metrics { dnstap_written, dnstap_lost, .. } = &*self.metrics;
        let help = "Messages for dnstap, by what became of them.";
        let mut messages = counters(encoder, "txtgate_dnstap_messages", help)?;
        encode_labelled(&mut messages, &[("became", "written")], dnstap_written)?;
        encode_labelled(&mut messages, &[("became", "lost")], dnstap_lost)
    }

    fn encode_transfers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests for zone transfers, by kind and by what they got.";
        let mut transfers = counters(encoder, "txtgate_transfers", help)?;
        for (kind, by_result) in KINDS.iter().zip(&self.metrics.transfers.counters) {
            for (result, counter) in RESULTS.iter().zip(by_result) {
                encode_labelled(&mut transfers, &[("kind", *kind), ("result", *result)], counter)?;
            }
        }
        let help = "NOTIFY messages to secondaries, by result.";
        let mut notifies = counters(encoder, "txtgate_notifies", help)?;
        for (result, counter) in NOTIFY_RESULTS.iter().zip(&self.metrics.transfers.notifies) {
            encode_labelled(&mut notifies, &[("result", *result)], counter)?;
        }
        self.encode_lags(encoder)
    }

    /// Writes nothing where no secondary has told its serial.
    fn encode_lags(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let lags = self.metrics.transfers.lags();
        if lags.is_empty() {
            return Ok(());
        }
        let help = "By how much the serial of a zone at a secondary is behind; 0: it is up to date.";
        let mut family = encoder.encode_descriptor("txtgate_secondary_lag", help, None, MetricType::Gauge)?;
        for (labels, lag) in lags.iter() {
            let labels = [
                ("secondary", labels.secondary.as_str()),
                ("address", labels.address.as_str()),
                ("zone", labels.zone.as_str()),
            ];
            family.encode_family(&labels)?.encode_gauge(lag)?;
        }
        Ok(())
    }

    fn encode_counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        for (name, help, counter) in [
            ("txtgate_dns_dropped", "DNS messages that got no answer.", &metrics.dropped),
            ("txtgate_dns_truncated", "DNS answers that were too large for UDP or over the limit.", &metrics.truncated),
            (
                "txtgate_dns_unverified",
                "DNS messages with a TSIG of an unknown key, or a wrong one.",
                &metrics.unverified,
            ),
            ("txtgate_queries_logged", "Queries in the query log.", &metrics.queries_logged),
            ("txtgate_queries_lost", "Queries that the query log could not keep up with.", &metrics.queries_lost),
            (
                "txtgate_queries_over_share",
                "Queries that the query log left out because one network sent too many.",
                &metrics.queries_over_share,
            ),
            (
                "txtgate_queries_not_kept",
                "Logged queries that could not be kept in the file.",
                &metrics.queries_not_kept,
            ),
            ("txtgate_updates", "TXT values published.", &metrics.updates),
            ("txtgate_values_expired", "TXT values removed at the end of their lifetime.", &metrics.values_expired),
            (
                "txtgate_values_retired_early",
                "TXT values retired because enough networks had fetched them.",
                &metrics.values_retired_early,
            ),
            ("txtgate_registrations", "Accounts registered.", &metrics.registrations),
            ("txtgate_denials", "Requests with wrong credentials.", &metrics.denials),
            ("txtgate_refusals", "Requests turned away under load.", &metrics.refusals),
            ("txtgate_faults", "Requests that failed by the daemon's own fault.", &metrics.faults),
            ("txtgate_committed", "Changes made durable.", &metrics.committed),
            ("txtgate_certificates_issued", "Certificates issued to the daemon.", &metrics.certificates_issued),
            ("txtgate_certificate_failures", "Failed attempts to get a certificate.", &metrics.certificate_failures),
        ] {
            encode_count(&mut counters(encoder, name, help)?, counter)?;
        }
        Ok(())
    }

    fn encode_labelled_counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let help = "Requests that asked to wait for every nameserver, by result.";
        let mut waits = counters(encoder, "txtgate_nameserver_waits", help)?;
        encode_labelled(&mut waits, &[("result", "served")], &metrics.waits_served)?;
        encode_labelled(&mut waits, &[("result", "not-served")], &metrics.waits_in_vain)?;
        encode_labelled(&mut waits, &[("result", "refused")], &metrics.waits_refused)?;
        let help = "Accounts removed for good, by why.";
        let mut removed = counters(encoder, "txtgate_accounts_removed", help)?;
        encode_labelled(&mut removed, &[("why", "deleted")], &metrics.removed_deleted)?;
        encode_labelled(&mut removed, &[("why", "unused")], &metrics.removed_unused)
    }

    fn encode_notifications(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counts = &self.metrics.notifications;
        let help = "Attempts to deliver notifications, by channel and result; dropped: messages that are given up.";
        let mut family = counters(encoder, "txtgate_notifications", help)?;
        for (index, channel) in CHANNELS.iter().enumerate() {
            for (result, counters) in
                [("delivered", &counts.delivered), ("failed", &counts.failed), ("dropped", &counts.dropped)]
            {
                encode_labelled(&mut family, &[("channel", *channel), ("result", result)], &counters[index])?;
            }
        }
        let help = "Matters that were reported and are not over, by kind.";
        let mut family = encoder.encode_descriptor("txtgate_open_matters", help, None, MetricType::Gauge)?;
        for (kind, count) in self.metrics.open_matters.lock().iter() {
            family.encode_family(&[("kind", *kind)])?.encode_gauge(count)?;
        }
        Ok(())
    }

    fn encode_histograms(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        for (name, help, histogram) in [
            (
                "txtgate_answer_seconds",
                "Time from receiving a batch of DNS queries over UDP to sending its answers, of one batch in 16.",
                &metrics.answer_times,
            ),
            (
                "txtgate_update_seconds",
                "Time of changes of TXT values, until each is durable and served.",
                &metrics.update_times,
            ),
            ("txtgate_transfer_seconds", "Time of zone transfers over connections.", &metrics.transfers.times),
            ("txtgate_commit_seconds", "Time of commits, fsync included.", &metrics.commits),
            ("txtgate_hash_seconds", "Time of key hashes.", &metrics.hashes),
        ] {
            encode_histogram(encoder.encode_descriptor(name, help, None, MetricType::Histogram)?, histogram)?;
        }
        let help = "Time of HTTP requests, from the header to the response, by route.";
        let mut requests = encoder.encode_descriptor("txtgate_request_seconds", help, None, MetricType::Histogram)?;
        for (route, histogram) in ROUTES.iter().zip(&metrics.requests) {
            encode_histogram(requests.encode_family(&[("route", *route)])?, histogram)?;
        }
        Ok(())
    }
}

/// Begins a family of counters; the format appends `_total` to its name.
fn counters<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    name: &'e str,
    help: &str,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Counter)
}

fn encode_labelled(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, counter: &Counter) -> fmt::Result {
    encode_count(&mut family.encode_family(labels)?, counter)
}

fn encode_count(encoder: &mut MetricEncoder<'_>, counter: &Counter) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, u64, u64>(&counter.value(), None)
}

fn encode_histogram(mut encoder: MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets()).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    encoder.encode_histogram::<NoLabelSet>(histogram.sum(), count, &buckets, None)
}

/// Writes nothing where there is no managed certificate.
fn encode_certificates(encoder: &mut DescriptorEncoder<'_>, managed: &CertificateTimes) -> fmt::Result {
    type Read = fn(&EndAndFailure) -> u64;
    let families: [(&str, &str, Read); 3] = [
        ("txtgate_certificate_expires_seconds", "When a managed certificate expires; 0: none yet.", |times| {
            times.expires
        }),
        ("txtgate_certificate_failed_seconds", "When a managed certificate last failed; 0: never.", |times| {
            times.failed
        }),
        ("txtgate_certificate_names_lacking", "Names that a managed certificate lacks (allow-subset).", |times| {
            times.lacking
        }),
    ];
    let certificates = managed.lock();
    if certificates.is_empty() {
        return Ok(());
    }
    for (name, help, read) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (certificate, times) in certificates.iter() {
            family.encode_family(&[("certificate", certificate.as_str())])?.encode_gauge(&read(times))?;
        }
    }
    Ok(())
}
