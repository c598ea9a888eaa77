use std::time::Instant;

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::net::tls::HTTP;
use crate::net::tls::tests::{Client, Files};

const QUICK: Times = Times {
    handshake: Duration::from_millis(300),
    head: Duration::from_millis(300),
    request: Duration::from_millis(900),
    idle: Duration::from_millis(1_500),
    drain: Duration::from_millis(1_500),
};

/// A server whose limits are short, and what it takes to end it.
struct Running {
    address: SocketAddr,
    connections: Connections,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

fn router() -> Router {
    let body = async |body: axum::body::Bytes| body.len().to_string();
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        "slept"
    };
    let peer = async |request: Request| match request.extensions().get::<Peer>() {
        Some(Peer::Unix) => "unix",
        Some(Peer::Tcp(_)) => "tcp",
        None => "nobody",
    };
    let version = async |request: Request| format!("{:?}", request.version());
    let never = async || std::future::pending::<()>().await;
    let panics = async || -> () { panic!("on purpose") };
    Router::new()
        .route("/body", post(body))
        .route("/slow", get(slow))
        .route("/peer", get(peer))
        .route("/version", get(version))
        .route("/never", get(never))
        .route("/panics", get(panics))
}

impl Running {
    async fn new(tls: Option<Tls>, connections: Connections) -> Self {
        Self::with_times(QUICK, tls, connections).await
    }

    async fn with_times(times: Times, tls: Option<Tls>, connections: Connections) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(router(), connections.clone()).with_times(times);
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.serve(listener, tls, async { _ = stopped.await }));
        Self { address, connections, stop: Some(stop), ended }
    }

    async fn plain() -> Self {
        Self::new(None, Connections::new(64, 64)).await
    }

    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything until the server closes, and how long that took.
async fn rest(stream: &mut TcpStream) -> (String, Duration) {
    let (start, mut bytes) = (Instant::now(), Vec::new());
    let read = stream.read_to_end(&mut bytes);
    // A reset is a close as well.
    _ = timeout(Duration::from_secs(10), read).await.expect("never closed");
    (String::from_utf8_lossy(&bytes).into_owned(), start.elapsed())
}

fn close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn whoever_sends_no_whole_head_is_closed() {
    let server = Running::plain().await;
    for bytes in ["", "GE", "GET / HTTP/1.1\r\nHost: a\r\nX-", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let (_, took) = rest(&mut server.send(bytes).await).await;
        assert!(took < Duration::from_millis(1_200), "{bytes:?} took {took:?}");
    }
}

