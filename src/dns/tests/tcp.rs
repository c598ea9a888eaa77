//! The listeners of DNS over TCP and TLS.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::dns::Heartbeat;
use crate::dns::long_messages::LongMessages;
use crate::dns::tcp::{ConnectionHandler, StreamTimeouts, accept_all, serve};
use crate::model::prefix::Prefix;
use crate::net::accept::Acceptor;
use crate::net::bind;
use crate::net::connections::Connections;
use crate::net::inherited::Inherited;

/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct TestListener {
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
    connections: Connections,
    task: JoinHandle<()>,
}

async fn server(connections: Connections, idle: Duration) -> TestListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, shutdown) = watch::channel(false);
    let timeouts = StreamTimeouts { idle, write: Duration::from_millis(500), transfer: PATIENCE };
    let acceptor = Acceptor::new("test", listener, connections.clone());
    let handler = ConnectionHandler { timeouts, ..ConnectionHandler::new(responder(), shutdown) };
    let task = tokio::spawn(accept_all(acceptor, handler, Heartbeat::default(), ConnectionHandler::serve_tcp));
    TestListener { address, shutdown: sender, connections, task }
}

async fn default_server() -> TestListener {
    server(Connections::new(16, 16), Duration::from_secs(5)).await
}

impl TestListener {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn framed(id: u8, name: &str) -> Vec<u8> {
    let mut packet = query(name, 16);
    packet[1] = id;
    [&(packet.len() as u16).to_be_bytes()[..], &packet].concat()
}

async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Message {
    let read = async {
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        Message::from_vec(&message).unwrap()
    };
    timeout(PATIENCE, read).await.expect("an answer")
}

/// Waits for the end of the stream; says how many bytes came before it.
async fn closed(stream: &mut TcpStream) -> usize {
    let mut rest = Vec::new();
    // A reset is an end as well.
    _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("a closed connection");
    rest.len()
}

#[tokio::test]
async fn queries_in_one_segment_are_answered_in_order() {
    let server = default_server().await;
    let mut stream = server.connect().await;
    let queries: Vec<u8> = (1..=20).flat_map(|id| framed(id, if id % 2 == 0 { "many" } else { "x" })).collect();
    stream.write_all(&queries).await.unwrap();
    for id in 1..=20 {
        assert_eq!(next(&mut stream).await.metadata.id, 0xab00 | id);
    }
    assert_eq!(server.connections.len(), 1);
}

#[tokio::test]
async fn a_query_may_come_in_three_pieces() {
    let server = default_server().await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let query = [framed(1, "shop.auth.example.org"), framed(2, "many.auth.example.org")].concat();
    for piece in [&query[..1], &query[1..30], &query[30..]] {
        stream.write_all(piece).await.unwrap();
        sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(txts(&next(&mut stream).await.answers).len(), 2);
    assert_eq!(txts(&next(&mut stream).await.answers).len(), 52, "whole, over TCP");
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_answer_and_a_fin() {
    let server = default_server().await;
    let mut stream = server.connect().await;
    stream.write_all(&framed(1, APEX)).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(next(&mut stream).await.metadata.id, 0xab01);
    assert_eq!(closed(&mut stream).await, 0);
}

#[tokio::test]
async fn lengths_that_no_query_has_close_the_connection_after_the_answers() {
    let server = default_server().await;
    for length in [0_u16, 1, 11] {
        let mut stream = server.connect().await;
        let bytes = [framed(1, APEX), length.to_be_bytes().to_vec(), vec![0; 20]].concat();
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(next(&mut stream).await.metadata.id, 0xab01, "length {length}");
        assert_eq!(closed(&mut stream).await, 0, "length {length}");
    }
}

/// A message with an additional record that makes it as long as `length`. The record means nothing.
fn long_query(length: usize) -> Vec<u8> {
    let mut packet = query("shop.auth.example.org", 16);
    packet[11] = 1;
    packet.extend_from_slice(b"\x00\xff\x00\x00\x01\x00\x00\x00\x00");
    let rest = length - packet.len() - 2;
    packet.extend_from_slice(&(rest as u16).to_be_bytes());
    packet.resize(length, 0);
    packet
}

fn with_length(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes()[..], packet].concat()
}

/// They were taken for a breach, and the connection was reset.
#[tokio::test]
async fn messages_up_to_the_longest_are_answered() {
    let server = default_server().await;
    let mut stream = server.connect().await;
    for length in [4_096, 4_097, 4_700, 40_000, 65_535] {
        let long = with_length(&long_query(length));
        stream.write_all(&[framed(1, APEX), long, framed(2, APEX)].concat()).await.unwrap();
        assert_eq!(next(&mut stream).await.metadata.id, 0xab01, "{length}");
        assert_eq!(txts(&next(&mut stream).await.answers).len(), 2, "{length}");
        assert_eq!(next(&mut stream).await.metadata.id, 0xab02, "{length}");
    }
    // In pieces, and with nothing behind it.
    for part in with_length(&long_query(60_049)).chunks(9_999) {
        stream.write_all(part).await.unwrap();
    }
    assert_eq!(txts(&next(&mut stream).await.answers).len(), 2);
}

/// Two bytes announce a long message, so those who send no more must not take the memory from those who do.
#[tokio::test]
async fn a_long_message_that_does_not_go_on_makes_room_for_another() {
    let (_keep, shutdown) = watch::channel(false);
    let handler = ConnectionHandler {
        long_messages: LongMessages::limited(1, 1),
        ..ConnectionHandler::new(responder(), shutdown)
    };
    let serve = |handler: ConnectionHandler| {
        let (client, stream) = tokio::io::duplex(1_024);
        tokio::spawn(async move {
            let permit = Connections::new(1, 1).admit(Prefix::V4([127, 0, 0]));
            handler.serve(stream, source(Transport::Tcp), &permit).await;
        });
        client
    };
    let long = with_length(&long_query(60_000));
    let mut announcing = serve(handler.clone());
    // The stream holds 1,024 bytes, so most of these have been read.
    announcing.write_all(&long[..20_000]).await.unwrap();
    for _ in 0..2 {
        let mut other = serve(handler.clone());
        other.write_all(&long).await.unwrap();
        assert_eq!(txts(&next(&mut other).await.answers).len(), 2);
    }
    let mut rest = Vec::new();
    timeout(PATIENCE, announcing.read_to_end(&mut rest)).await.expect("closed").unwrap();
    assert!(rest.is_empty(), "{rest:02x?}");
    let mut short = serve(handler);
    short.write_all(&framed(1, APEX)).await.unwrap();
    assert_eq!(next(&mut short).await.metadata.id, 0xab01);
}

#[tokio::test]
async fn garbage_is_a_format_error_and_responses_get_nothing() {
    let server = default_server().await;
    let mut stream = server.connect().await;
    let mut response = framed(1, APEX);
    response[4] |= 0x80;
    stream.write_all(&response).await.unwrap();
    stream.write_all(&[&[0, 40][..], &[7; 40]].concat()).await.unwrap();
    assert_eq!(next(&mut stream).await.metadata.id, 0x0707);
    stream.write_all(&framed(3, APEX)).await.unwrap();
    assert_eq!(next(&mut stream).await.metadata.id, 0xab03);
}

#[tokio::test]
async fn idle_connections_close_even_if_single_bytes_drip_in() {
    let server = server(Connections::new(16, 16), Duration::from_millis(300)).await;
    let mut silent = server.connect().await;
    let mut dripping = server.connect().await;
    let start = Instant::now();
    let drip = async {
        for byte in framed(1, APEX) {
            _ = dripping.write_all(&[byte]).await;
            sleep(Duration::from_millis(50)).await;
        }
        closed(&mut dripping).await
    };
    let (silent, dripped) = tokio::join!(closed(&mut silent), drip);
    assert_eq!((silent, dripped), (0, 0));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn whole_queries_keep_a_connection_open_for_longer_than_one_idle_time() {
    let idle = Duration::from_secs(2);
    let server = server(Connections::new(16, 16), idle).await;
    let mut busy = server.connect().await;
    for id in 0..6 {
        busy.write_all(&framed(id, APEX)).await.unwrap();
        assert_eq!(next(&mut busy).await.metadata.id, 0xab00 | u16::from(id));
        sleep(idle / 5).await;
    }
}

#[tokio::test]
async fn a_full_house_closes_the_longest_idle_connection() {
    let server = server(Connections::new(2, 2), Duration::from_secs(5)).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut second, &mut first] {
        stream.write_all(&framed(1, APEX)).await.unwrap();
        next(stream).await;
    }
    let mut third = server.connect().await;
    assert_eq!(closed(&mut second).await, 0);
    for stream in [&mut first, &mut third] {
        stream.write_all(&framed(2, APEX)).await.unwrap();
        assert_eq!(next(stream).await.metadata.id, 0xab02);
    }
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let server = default_server().await;
    let mut stream = server.connect().await;
    let queries: Vec<u8> = (0..2_000).flat_map(|_| framed(1, "many.auth.example.org")).collect();
    let start = Instant::now();
    // About 6 MB of answers, for a client that takes none.
    let flood = async { while stream.write_all(&queries).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("the server closed the connection");
    assert!(start.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn shutdown_answers_what_has_come_and_closes_the_idle() {
    let server = default_server().await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(&framed(1, APEX)).await.unwrap();
    next(&mut busy).await;
    busy.write_all(&framed(2, APEX)).await.unwrap();
    while server.connections.len() < 2 {
        sleep(Duration::from_millis(1)).await;
    }
    server.shutdown.send(true).unwrap();
    assert_eq!(next(&mut busy).await.metadata.id, 0xab02);
    assert_eq!((closed(&mut idle).await, closed(&mut busy).await), (0, 0));
    timeout(PATIENCE, server.task).await.expect("the listener ends").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err() && server.connections.is_empty());
}

#[tokio::test]
async fn the_accept_loop_beats_when_idle() {
    let listener = bind::tcp("127.0.0.1:0".parse().unwrap(), &mut Inherited::default()).unwrap();
    let (shutdown, receiver) = watch::channel(false);
    let handler = ConnectionHandler::new(responder(), receiver);
    let server = serve(listener, handler, Connections::new(1, 1)).unwrap();
    let before = server.heartbeat().value();
    let beats = async {
        while server.heartbeat().value() < before + 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, beats).await.expect("it beats when idle");
    assert!(server.address().port() != 0);
    drop(shutdown);
    timeout(PATIENCE, server.finished()).await.expect("ends without its sender");
}

#[tokio::test]
async fn over_tls_it_is_the_same_conversation() {
    use crate::net::tls::tests::{Client, Files};
    use crate::net::tls::{DOT, Tls};

    let files = Files::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (_keep, shutdown) = watch::channel(false);
    let tls = Tls::load(files.files(), DOT).unwrap();
    let handler = ConnectionHandler::new(responder(), shutdown);
    let running = crate::dns::tls::serve(listener, tls, handler, Connections::new(4, 4)).unwrap();
    let mut stream = Client::trusting(&files, b"dot").connect(address).await;
    stream.write_all(&[framed(1, "shop.auth.example.org"), framed(2, "shop.auth.example.org")].concat()).await.unwrap();
    for id in [1, 2] {
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        let message = Message::from_vec(&message).unwrap();
        assert_eq!((message.metadata.id & 0xff, message.answers.len()), (id, 2));
    }
    // Whoever does not speak TLS gets no DNS.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(&framed(3, "shop.auth.example.org")).await.unwrap();
    let mut reply = Vec::new();
    _ = timeout(PATIENCE, plain.read_to_end(&mut reply)).await.expect("closed");
    assert!(reply.first().is_none_or(|byte| *byte == 21), "an alert at most: {reply:?}");
    drop(running);
}

#[tokio::test]
async fn answers_that_are_ready_do_not_wait_behind_the_pause_for_a_signature() {
    let responder = seldom_denying();
    let missing = |number: u32| with_opt(query(&format!("m{number}.{APEX}"), 16), 1_232, 0, 0x8000, &[]);
    let is_paused = |number: &u32| {
        let responded =
            responder.respond(&missing(*number), source(Transport::Tcp), &mut Vec::new()).replied().unwrap();
        responded.pause > Duration::from_millis(600)
    };
    (0..1_000).find(is_paused).expect("a pause");
    // In this process, with one thread: while the server sleeps nobody writes, and nobody else has to be waited for.
    let (mut client, stream) = tokio::io::duplex(65_536);
    let (_keep, shutdown) = watch::channel(false);
    let timeouts = StreamTimeouts { idle: Duration::from_secs(5), write: Duration::from_secs(5), transfer: PATIENCE };
    let handler = ConnectionHandler { timeouts, ..ConnectionHandler::new(responder, shutdown) };
    tokio::spawn(async move {
        let permit = Connections::new(1, 1).admit(Prefix::V4([127, 0, 0]));
        handler.serve(stream, source(Transport::Tcp), &permit).await;
    });
    let missing = missing(1_000);
    let missing = [&(missing.len() as u16).to_be_bytes()[..], &missing].concat();
    client.write_all(&[framed(1, APEX), missing, framed(3, APEX)].concat()).await.unwrap();
    assert_eq!(next(&mut client).await.metadata.id, 0xab01);
    assert_eq!(next(&mut client).await.metadata.id, 0xabcd);
    let third = std::future::poll_fn(|context| {
        let mut byte = [0];
        let is_there = Pin::new(&mut client).poll_read(context, &mut ReadBuf::new(&mut byte)).is_ready();
        std::task::Poll::Ready(is_there)
    });
    assert!(!third.await, "it comes after the pause; those before have come without it");
    assert_eq!(next(&mut client).await.metadata.id, 0xab03);
}
