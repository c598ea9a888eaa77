//! The listener of DNS over QUIC.

mod limits;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadError, ReadToEndError, TransportConfig, VarInt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::dns::identity::ServerIdentity;
use crate::dns::listener::StreamListener;
use crate::dns::quic::serve;
use crate::dns::tcp::{ConnectionHandler, StreamTimeouts};
use crate::net::connections::Connections;
use crate::net::tls::tests::{Files, client_config};
use crate::net::tls::{DOQ, DOT, Tls};
use crate::zone::signing::key::Algorithm;
use crate::zone::signing::phase::Phase;

/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The idle limit of a server of which no test waits for it.
const IDLE: Duration = Duration::from_secs(5);
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 1;
const PROTOCOL_ERROR: u32 = 2;
const EXCESSIVE_LOAD: u32 = 4;

struct TestQuicListener {
    address: SocketAddr,
    files: Files,
    connections: Connections,
    shutdown: watch::Sender<bool>,
    listener: StreamListener,
}

fn server_of(responder: Responder, connections: Connections, idle: Duration) -> TestQuicListener {
    let files = Files::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (shutdown, receiver) = watch::channel(false);
    let timeouts = StreamTimeouts { idle, write: Duration::from_millis(500), transfer: PATIENCE };
    let handler = ConnectionHandler { timeouts, ..ConnectionHandler::new(responder, receiver) };
    // As the daemon has it: one certificate, of which DNS over TLS knows as well.
    let tls = Tls::load(files.files(), DOT).unwrap().speaking(DOQ).unwrap();
    let listener = serve(socket, &tls, handler, connections.clone()).unwrap();
    TestQuicListener { address: listener.address(), files, connections, shutdown, listener }
}

fn server() -> TestQuicListener {
    server_of(responder(), Connections::new(16, 16), IDLE)
}

impl TestQuicListener {
    fn client_config(&self, alpn: &[u8]) -> ClientConfig {
        let crypto = QuicClientConfig::try_from(client_config(&self.files, alpn)).unwrap();
        let mut transport = TransportConfig::default();
        // Sends something all the time, which must not count for activity.
        transport.keep_alive_interval(Some(Duration::from_millis(50)));
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        config
    }

    async fn try_connect(&self, alpn: &[u8]) -> Result<Connection, ConnectionError> {
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        client.connect_with(self.client_config(alpn), self.address, "api.test").unwrap().await
    }

    async fn connect(&self) -> Connection {
        timeout(PATIENCE, self.try_connect(b"doq")).await.expect("a handshake in time").unwrap()
    }

    async fn empties(&self) {
        let gone = async {
            while !self.connections.is_empty() || self.connections.leaving() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("every place is given back");
    }
}

/// A query as DNS over QUIC wants it: with the id 0.
fn ask_for(label: &str, rtype: u16) -> Vec<u8> {
    let mut packet = query(&format!("{label}.{APEX}"), rtype);
    packet[..2].fill(0);
    packet
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

/// All that comes back on a stream of its own.
async fn exchange(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
    let lost = |error| ReadToEndError::Read(ReadError::ConnectionLost(error));
    let (mut send, mut receive) = connection.open_bi().await.map_err(lost)?;
    // Where it fails, so does reading.
    _ = send.write_all(bytes).await;
    _ = send.finish();
    timeout(PATIENCE, receive.read_to_end(70_000)).await.expect("an end in time")
}

async fn ask(connection: &Connection, message: &[u8]) -> Vec<u8> {
    let reply = exchange(connection, &framed(message)).await.unwrap();
    let (length, reply) = reply.split_first_chunk().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*length)), reply.len());
    reply.to_vec()
}

/// The code that a connection ends with.
async fn ended(connection: &Connection) -> u32 {
    match timeout(PATIENCE, connection.closed()).await.expect("closed in time") {
        ConnectionError::ApplicationClosed(closed) => u32::try_from(closed.error_code.into_inner()).unwrap(),
        other => panic!("{other}"),
    }
}

/// The reply without its padding, which must fill a block (RFC 8467 section 4.1).
fn without_padding(reply: &[u8]) -> Vec<u8> {
    let message = Message::from_vec(reply).unwrap();
    let Some(edns) = &message.edns else { return reply.to_vec() };
    assert_eq!(reply.len() % 468, 0, "{reply:02x?}");
    let (code, padding) = edns.options().options.last().expect("an option");
    assert_eq!(u16::from(*code), 12, "the last option");
    let option = 4 + usize::from(padding.len());
    let mut rest = reply[..reply.len() - option].to_vec();
    assert!(reply[rest.len() + 4..].iter().all(|byte| *byte == 0));
    let options: usize = edns.options().options.iter().map(|(_, option)| 4 + usize::from(option.len())).sum();
    let length_at = reply.len() - options - 2;
    rest[length_at..length_at + 2].copy_from_slice(&((options - option) as u16).to_be_bytes());
    rest
}

