//! Nanoseconds and allocations for each answer, at 10,000 names, and for a round trip over UDP on the loopback.
//!
//! `cargo bench --bench answer`. Medians of several rounds: single ones are at the mercy of the machine. The number of
//! allocations is exact, of all threads, and ends the run with an error where it is not 0.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

#[path = "shared/zone.rs"]
mod shared;

use std::alloc::System;
use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use txtgate::dns::limits::ReplyLimits;
use txtgate::dns::udp::spawn;
use txtgate::dns::watch::Watchers;
use txtgate::dns::{Responder, ResponsePolicy};
use txtgate::metrics::Metrics;
use txtgate::model::time::Clock;
use txtgate::net::bind;
use txtgate::net::inherited::Inherited;
use txtgate::zone::Zones;

use shared::{A, Failure, TXT, labels, query, source, zone};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 11;
const PER_ROUND: usize = 200_000;
const ROUND_TRIPS: usize = 20_000;

fn main() -> Result<(), Failure> {
    let labels = labels();
    let responder = responder(&labels)?;
    let hits: Vec<Vec<u8>> = labels.iter().map(|label| query(label, TXT)).collect();
    let no_data: Vec<Vec<u8>> = labels.iter().map(|label| query(label, A)).collect();
    let errors: Vec<Vec<u8>> = labels.iter().map(|label| query(&format!("x{}", &label[1..]), TXT)).collect();
    let mut allocations = 0;
    for (what, queries) in [("TXT hit", &hits), ("no data", &no_data), ("name error", &errors)] {
        allocations += print(what, respond_all(&responder, queries));
    }
    for (what, address) in [("bound", "127.0.0.1:0"), ("wildcard", "0.0.0.0:0")] {
        let bound = bind::udp(address.parse()?, 1, &mut Inherited::default())?;
        let listener = spawn(bound, &responder)?;
        let server = SocketAddr::from(([127, 0, 0, 1], listener.address().port()));
        allocations += print(what, round_trip(server, &hits)?);
    }
    // The same without any DNS: what the kernel and its scheduler take of it.
    print("bare echo", round_trip(echo()?, &hits)?);
    if allocations > 0 {
        return Err("the common road allocates".into());
    }
    Ok(())
}

/// What one thing took.
struct Cost {
    nanos: u128,
    allocations: usize,
}

fn print(what: &str, cost: Cost) -> usize {
    println!("{what:<12} {:>6} ns {:>3} allocations", cost.nanos, cost.allocations);
    cost.allocations
}

fn responder(labels: &[String]) -> Result<Responder, Failure> {
    let zones = Zones::new(vec![zone(labels, None)?]);
    let metrics = Arc::new(Metrics::default());
    // Limited as by default; no limit is reached, since these queries come from the loopback.
    let policy = ResponsePolicy { limits: ReplyLimits::new(100), ..ResponsePolicy::plain()? };
    Ok(Responder::new(zones, Clock::start(None), metrics, Watchers::default(), policy))
}

fn respond_all(responder: &Responder, queries: &[Vec<u8>]) -> Cost {
    let mut out = Vec::with_capacity(4_096);
    let mut rounds = Vec::with_capacity(ROUNDS);
    // A thread's first look at the zones sets up its place among their readers.
    responder.respond(&queries[0], source(), &mut out);
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        // 7919 is prime: a stride through all names that no cache foresees.
        for turn in 0..PER_ROUND {
            out.clear();
            black_box(responder.respond(&queries[turn * 7_919 % queries.len()], source(), &mut out));
        }
        rounds.push(start.elapsed().as_nanos() / PER_ROUND as u128);
    }
    Cost { allocations: region.change().allocations, nanos: median(rounds) }
}

fn round_trip(server: SocketAddr, queries: &[Vec<u8>]) -> Result<Cost, Failure> {
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(server)?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut buffer = [0; 2_048];
    client.send(&queries[0])?;
    client.recv(&mut buffer)?; // the thread has started, and made its batch
    let start = Instant::now();
    let region = Region::new(ALLOCATOR);
    for turn in 0..ROUND_TRIPS {
        client.send(&queries[turn % queries.len()])?;
        client.recv(&mut buffer)?;
    }
    let allocations = region.change().allocations;
    Ok(Cost { nanos: start.elapsed().as_nanos() / ROUND_TRIPS as u128, allocations })
}

/// A thread that sends back whatever comes, until the process ends.
fn echo() -> Result<SocketAddr, Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            _ = socket.send_to(&buffer[..length], peer);
        }
    });
    Ok(address)
}

fn median(mut rounds: Vec<u128>) -> u128 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
