//! DNS over TCP (RFC 7766).

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::dns::{Change, Reply, SOA, Tcp, framed, option, query};
use crate::harness::{GRACE, PATIENCE, Process, Settings, ZONE};

/// The daemon's limit for connections without a whole query.
const IDLE: Duration = Duration::from_secs(10);

fn soa(id: u16) -> Vec<u8> {
    query(ZONE, SOA).id(id)
}

fn id(message: Vec<u8>) -> u16 {
    let reply = Reply::of(message);
    assert_eq!(reply.of_type(SOA), 1);
    reply.message.metadata.id
}

#[test]
fn two_queries_in_one_segment_get_two_answers() {
    let daemon = Process::start(&Settings::default());
    let mut stream = Tcp::to(daemon.dns());
    stream.0.write_all(&[framed(&soa(1)), framed(&soa(2))].concat()).unwrap();
    assert_eq!([id(stream.receive()), id(stream.receive())], [1, 2]);
}

#[test]
fn a_query_in_three_pieces_is_one_query() {
    let daemon = Process::start(&Settings::default());
    let mut stream = Tcp::to(daemon.dns());
    let bytes = framed(&soa(3));
    // The length itself is cut in two.
    for piece in [&bytes[..1], &bytes[1..9], &bytes[9..]] {
        stream.0.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(id(stream.receive()), 3);
}

#[test]
fn a_hundred_pipelined_queries_are_all_answered() {
    let daemon = Process::start(&Settings::default());
    let mut stream = Tcp::to(daemon.dns());
    let all: Vec<u8> = (0..100).flat_map(|id| framed(&soa(id))).collect();
    stream.0.write_all(&all).unwrap();
    let answered: BTreeSet<u16> = (0..100).map(|_| id(stream.receive())).collect();
    assert_eq!(answered, (0..100).collect());
}

#[test]
fn a_length_that_no_query_has_ends_the_connection() {
    let daemon = Process::start(&Settings::default());
    for bytes in [&[0, 0][..], &[0, 11], &[0xff, 0xff]] {
        let mut stream = Tcp::to(daemon.dns());
        stream.0.write_all(bytes).unwrap();
        assert!(stream.closes_within(IDLE / 2), "{bytes:?}");
    }
}

/// Takes 10 seconds: the daemon's own limit, which is what is tested.
#[test]
fn idle_connections_are_closed_also_those_that_drip() {
    let daemon = Process::start(&Settings::default());
    let start = Instant::now();
    let mut silent = Tcp::to(daemon.dns());
    let mut dripping = Tcp::to(daemon.dns());
    let mut active = Tcp::to(daemon.dns());
    for byte in &framed(&soa(1))[..7] {
        // On a slow machine it is closed before.
        _ = dripping.0.write_all(&[*byte]);
        active.send(&soa(2));
        assert_eq!(id(active.receive()), 2);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(silent.closes_within(IDLE), "after {:?}", start.elapsed());
    assert!(start.elapsed() > IDLE - Duration::from_secs(1), "not before: {:?}", start.elapsed());
    assert!(dripping.closes_within(Duration::from_secs(2)), "single bytes do not prolong it");
    active.send(&soa(3));
    assert_eq!(id(active.receive()), 3, "a query prolongs it");
}

#[test]
fn keepalive_is_told_over_tcp_to_whoever_asks() {
    let daemon = Process::start(&Settings::default());
    let mut stream = Tcp::to(daemon.dns());
    stream.send(&soa(1).opt(1_232, 0, 0, &[0, 11, 0, 0]));
    assert_eq!(option(&stream.receive(), 11), Some(&[0, 100][..]), "10 s in units of 100 ms");
    stream.send(&soa(1).edns(1_232));
    assert_eq!(option(&stream.receive(), 11), None);
    let udp = crate::harness::dns::Udp::to(daemon.dns()).ask(&soa(1).opt(1_232, 0, 0, &[0, 11, 0, 0]));
    assert_eq!(option(&udp, 11), None, "never over UDP (RFC 7828 section 3.2.1)");
}

#[test]
fn what_is_in_flight_at_sigterm_is_answered() {
    let daemon = Process::start(&Settings::default());
    let mut stream = Tcp::to(daemon.dns());
    stream.send(&soa(1));
    stream.receive();
    let (status, took, log) = daemon.terminate();
    assert!(status.success() && took < GRACE, "{status} {took:?}\n{log}");
    assert!(stream.closes_within(PATIENCE));
}
