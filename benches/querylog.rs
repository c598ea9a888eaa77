//! Nanoseconds that the query log adds to each answer, and that each logged query takes of the task behind it, at 10,000
//! names.
//!
//! `cargo bench --bench querylog`. Processor time of the thread, medians of several rounds. Then a feed of 100,000 queries a
//! second for 10 seconds into the queue of one thread, while the task behind it runs: how many are lost, and the processor
//! time of both threads.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

#[path = "shared/zone.rs"]
mod shared;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rustix::time::{ClockId, clock_gettime};
use txtgate::config::QueryLogSettings;
use txtgate::dns::limits::ReplyLimits;
use txtgate::dns::watch::Watchers;
use txtgate::dns::{MessageSource, Responder, ResponsePolicy};
use txtgate::metrics::Metrics;
use txtgate::model::serial::Serial;
use txtgate::model::time::{Clock, PreciseTimestamp};
use txtgate::querylog::message::{CookieState, ReplyOutcome};
use txtgate::querylog::{QueryLog, QueryRecord};
use txtgate::zone::Zones;
use txtgate::zone::change::ChangeStream;

use shared::{A, Failure, TXT, labels, query, source, zone};

const SETTINGS: QueryLogSettings =
    QueryLogSettings { enabled: true, per_owner: 64, memory: 64 << 20, is_private: false, keep: None };
const ROUNDS: usize = 1_500;
/// Queries of one round: fewer than the queue has room for.
const PER_ROUND: usize = 1_000;
/// Networks in all: so many that each is within its share.
const NETWORKS: usize = 8_192;
/// Queries a second of the feed.
const FEED: u32 = 100_000;
/// How long the feed lasts.
const FEED_TIME: Duration = Duration::from_secs(10);

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
    for (what, networks) in [("a few networks", 6), ("many networks", NETWORKS)] {
        let Fed { pushed, logged, lost, over_share, feeding, sorting } = feed(&labels, networks)?;
        println!(
            "{FEED} queries/s, {what:<15} pushed {pushed} in {} s: logged {logged}, lost {lost}, over share {over_share}; \
             {feeding} ns to record one, {sorting} ns to sort it in",
            FEED_TIME.as_secs(),
        );
    }
    Ok(())
}

/// What became of a feed, and the nanoseconds of processor time that each query took of the two threads.
struct Fed {
    pushed: u64,
    logged: u64,
    lost: u64,
    over_share: u64,
    feeding: u64,
    sorting: u64,
}

/// Pushes queries at a steady pace from one thread, as one that answers does, while another runs the log.
fn feed(labels: &[String], networks: usize) -> Result<Fed, Failure> {
    let zones = Zones::new(vec![zone(labels, None)?]);
    let metrics = Arc::new(Metrics::default());
    let log = QueryLog::new(SETTINGS, zones, Clock::start(None), metrics.clone());
    let recorder = log.thread_recorder();
    let stream = ChangeStream::default();
    let (is_over, over) = tokio::sync::oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let task = std::thread::spawn({
        let (log, changes) = (log.clone(), stream.subscribe());
        move || {
            let start = processor_time();
            runtime.block_on(async {
                tokio::select! {
                    () = log.run(changes) => {}
                    _ = over => {}
                }
            });
            processor_time() - start
        }
    });
    let names: Vec<Vec<u8>> = labels.iter().map(|label| name_in(&query(label, TXT))).collect();
    let value = "v".repeat(43);
    let (start, began, mut pushed) = (processor_time(), Instant::now(), 0_usize);
    while began.elapsed() < FEED_TIME {
        let due = (began.elapsed().as_micros() * u128::from(FEED) / 1_000_000) as usize;
        while pushed < due {
            let name = pushed * 7_919 % names.len();
            let network = (name + pushed / names.len() % networks) % NETWORKS;
            recorder.record(record_from(network), &names[name], [value.as_bytes()].into_iter());
            pushed += 1;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let feeding = (processor_time() - start) / pushed as u64;
    // What is left in the queue.
    _ = log.last_answer();
    _ = is_over.send(());
    let sorting =
        task.join().map_err(|_| "the thread of the log has panicked")? / metrics.queries_logged.value().max(1);
    let (logged, lost) = (metrics.queries_logged.value(), metrics.queries_lost.value());
    let over_share = metrics.queries_over_share.value();
    Ok(Fed { pushed: pushed as u64, logged, lost, over_share, feeding, sorting })
}

/// The name in a packet with one question.
fn name_in(packet: &[u8]) -> Vec<u8> {
    let end = packet[12..].iter().position(|byte| *byte == 0).map_or(packet.len(), |root| 13 + root);
    packet[12..end].to_vec()
}

fn record_from(network: usize) -> QueryRecord {
    let MessageSource { address, port, local, transport } = source_in(network);
    QueryRecord {
        at: PreciseTimestamp::now(),
        serial: Serial(1),
        source: address,
        port,
        listener: local,
        transport,
        rtype: RecordType::TXT,
        edns_size: Some(1_232),
        dnssec_ok: true,
        cookie: CookieState::Absent,
        rcode: ResponseCode::NoError,
        outcome: ReplyOutcome::Sent,
        is_truncated: false,
        is_below: false,
    }
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
