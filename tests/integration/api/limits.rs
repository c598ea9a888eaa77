//! Bodies that are too long, requests that never end, connections that say nothing.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::http::{connect, get, post, request};
use crate::harness::{Account, PATIENCE, Process, Settings, value};

const MAX_BODY: usize = 64 * 1_024;

#[test]
fn a_body_past_64_kib_is_413() {
    let daemon = Process::start(&Settings::default());
    let padded = |length: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(length - 8));
    assert_eq!(post(daemon.api(), "/register", &[], &padded(MAX_BODY)).status, 201);
    post(daemon.api(), "/register", &[], &padded(MAX_BODY + 1)).assert_error(413, "body_too_large");
    let account = Account::register(daemon.api());
    account.send(daemon.api(), "POST", "/update", &padded(MAX_BODY + 1)).assert_error(413, "body_too_large");
}

#[test]
fn a_chunked_body_past_64_kib_is_413() {
    let daemon = Process::start(&Settings::default());
    let mut wire = connect(daemon.api());
    let chunk = "a".repeat(MAX_BODY);
    wire.send("POST /register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.send(format!("{MAX_BODY:x}\r\n{chunk}\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"));
    wire.receive().assert_error(413, "body_too_large");
}

#[test]
fn a_body_that_announces_too_much_is_not_waited_for() {
    let daemon = Process::start(&Settings::default());
    let mut wire = connect(daemon.api());
    wire.send("POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{");
    wire.receive().assert_error(413, "body_too_large");
}

#[test]
fn a_head_past_32_kib_is_431() {
    let daemon = Process::start(&Settings::default());
    let mut wire = connect(daemon.api());
    wire.send(format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {}", "a".repeat(40_000)));
    assert_eq!(wire.receive().status, 431);
    assert_eq!(get(daemon.api(), "/health").status, 200);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let daemon = Process::start(&Settings::default());
    let mut wire = connect(daemon.api());
    wire.send("POST /register HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(wire.receive().status, 100);
    wire.send("{}");
    assert_eq!(wire.receive().status, 201);
}

#[test]
fn connections_without_a_whole_header_are_closed() {
    let daemon = Process::start(&Settings::default().with("api", "header-timeout = \"2s\""));
    let start = Instant::now();
    let mut silent = connect(daemon.api());
    let mut half = connect(daemon.api());
    half.send("POST /update HTTP/1.1\r\nHost: x\r\nX-Ap");
    let mut kept = connect(daemon.api());
    assert_eq!(kept.exchange(request("GET", "/health", &[], "")).status, 200);
    for (what, wire) in [("silent", &mut silent), ("half a header", &mut half), ("kept", &mut kept)] {
        let (closed, said) = wire.closes_within(PATIENCE);
        assert!(closed, "{what}: still open after {:?}", start.elapsed());
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{what}: {said}");
    }
    assert!(start.elapsed() >= Duration::from_millis(1_900), "not before: {:?}", start.elapsed());
}

#[test]
fn single_bytes_of_a_header_do_not_extend_its_time() {
    let daemon = Process::start(&Settings::default().with("api", "header-timeout = \"1s\""));
    let mut slow = connect(daemon.api());
    slow.send("GET /");
    let is_closed = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        slow.0.write_all(b"a").is_err()
    });
    assert!(is_closed, "still open after 30 s of single bytes");
}

#[test]
fn a_body_that_never_comes_is_408() {
    let daemon = Process::start(&Settings::default().with("api", "body-timeout = \"2s\""));
    let account = Account::register(daemon.api());
    let whole = account.request("POST", "/update", &account.body(&value(1)));
    let mut wire = connect(daemon.api());
    wire.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let start = Instant::now();
    let reply = wire.exchange(&whole[..whole.len() - 1]);
    reply.assert_error(408, "timeout");
    assert!(start.elapsed() >= Duration::from_millis(1_900), "not before: {:?}", start.elapsed());
    assert_eq!(reply.header("connection"), Some("close"));
}

#[test]
fn many_idle_connections_do_not_keep_others_out() {
    let daemon = Process::start(&Settings::default());
    let idle: Vec<_> = (0..600).map(|_| connect(daemon.api())).collect();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    drop(idle);
}