#[tokio::test]
async fn answers_are_those_of_tcp_with_padding() {
    let signed = signed_by(Phase::Offered, vec![key(Algorithm::EcdsaP256)]);
    let policy = ResponsePolicy {
        identity: ServerIdentity { nsid: "ns1".into(), version: String::new() }.into(),
        ..ResponsePolicy::plain().unwrap()
    };
    let responder = responder_with(Zones::new(vec![signed]), policy);
    let server = server_of(responder.clone(), Connections::new(16, 16), IDLE);
    let connection = server.connect().await;
    let mut asked = 0;
    for plain in questions() {
        let signed = with_opt(plain.clone(), 1_232, 0, 0xc000, &[]);
        let named = with_opt(plain.clone(), 512, 0, 0, b"\x00\x03\x00\x00\x00\x0c\x00\x02ab");
        for packet in [plain.clone(), edns(plain.clone()), signed, named, with_opt(plain, 1_232, 1, 0, &[])] {
            let mut over_tcp = Vec::new();
            responder.respond(&packet, source(Transport::Tcp), &mut over_tcp).replied().expect("an answer");
            let reply = ask(&connection, &packet).await;
            assert_eq!(without_padding(&reply), over_tcp, "{packet:02x?}");
            asked += 1;
        }
    }
    assert_eq!(asked, 5 * questions().len());
}

/// Found, no data, name errors, aliases, many values, extended errors, refused, other classes, and what is not a query.
fn questions() -> Vec<Vec<u8>> {
    let labels = ["shop", "sHoP", "many", "empty", "over", "off", "nothing", "a.b.nothing", "alias2", "to-shop", "out"];
    let types = [1, 16, 255, 257, 65_280, 128, 252];
    let mut all: Vec<_> = labels.iter().flat_map(|label| types.map(|rtype| ask_for(label, rtype))).collect();
    for (name, rtype, class) in
        [("example.net", 16, 1), (APEX, 6, 1), (APEX, 48, 1), (APEX, 16, 3), ("id.server", 16, 3), (APEX, 6, 9)]
    {
        let mut packet = query(name, rtype);
        packet[..2].fill(0);
        *packet.last_mut().unwrap() = class;
        all.push(packet);
    }
    // No question; a wrong count; other opcodes; records where none belong; cut short.
    all.push([0; 12].to_vec());
    for (at, byte) in [(5, 2), (2, 0x20), (2, 0x28), (7, 1), (2, 0x78)] {
        let mut packet = ask_for("shop", 16);
        packet[at] = byte;
        all.push(packet);
    }
    all.push(ask_for("shop", 16)[..20].to_vec());
    all
}

/// What comes before a query must not use up the congestion window: the acknowledgements of small packets did so, because
/// quinn padded them.
#[tokio::test]
async fn small_packets_before_a_query_do_not_keep_its_answer_back() {
    let server = server();
    let connection = server.connect().await;
    // Pings that keep the connection alive, 50 ms apart.
    until(|| connection.stats().frame_tx.ping >= 12).await;
    ask(&connection, &ask_for("shop", 16)).await;
    // A query in single bytes, each in a packet of its own.
    let connection = server.connect().await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    for byte in framed(&ask_for("shop", 16)) {
        let before = connection.stats().frame_tx.stream;
        send.write_all(&[byte]).await.unwrap();
        until(|| connection.stats().frame_tx.stream > before).await;
    }
    send.finish().unwrap();
    let reply = timeout(PATIENCE, receive.read_to_end(70_000)).await.expect("an answer").unwrap();
    assert_eq!(Message::from_vec(&reply[2..]).unwrap().answers.len(), 2);
}

async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("in time");
}

/// They were taken for a breach, and the connection ended.
#[tokio::test]
async fn messages_up_to_the_longest_are_answered() {
    let server = server();
    let connection = server.connect().await;
    for length in [4_096, 4_097, 40_000, 65_535] {
        let mut long = ask_for("shop", 16);
        long[11] = 1;
        long.extend_from_slice(b"\x00\xff\x00\x00\x01\x00\x00\x00\x00");
        let rest = length - long.len() - 2;
        long.extend_from_slice(&(rest as u16).to_be_bytes());
        long.resize(length, 0);
        assert_eq!(Message::from_vec(&ask(&connection, &long).await).unwrap().answers.len(), 2, "{length}");
    }
}

