//! Nanoseconds for each answer of a signed zone, beside the same questions to an unsigned one.
//!
//! `cargo bench --bench signed`. Medians of several rounds.

// What it prints is what it is for.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use txtgate::dns::watch::Watchers;
use txtgate::dns::{Manners, Responder, Source, Transport};
use txtgate::metrics::Metrics;
use txtgate::name::{Name, Subdomain};
use txtgate::serial::Serial;
use txtgate::time::{Clock, Timestamp};
use txtgate::txt::LiveValue;
use txtgate::zone::live::{Live, Slot};
use txtgate::zone::signing::key::{Algorithm, ZoneKey};
use txtgate::zone::signing::phase::Phase;
use txtgate::zone::signing::{Keys, Signing};
use txtgate::zone::snippet::StaticRecords;
use txtgate::zone::soa::Soa;
use txtgate::zone::{Zone, Zones};

type Failure = Box<dyn std::error::Error>;

const NAMES: usize = 10_000;
const ROUNDS: usize = 11;
const PER_ROUND: usize = 100_000;
const TXT: u16 = 16;
const A: u16 = 1;

fn main() -> Result<(), Failure> {
    let labels: Vec<String> = (0..NAMES).map(|_| Subdomain::random().as_str().to_owned()).collect();
    let unsigned = responder(&labels, None)?;
    let signed = responder(&labels, Some(Algorithm::EcdsaP256))?;
    let hits: Vec<Vec<u8>> = labels.iter().map(|label| query(label, TXT)).collect();
    let no_data: Vec<Vec<u8>> = labels.iter().map(|label| query(label, A)).collect();
    let few: Vec<Vec<u8>> = (0..100).map(|number| query(&format!("x{number}"), TXT)).collect();
    let flood: Vec<Vec<u8>> = (0..1_000_000).map(|number| query(&format!("y{number}"), TXT)).collect();
    println!("{:<28} {:>7} ns", "TXT, first signature", once(&signed, &hits));
    println!("{:<28} {:>7} ns", "TXT, Ed25519 instead", once(&responder(&labels, Some(Algorithm::Ed25519))?, &hits));
    for (what, queries) in [("TXT", &hits), ("no data", &no_data), ("name error, few names", &few)] {
        let (signed, unsigned) = (respond_all(&signed, queries), respond_all(&unsigned, queries));
        println!("{what:<28} {signed:>7} ns   unsigned {unsigned:>5} ns");
    }
    println!("{:<28} {:>7} ns", "name error, random names", once(&signed, &flood));
    Ok(())
}

fn responder(labels: &[String], algorithm: Option<Algorithm>) -> Result<Responder, Failure> {
    let ns: Name = "ns1.auth.example.org".parse()?;
    let apex: Name = "auth.example.org".parse()?;
    let live = Live::new(Serial(1));
    for label in labels {
        let (published, expires) = (Timestamp::from_unix(0), Timestamp::from_unix(u64::MAX));
        live.put(label, Some(Slot::of(&[LiveValue { txt: "v".repeat(43).parse()?, published, expires }])));
    }
    let key = algorithm.map(ZoneKey::generate).transpose()?;
    let keys = |key| Keys { apex, phase: Phase::Offered, keys: vec![Arc::new(key)], ttl: 3_600 };
    let zone = Zone {
        name: "auth.example.org".parse()?,
        soa: Soa {
            mname: ns.clone(),
            rname: "hostmaster.example.org".parse()?,
            refresh: 3_600,
            retry: 600,
            expire: 86_400,
            negative_ttl: 60,
        },
        txt_ttl: 1,
        statics: StaticRecords::parse(&"auth.example.org".parse()?, &[ns], "ns1 A 192.0.2.1")?,
        live: Arc::new(live),
        signing: key.and_then(|key| Signing::new(keys(key), Clock::start(None))).map(Arc::new),
    };
    let (zones, metrics) = (Zones::new(vec![zone]), Arc::new(Metrics::default()));
    Ok(Responder::new(zones, Clock::start(None), metrics, Watchers::default(), Manners::plain()?))
}

/// With EDNS and DO, as validating resolvers ask.
fn query(label: &str, rtype: u16) -> Vec<u8> {
    let mut packet = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01".to_vec();
    for label in [label, "auth", "example", "org", ""] {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(b"\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00");
    packet
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

fn source() -> Source {
    Source { address: IpAddr::V4(Ipv4Addr::LOCALHOST), transport: Transport::Udp }
}
