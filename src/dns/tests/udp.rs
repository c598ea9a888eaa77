//! The UDP listener: threads, batches, and the addresses that replies come from.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::*;
use crate::dns::udp::{UdpListener, spawn};
use crate::net::bind;
use crate::net::inherited::Inherited;

/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn listen(address: &str, threads: usize) -> UdpListener {
    let bound = bind::udp(address.parse().unwrap(), threads, &mut Inherited::default()).unwrap();
    spawn(bound, &responder()).unwrap()
}

fn client(address: &str) -> UdpSocket {
    let client = UdpSocket::bind(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[test]
fn each_thread_answers_and_beats() {
    let listener = listen("127.0.0.1:0", 2);
    let packet = edns(query("shop.auth.example.org", 16));
    for _ in 0..50 {
        let client = client("127.0.0.1:0");
        client.send_to(b"short", listener.address()).unwrap();
        client.send_to(&packet, listener.address()).unwrap();
        let mut buffer = [0; 2_048];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(from, listener.address());
        assert_eq!(txts(&Message::from_vec(&buffer[..length]).unwrap().answers).len(), 2);
    }
    let before: Vec<u64> = listener.heartbeats().iter().map(|beat| beat.value()).collect();
    let start = Instant::now();
    for (then, now) in before.iter().zip(listener.heartbeats()) {
        while now.value() <= *then {
            assert!(start.elapsed() < PATIENCE, "an idle thread beats as well");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    listener.stop();
}

#[test]
fn the_times_of_one_answered_batch_in_sixteen_are_observed() {
    let responder = responder();
    let bound = bind::udp("127.0.0.1:0".parse().unwrap(), 1, &mut Inherited::default()).unwrap();
    let listener = spawn(bound, &responder).unwrap();
    let client = client("127.0.0.1:0");
    for _ in 0..33 {
        client.send_to(&query(APEX, 6), listener.address()).unwrap();
        client.recv_from(&mut [0; 512]).unwrap();
    }
    // Its threads have ended, and have observed what they answered.
    listener.stop();
    assert_eq!(responder.replies.metrics.answer_times.buckets().iter().sum::<u64>(), 3);
    assert!(responder.replies.metrics.answer_times.sum() > 0.0);
}

#[test]
fn a_stopped_listener_frees_its_port() {
    let first = listen("127.0.0.1:0", 2);
    let address = first.address();
    first.stop();
    assert_eq!(listen(&address.to_string(), 1).address(), address);
}

#[test]
fn replies_come_from_the_address_that_was_asked() {
    let listener = listen("0.0.0.0:0", 1);
    for asked in ["127.0.0.1", "127.0.0.2", "127.9.9.9"] {
        let client = client("127.0.0.1:0");
        // A connected socket hears nobody but the address that it asked.
        client.connect((asked, listener.address().port())).unwrap();
        client.send(&query(APEX, 6)).unwrap();
        let mut buffer = [0; 512];
        let length = client.recv(&mut buffer).unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert_eq!(rcode(&Message::from_vec(&buffer[..length]).unwrap()), ResponseCode::NoError);
    }
}

#[test]
fn a_batch_with_gaps_and_several_addresses_asked_is_answered_whole() {
    let bound = bind::udp("0.0.0.0:0".parse().unwrap(), 1, &mut Inherited::default()).unwrap();
    let port = bound.address.port();
    // All of it waits in the socket's buffer before the thread starts: more than one batch, with messages that get
    // nothing in between.
    let asked = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"];
    let clients: Vec<UdpSocket> = (0..60).map(|_| client("127.0.0.1:0")).collect();
    for (index, client) in clients.iter().enumerate() {
        client.connect((asked[index % asked.len()], port)).unwrap();
        client.send(&[b"short".to_vec(), Vec::new(), vec![0xff; 40]][index % 3]).unwrap();
        let mut packet = edns(query("shop.auth.example.org", 16));
        packet[1] = index as u8;
        client.send(&packet).unwrap();
    }
    let _listener = spawn(bound, &responder()).unwrap();
    for (index, client) in clients.iter().enumerate() {
        let mut buffer = [0; 512];
        let length = client.recv(&mut buffer).unwrap_or_else(|error| panic!("{index}: {error}"));
        let reply = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!((reply.metadata.id, txts(&reply.answers).len()), (0xab00 | index as u16, 2));
        client.set_nonblocking(true).unwrap();
        assert!(client.recv(&mut buffer).is_err(), "one reply and nothing else");
    }
}

#[test]
fn ipv6_replies_come_from_the_address_that_was_asked() {
    let Ok(bound) = bind::udp("[::]:0".parse().unwrap(), 1, &mut Inherited::default()) else { return };
    let listener = spawn(bound, &responder()).unwrap();
    let Ok(client) = UdpSocket::bind("[::1]:0") else { return };
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(("::1", listener.address().port())).unwrap();
    client.send(&query(APEX, 6)).unwrap();
    client.recv(&mut [0; 512]).unwrap();
}

/// It was cut off after 4,160 bytes, and then a format error.
#[test]
fn a_query_of_any_length_is_answered() {
    let listener = listen("127.0.0.1:0", 1);
    let client = client("127.0.0.1:0");
    for length in [4_000_u16, 5_000, 65_000] {
        let options = [&[0, 12][..], &length.to_be_bytes(), &vec![0; length.into()]].concat();
        client.send_to(&with_opt(query(APEX, 6), 1_232, 0, 0, &options), listener.address()).unwrap();
        let mut buffer = [0; 512];
        client.recv(&mut buffer).unwrap();
        assert_eq!((buffer[3], buffer[7]), (0, 1), "{length}");
    }
}
