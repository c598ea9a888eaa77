//! DNS over TCP (RFC 7766).

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::dns::{Change, Reply, SOA, Tcp, framed, option, query};
use crate::harness::{GRACE, PATIENCE, Process, Settings, ZONE};

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
    for bytes in [&[0, 0][..], &[0, 11]] {
        let mut stream = Tcp::to(daemon.dns());
        stream.0.write_all(bytes).unwrap();
        assert!(stream.closes_within(PATIENCE), "{bytes:?}");
    }
}

#[test]
fn idle_connections_are_closed_also_those_that_drip() {
    let daemon = Process::start(&Settings::default().with("dns", "idle-timeout = \"2s\""));
    let start = Instant::now();
    let mut silent = Tcp::to(daemon.dns());
    assert!(silent.closes_within(PATIENCE), "after {:?}", start.elapsed());
    assert!(start.elapsed() >= Duration::from_millis(1_900), "not before: {:?}", start.elapsed());
    let mut dripping = Tcp::to(daemon.dns());
    // A query that announces more bytes than will ever come.
    dripping.0.write_all(&[4, 0]).unwrap();
    let is_closed = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        dripping.0.write_all(&[0]).is_err()
    });
    assert!(is_closed, "single bytes do not extend the time");
}

#[test]
fn a_whole_query_extends_the_time_of_a_connection() {
    let daemon = Process::start(&Settings::default().with("dns", "idle-timeout = \"4s\""));
    let start = Instant::now();
    let mut active = Tcp::to(daemon.dns());
    let mut number = 0;
    while start.elapsed() < Duration::from_secs(5) {
        number += 1;
        active.send(&soa(number));
        assert_eq!(id(active.receive()), number);
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn keepalive_tells_the_idle_timeout_over_tcp_to_whoever_asks() {
    let daemon = Process::start(&Settings::default().with("dns", "idle-timeout = \"7s\""));
    let mut stream = Tcp::to(daemon.dns());
    stream.send(&soa(1).opt(1_232, 0, 0, &[0, 11, 0, 0]));
    assert_eq!(option(&stream.receive(), 11), Some(&[0, 70][..]), "7 s in units of 100 ms");
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
