//! Tests of the exposition: what dashboards already read stays.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::Metrics;

/// The exposition of `counted`, as txtgate wrote it before prometheus-client did.
const BEFORE: &str = include_str!("tests/exposition.txt");

/// The families that were summaries and are histograms now.
const SUMMARIES: [&str; 2] = ["txtgate_commit_seconds", "txtgate_hash_seconds"];

fn counted() -> Arc<Metrics> {
    let metrics = Metrics::default();
    metrics.answered(RecordType::TXT, 0);
    metrics.answered(RecordType::TXT, 3);
    metrics.answered(RecordType::Unknown(65_280), 16);
    let counters = [
        &metrics.over_tcp,
        &metrics.over_tls,
        &metrics.over_quic,
        &metrics.dropped,
        &metrics.truncated,
        &metrics.slipped,
        &metrics.withheld,
        &metrics.cookies[0],
        &metrics.cookies[1],
        &metrics.unverified,
        &metrics.updates,
        &metrics.registrations,
        &metrics.denials,
        &metrics.refusals,
        &metrics.faults,
        &metrics.committed,
        &metrics.certificates_issued,
        &metrics.certificate_failures,
    ];
    for (number, counter) in (1..).zip(counters) {
        counter.add(number);
    }
    metrics.api_certificate_expires.set(1_795_485_784);
    metrics.managed.expires("a.example.com", 1_795_485_785);
    metrics.managed.failed("b.example.com", 1_795_485_786);
    metrics.managed.lacking("b.example.com", 2);
    metrics.commits.took(Duration::from_micros(1_500_000));
    metrics.hashes.took(Duration::from_micros(250_000));
    Arc::new(metrics)
}

fn is_of(line: &str, family: &str) -> bool {
    line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with(family)
}

/// The metric that a line is about.
fn family_of(line: &str) -> &str {
    let rest = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
    rest.split([' ', '{']).next().unwrap_or_default()
}

#[test]
fn names_labels_types_and_order_are_those_of_before() {
    let text = counted().render(&[("txtgate_values", "Stored TXT values.", 7)]);
    let is_kept = |line: &&str| !SUMMARIES.iter().any(|family| is_of(line, family));
    let before = |line: &&str| BEFORE.lines().any(|old| family_of(old) == family_of(line));
    let kept: Vec<&str> = BEFORE.lines().filter(is_kept).collect();
    assert_eq!(text.lines().filter(|line| is_kept(line) && before(line)).collect::<Vec<_>>(), kept);
    // Queries for rates and means of these read the sum and the count, which every histogram has.
    for line in ["txtgate_commit_seconds_sum 1.5", "txtgate_commit_seconds_count 1", "txtgate_hash_seconds_sum 0.25"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn times_are_counted_in_cumulated_buckets() {
    let metrics = Arc::new(Metrics::default());
    metrics.answer_times.each_took(Duration::from_micros(10), 3);
    metrics.answer_times.took(Duration::from_micros(11));
    metrics.answer_times.took(Duration::from_secs(60));
    let text = metrics.render(&[]);
    let bucket = |le: &str| {
        let start = format!("txtgate_answer_seconds_bucket{{le=\"{le}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).map(|count| count.parse::<u64>().unwrap())
    };
    let found = ["1e-05", "2.5e-05", "0.001", "10", "+Inf"].map(bucket);
    assert_eq!(found, [3, 4, 4, 4, 5].map(Some), "{text}");
    assert!(text.contains("# TYPE txtgate_answer_seconds histogram\n"), "{text}");
    assert!(text.contains("txtgate_answer_seconds_count 5\n"), "{text}");
    let sum = text.lines().find_map(|line| line.strip_prefix("txtgate_answer_seconds_sum "));
    assert!((sum.unwrap().parse::<f64>().unwrap() - 60.000_041).abs() < 1e-9, "{sum:?}");
}

#[test]
fn labels_are_escaped() {
    let metrics = Arc::new(Metrics::default());
    metrics.managed.expires("a\"b\\c", 1);
    assert!(metrics.render(&[]).contains("{certificate=\"a\\\"b\\\\c\"} 1\n"));
}