#[tokio::test]
async fn queries_of_one_connection_do_not_wait_for_each_other() {
    let server = server();
    let connection = server.connect().await;
    let (mut stalled, mut late) = connection.open_bi().await.unwrap();
    let query = framed(&ask_for("many", 16));
    stalled.write_all(&query[..9]).await.unwrap();
    for _ in 0..100 {
        assert_eq!(Message::from_vec(&ask(&connection, &ask_for("shop", 16)).await).unwrap().answers.len(), 2);
    }
    stalled.write_all(&query[9..]).await.unwrap();
    stalled.finish().unwrap();
    let reply = timeout(PATIENCE, late.read_to_end(70_000)).await.unwrap().unwrap();
    assert_eq!(Message::from_vec(&reply[2..]).unwrap().answers.len(), 52, "whole, past one packet");
    assert_eq!(server.connections.len(), 1);
}

#[tokio::test]
async fn what_gets_no_answer_resets_its_stream_alone() {
    let server = server();
    let connection = server.connect().await;
    let mut response = ask_for("shop", 16);
    response[2] |= 0x80;
    let Err(ReadToEndError::Read(ReadError::Reset(code))) = exchange(&connection, &framed(&response)).await else {
        panic!("a reset")
    };
    assert_eq!(code, VarInt::from_u32(INTERNAL_ERROR));
    ask(&connection, &ask_for("shop", 16)).await;
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_told_so_and_leaves() {
    let server = server();
    let fine = ask_for("shop", 16);
    let mut with_id = fine.clone();
    with_id[1] = 1;
    let keepalive = with_opt(fine.clone(), 1_232, 0, 0, &[0, 11, 0, 0]);
    let streams = [
        ("an id", framed(&with_id)),
        ("keepalive", framed(&keepalive)),
        ("two queries", framed(&fine).repeat(2)),
        ("cut short", framed(&fine)[..30].to_vec()),
        ("no byte", Vec::new()),
        ("no header", framed(&[0; 11])),
        ("a byte more than announced", [framed(&fine), vec![0]].concat()),
        ("more than any message has", [framed(&vec![0; 65_535]), vec![0; 9]].concat()),
    ];
    for (what, bytes) in streams {
        let connection = server.connect().await;
        assert!(exchange(&connection, &bytes).await.is_err(), "{what}");
        assert_eq!(ended(&connection).await, PROTOCOL_ERROR, "{what}");
    }
    let connection = server.connect().await;
    let opened = timeout(Duration::from_millis(100), connection.open_uni()).await;
    assert!(opened.is_err(), "streams in one direction are not for DNS");
    let Err(ConnectionError::ConnectionClosed(closed)) = server.try_connect(b"dot").await else {
        panic!("another ALPN")
    };
    assert_eq!(u64::from(closed.error_code), 0x100 + 120, "no application protocol");
    drop(connection);
    server.empties().await;
}

#[tokio::test]
async fn idle_connections_close_whatever_quic_sends_meanwhile() {
    let idle = Duration::from_secs(2);
    let server = server_of(responder(), Connections::new(16, 16), idle);
    let start = Instant::now();
    let silent = server.connect().await;
    let busy = server.connect().await;
    let ask_on = async {
        for _ in 0..6 {
            ask(&busy, &ask_for("shop", 16)).await;
            sleep(idle / 5).await;
        }
    };
    let (code, ()) = tokio::join!(ended(&silent), ask_on);
    assert!(code == NO_ERROR && start.elapsed() >= idle);
    assert_eq!(ended(&busy).await, NO_ERROR, "later");
    server.empties().await;
}

#[tokio::test]
async fn a_stream_that_never_ends_breaks_the_rules() {
    let server = server_of(responder(), Connections::new(16, 16), Duration::from_millis(300));
    let connection = server.connect().await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&ask_for("shop", 16))).await.unwrap();
    let ask_on = async {
        while exchange(&connection, &framed(&ask_for("shop", 16))).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let (code, ()) = tokio::join!(ended(&connection), ask_on);
    assert_eq!(code, PROTOCOL_ERROR);
}

#[tokio::test]
async fn shutdown_answers_what_has_come_and_frees_the_address() {
    let server = server();
    let idle = server.connect().await;
    let busy = server.connect().await;
    let heartbeat = server.listener.heartbeat().clone();
    let before = heartbeat.value();
    let beats = async {
        while heartbeat.value() < before + 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, beats).await.expect("it beats when idle");
    server.shutdown.send(true).unwrap();
    assert_eq!(ask(&busy, &ask_for("shop", 16)).await[3] & 0xf, 0);
    assert_eq!((ended(&idle).await, ended(&busy).await), (NO_ERROR, NO_ERROR));
    timeout(PATIENCE, server.listener.finished()).await.expect("it ends");
    UdpSocket::bind(server.address).expect("the address is free");
    assert!(server.connections.is_empty());
}