#[tokio::test]
async fn a_head_that_drips_is_closed() {
    let server = Running::plain().await;
    let mut stream = server.send("GET /peer HTTP/1.1\r\nHost: a\r\n").await;
    let start = Instant::now();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if stream.write_all(b"X: y\r\n").await.is_err() {
            break;
        }
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_the_end() {
    let server = Running::plain().await;
    let mut stream = server.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    let (reply, took) = rest(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 408 ") && reply.contains("{\"error\": \"timeout\""), "{reply}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_handler_that_hangs_is_cut_off() {
    let server = Running::plain().await;
    let (reply, _) = rest(&mut server.send(&close("/never")).await).await;
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Running::with_times(Times::default(), None, Connections::new(8, 8)).await;
    let mut stream = server.send("GET / HTTP/1.1\r\nX: ").await;
    // The reply may be lost to a reset; what counts is that the server ends it long before its limits of time do.
    _ = stream.write_all("y".repeat(2 * MAX_HEAD).as_bytes()).await;
    let (reply, took) = rest(&mut stream).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431 "), "{reply}");
    assert!(took < Times::default().head / 2, "{took:?}");
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let server = Running::plain().await;
    let (reply, _) = rest(&mut server.send(&close("/panics")).await).await;
    assert!(reply.is_empty(), "{reply}");
    let (reply, _) = rest(&mut server.send(&close("/peer")).await).await;
    assert!(reply.ends_with("\r\n\r\ntcp"), "{reply}");
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room_and_a_busy_one_finishes() {
    let server = Running::new(None, Connections::new(2, 2)).await;
    let mut busy = server.send(&close("/slow")).await;
    let mut idle = server.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut newcomer = server.send(&close("/peer")).await;
    assert!(rest(&mut newcomer).await.0.ends_with("tcp"));
    assert!(rest(&mut busy).await.0.ends_with("slept"), "evicted while busy: it may finish");
    assert!(rest(&mut idle).await.0.ends_with("tcp"));
    assert!(server.connections.len() <= 2);
}

#[tokio::test]
async fn the_end_waits_for_requests_and_not_for_idle_connections() {
    let mut server = Running::plain().await;
    let mut idle = server.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut slow = server.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    server.stop.take().unwrap().send(()).unwrap();
    let (reply, _) = rest(&mut slow).await;
    assert!(reply.ends_with("slept"), "{reply}");
    rest(&mut idle).await;
    server.ended.await.unwrap();
    assert!(start.elapsed() < QUICK.drain, "{:?}", start.elapsed());
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_unix_socket_serves_the_operator_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let lines = async || {
        let ticks = std::time::Duration::from_millis(250);
        let stream = futures_of(ticks, 12);
        axum::body::Body::new(stream)
    };
    let server = Server::new(router().route("/lines", get(lines)), Connections::new(8, 8)).with_times(QUICK);
    tokio::spawn(server.serve_unix(UnixListener::bind(&path).unwrap(), std::future::pending()));
    for (what, end) in [("/peer", "unix"), ("/lines", "0\r\n\r\n")] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(close(what).as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.ends_with(end), "{reply}");
        assert_eq!(reply.matches("tick").count(), if what == "/lines" { 12 } else { 0 }, "past every limit of time");
    }
}

/// A body of so many ticks.
fn futures_of(every: Duration, count: usize) -> impl hyper::body::Body<Data = axum::body::Bytes, Error = Infallible> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..count {
            tokio::time::sleep(every).await;
            _ = sender.send("tick".to_owned()).await;
        }
    });
    crate::api::admin::lines(receiver)
}

#[tokio::test]
async fn tls_speaks_what_alpn_settles() {
    let files = Files::new();
    let server = Running::new(Some(Tls::load(files.files(), HTTP).unwrap()), Connections::new(8, 8)).await;
    for (alpn, version) in [(&b"http/1.1"[..], "HTTP/1.1"), (b"h2", "HTTP/2.0"), (b"", "HTTP/1.1")] {
        let client = Client::trusting(&files, alpn);
        assert_eq!(client.get(server.address, "/version").await, version);
    }
}

#[tokio::test]
async fn a_tls_client_that_stands_still_is_closed_at_every_step() {
    let files = Files::new();
    let server = Running::new(Some(Tls::load(files.files(), HTTP).unwrap()), Connections::new(8, 8)).await;
    let (_, took) = rest(&mut server.send("").await).await;
    assert!(took < Duration::from_secs(1), "no handshake: {took:?}");
    for (alpn, bytes) in [(&b"h2"[..], ""), (b"h2", "PRI * HT"), (b"http/1.1", ""), (b"http/1.1", "GET /")] {
        let mut stream = Client::trusting(&files, alpn).connect(server.address).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let (start, mut sink) = (Instant::now(), Vec::new());
        _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut sink)).await.expect("never closed");
        assert!(start.elapsed() < Duration::from_secs(3), "{bytes:?}: {:?}", start.elapsed());
    }
    let (reply, _) = rest(&mut server.send(&close("/peer")).await).await;
    assert!(!reply.starts_with("HTTP/1.1 200"), "plain HTTP is not answered on a TLS port: {reply}");
}

#[tokio::test]
async fn connections_after_a_reload_see_the_new_certificate() {
    let files = Files::new();
    let tls = Tls::load(files.files(), HTTP).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Connections::new(8, 8);
    let server = Server::new(axum::Router::new(), connections);
    tokio::spawn(server.serve(listener, Some(tls.clone()), std::future::pending()));
    Client::trusting(&files, b"h2").connect(address).await;
    files.put(1);
    tls.reload().unwrap();
    Client::trusting(&files, b"h2").connect(address).await;
}
