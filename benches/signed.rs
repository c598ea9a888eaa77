//! Nanoseconds for each answer of a signed zone, beside the same questions to an unsigned one.
//!
//! `cargo bench --bench signed`. Medians of several rounds.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

#[path = "shared/zone.rs"]
mod shared;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use txtgate::dns::watch::Watchers;
use txtgate::dns::{Responder, ResponsePolicy};
use txtgate::metrics::Metrics;
use txtgate::model::name::Name;
use txtgate::model::time::Clock;
use txtgate::zone::Zones;
use txtgate::zone::signing::key::{Algorithm, ZoneKey};
use txtgate::zone::signing::phase::Phase;
use txtgate::zone::signing::{Keys, Signing};

use shared::{A, APEX, Failure, TXT, labels, query, source, zone};

const ROUNDS: usize = 11;
const PER_ROUND: usize = 100_000;

fn main() -> Result<(), Failure> {
    let labels = labels();
    let unsigned = responder(&labels, None)?;
    let signed = responder(&labels, Some(Algorithm::EcdsaP256))?;
    let hits: Vec<Vec<u8>> = labels.iter().map(|label| query(label, TXT)).collect();
    let no_data: Vec<Vec<u8>> = labels.iter().map(|label| query(label, A)).collect();
    let few: Vec<Vec<u8>> = (0..100).map(|number| query(&format!("x{number}"), TXT)).collect();
    let flood: Vec<Vec<u8>> = (0..1_000_000).map(|number| query(&format!("y{number}"), TXT)).collect();
    println!("{:<28} {:>7} ns", "TXT, first signature", once(&signed, &hits));
    println!("{:<28} {:>7} ns", "TXT, Ed25519 instead", once(&responder(&labels, Some(Algorithm::Ed25519))?, &hits));
    for (what, queries) in [("TXT", &hits), ("no data", &no_data), ("name error, few names", &few)] {
        let signed = respond_all(&signed, queries);
        let unsigned = respond_all(&unsigned, queries);
        println!("{what:<28} {signed:>7} ns   unsigned {unsigned:>5} ns");
    }
    println!("{:<28} {:>7} ns", "name error, random names", once(&signed, &flood));
    Ok(())
}

fn responder(labels: &[String], algorithm: Option<Algorithm>) -> Result<Responder, Failure> {
    let apex: Name = APEX.parse()?;
    let key = algorithm.map(ZoneKey::generate).transpose()?;
    let keys = |key| Keys { apex, phase: Phase::Offered, keys: vec![Arc::new(key)], ttl: 3_600 };
    let zone = zone(labels, key.and_then(|key| Signing::new(keys(key), Clock::start(None))))?;
    let zones = Zones::new(vec![zone]);
    let metrics = Arc::new(Metrics::default());
    Ok(Responder::new(zones, Clock::start(None), metrics, Watchers::default(), ResponsePolicy::plain()?))
}

fn once(responder: &Responder, queries: &[Vec<u8>]) -> u128 {
    let start = Instant::now();
    let mut out = Vec::with_capacity(4_096);
    for query in queries {
        out.clear();
        black_box(responder.respond(query, source(), &mut out));
    }
    start.elapsed().as_nanos() / queries.len() as u128
}

fn respond_all(responder: &Responder, queries: &[Vec<u8>]) -> u128 {
    let mut out = Vec::with_capacity(4_096);
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            // 7919 is prime: a stride through all names that no cache foresees.
            for turn in 0..PER_ROUND {
                out.clear();
                black_box(responder.respond(&queries[turn * 7_919 % queries.len()], source(), &mut out));
            }
            start.elapsed().as_nanos() / PER_ROUND as u128
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}
