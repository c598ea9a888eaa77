use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;

pub const RECORD: QueryRecord = QueryRecord {
    at: PreciseTimestamp::from_millis(1),
    serial: Serial(7),
    source: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    port: 7,
    listener: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 53),
    transport: Transport::Udp,
    rtype: RecordType::TXT,
    edns_size: None,
    dnssec_ok: false,
    cookie: CookieState::Absent,
    rcode: ResponseCode::NoError,
    outcome: ReplyOutcome::Sent,
    is_truncated: false,
    is_below: false,
};

type Told = Vec<(Vec<u8>, Vec<Vec<u8>>)>;

fn drained(queue: &Queue) -> (Told, Missed) {
    let mut told = Vec::new();
    let missed = queue.drain(&mut Buffer::empty(), |buffer| {
        let query = |query: BufferedQuery<'_>| (query.name.to_vec(), query.values().map(<[u8]>::to_vec).collect());
        told.extend(buffer.queries().map(query));
    });
    (told, missed)
}

fn lost(lost: u64) -> Missed {
    Missed { lost, over_share: 0 }
}

#[test]
fn names_and_values_arrive_whole_and_in_order() {
    let queue = Queue::new(ONE_THREAD, Arc::default());
    queue.push(RECORD, b"\x01A\x00", [b"one".as_slice(), b"", b"three"].into_iter());
    queue.push(RECORD, b"\x00", [].into_iter());
    let values = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
    assert_eq!(drained(&queue), (vec![(b"\x01A\x00".to_vec(), values), (b"\x00".to_vec(), Vec::new())], lost(0)));
    assert_eq!(drained(&queue), (Vec::new(), lost(0)));
}

#[test]
fn what_does_not_fit_is_counted_and_nothing_waits() {
    let queue = Queue::new(ONE_THREAD, Arc::default());
    for number in 0..2 * QUERIES as u64 + 7 {
        // Each in another second, so that its network is within its share.
        let record = QueryRecord { at: PreciseTimestamp::from_millis(number * 1_000), ..RECORD };
        queue.push(record, b"\x01a\x00", [].into_iter());
    }
    let (told, missed) = drained(&queue);
    assert_eq!((told.len(), missed), (2 * QUERIES, lost(7)));
    // A reply of many values takes the bytes of many queries; the next one still fits.
    let long = vec![b'v'; 60_000];
    let values = [long.as_slice(), &long, &long];
    queue.push(RECORD, b"\x01a\x00", values.into_iter());
    queue.push(RECORD, b"\x01b\x00", values[..2].iter().copied());
    let (told, missed) = drained(&queue);
    assert_eq!((told.len(), told[0].0.as_slice(), told[0].1.len(), missed), (1, b"\x01b\x00".as_slice(), 2, lost(1)));
}

#[test]
fn a_network_that_sends_too_many_leaves_room_for_others() {
    let queue = Queue::new(ONE_THREAD, Arc::default());
    let from = |source: &str, millis: u64| QueryRecord {
        source: source.parse().unwrap(),
        at: PreciseTimestamp::from_millis(millis),
        ..RECORD
    };
    for number in 0..PER_NETWORK + 50 {
        queue.push(from(&format!("192.0.2.{}", number % 256), 7_000), b"\x01a\x00", [].into_iter());
    }
    queue.push(from("192.0.2.1", 8_000), b"\x01b\x00", [].into_iter());
    let (told, missed) = drained(&queue);
    assert_eq!((told.len(), missed), (PER_NETWORK as usize + 1, Missed { lost: 0, over_share: 50 }));
    let mut counters = NetworkCounters::new();
    counters.key = 0x9e37_79b9_7f4a_7c15;
    let indices: std::collections::BTreeSet<usize> =
        (0..200).map(|third| counters.index(format!("203.0.{third}.1").parse().unwrap())).collect();
    assert!(indices.len() > 150, "networks are spread: {}", indices.len());
}

#[test]
fn the_log_is_woken_once_for_each_half_of_a_buffer() {
    let filling = Arc::new(Notify::new());
    let queue = Queue::new(ONE_THREAD, filling.clone());
    let is_told = || {
        let told = pin!(filling.notified()).poll(&mut Context::from_waker(Waker::noop()));
        told.is_ready()
    };
    let push = |count: usize| {
        // Each in another second, so that its network is within its share.
        let record = |number| QueryRecord { at: PreciseTimestamp::from_millis(number as u64 * 1_000), ..RECORD };
        (0..count).for_each(|number| queue.push(record(number), b"\x01a\x00", [].into_iter()));
    };
    push(QUERIES / 2 - 1);
    assert!(!is_told());
    push(1);
    assert!(is_told());
    push(QUERIES / 2);
    assert!(!is_told(), "the other half changes nothing");
    push(QUERIES / 2);
    assert!(is_told(), "half of the next buffer");
    drained(&queue);
    queue.push(RECORD, b"\x01a\x00", [vec![b'v'; BYTES / 2].as_slice()].into_iter());
    assert!(is_told(), "half of the bytes");
}

#[test]
fn while_one_buffer_is_in_use_another_takes_the_query() {
    let queue = Queue::new(ONE_THREAD, Arc::default());
    let taken = queue.buffers[0].lock().unwrap();
    queue.push(RECORD, b"\x01a\x00", [].into_iter());
    let both = queue.buffers[1].lock().unwrap();
    queue.push(RECORD, b"\x01b\x00", [].into_iter());
    drop((taken, both));
    let (told, missed) = drained(&queue);
    assert_eq!((told.len(), missed), (1, lost(1)));
}
