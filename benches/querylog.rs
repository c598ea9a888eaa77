//! Nanoseconds that the query log adds to each answer, and that each logged query takes of the task behind it, at 10,000
//! names.
//!
//! `cargo bench --bench querylog`. Processor time of the thread, medians of several rounds.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

#[path = "shared/zone.rs"]
mod shared;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use txtgate::config::QueryLogSettings;
use txtgate::dns::limits::ReplyLimits;
use txtgate::dns::watch::Watchers;
use txtgate::dns::{MessageSource, Responder, ResponsePolicy};
use txtgate::metrics::Metrics;
use txtgate::model::time::Clock;
use txtgate::querylog::QueryLog;
use txtgate::zone::Zones;

use shared::{A, Failure, TXT, labels, query, source, zone};

const SETTINGS: QueryLogSettings =
    QueryLogSettings { enabled: true, per_owner: 64, memory: 64 << 20, is_private: false, keep: None };
const ROUNDS: usize = 1_500;
/// Queries of one round: fewer than the queue has room for.
const PER_ROUND: usize = 1_000;
/// Networks in all: so many that each is within its share.
const NETWORKS: usize = 8_192;

fn main() -> Result<(), Failure> {
    let labels = labels();
    for (what, rtype, networks) in [
        ("TXT, a few networks", TXT, 6),
        ("TXT, many networks", TXT, NETWORKS),
        ("no data, many networks", A, NETWORKS),
    ] {
        let queries: Vec<Vec<u8>> = labels.iter().map(|label| query(label, rtype)).collect();
        let (off, _) = measure(&responder(&labels, QueryLogSettings::OFF)?, &queries, networks);
        let (on, log) = measure(&responder(&labels, SETTINGS)?, &queries, networks);
        println!("{what:<24} answer {off} ns, logged {on} ns, sorting in {log} ns");
    }
    Ok(())
}

fn responder(labels: &[String], settings: QueryLogSettings) -> Result<(Responder, QueryLog), Failure> {
    let zones = Zones::new(vec![zone(labels, None)?]);
    let (metrics, clock) = (Arc::new(Metrics::default()), Clock::start(None));
    let policy = ResponsePolicy { limits: ReplyLimits::new(0), ..ResponsePolicy::plain()? };
    let log = QueryLog::new(settings, zones.clone(), clock.clone(), metrics.clone());
    let responder = Responder::new(zones, clock, metrics, Watchers::default(), policy).with_query_log(log.clone());
    Ok((responder, log))
}

/// The nanoseconds of each answer, and of each query that is sorted in. `networks`: how many ask for each name.
fn measure((responder, log): &(Responder, QueryLog), queries: &[Vec<u8>], networks: usize) -> (u64, u64) {
    let mut out = Vec::with_capacity(4_096);
    let (mut answers, mut drains) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    let mut turn = 0;
    for _ in 0..ROUNDS {
        let start = processor_time();
        for _ in 0..PER_ROUND {
            out.clear();
            turn += 1;
            // 7919 is prime: a stride through all names that no cache foresees.
            let name = turn * 7_919 % queries.len();
            let network = (name + turn / queries.len() % networks) % NETWORKS;
            black_box(responder.respond(&queries[name], source_in(network), &mut out));
        }
        let answered = processor_time();
        black_box(log.last_answer());
        answers.push((answered - start) / PER_ROUND as u64);
        drains.push((processor_time() - answered) / PER_ROUND as u64);
    }
    // The first half fills the log.
    (median(answers.split_off(ROUNDS / 2)), median(drains.split_off(ROUNDS / 2)))
}

/// From one of the networks.
fn source_in(network: usize) -> MessageSource {
    let address = IpAddr::V4(Ipv4Addr::new(10, (network >> 8) as u8, network as u8, 1));
    MessageSource { address, port: 5_000, ..source() }
}

/// Nanoseconds that this thread has run.
fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(mut rounds: Vec<u64>) -> u64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
