use std::net::SocketAddr;

use axum::routing::{get, post};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::net::tls::HTTP;
use crate::net::tls::tests::{Client, Files};

/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The limit that a test waits for.
const SHORT: Duration = Duration::from_millis(300);
/// A limit that no test reaches: a connection that ends within [`PATIENCE`] was ended by another limit.
const NEVER: Duration = Duration::from_secs(3_600);
const LONG: Times = Times { handshake: NEVER, head: NEVER, request: NEVER, idle: NEVER, drain: NEVER };

/// A server whose limits are short, and what it takes to end it.
struct Running {
    address: SocketAddr,
    connections: Connections,
    gate: Arc<Gate>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

/// Holds requests for `/slow` until a test lets them go.
struct Gate {
    begun: Semaphore,
    released: Semaphore,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { begun: Semaphore::new(0), released: Semaphore::new(0) })
    }

    async fn pass(&self) -> &'static str {
        self.begun.add_permits(1);
        self.released.acquire().await.unwrap().forget();
        "slept"
    }

    /// Waits until a request is being held.
    async fn begun(&self) {
        timeout(PATIENCE, self.begun.acquire()).await.expect("the request arrives").unwrap().forget();
    }
}

fn router(gate: Arc<Gate>) -> Router {
    let body = async |body: axum::body::Bytes| body.len().to_string();
    let slow = async move || gate.pass().await;
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
        Self::with_times(LONG, tls, connections).await
    }

    async fn with_times(times: Times, tls: Option<Tls>, connections: Connections) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Gate::new();
        let server = Server::new(router(gate.clone()), connections.clone()).with_times(times);
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.serve(listener, tls, async { _ = stopped.await }));
        Self { address, connections, gate, stop: Some(stop), ended }
    }

    async fn plain() -> Self {
        Self::new(None, Connections::new(64, 64)).await
    }

    /// A server over plain TCP of which only these limits count.
    async fn limited(times: Times) -> Self {
        Self::with_times(times, None, Connections::new(64, 64)).await
    }

    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything until the server closes.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A reset is a close as well.
    _ = timeout(PATIENCE, read).await.expect("never closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a reply up to its last bytes.
async fn reply_that_ends(stream: &mut TcpStream, end: &str) {
    let mut reply = String::new();
    while !reply.ends_with(end) {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("a reply");
        reply.push(char::from(byte.unwrap_or_else(|error| panic!("{error} after {reply}"))));
    }
}

fn close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn whoever_sends_no_whole_head_is_closed() {
    let server = Running::limited(Times { head: SHORT, ..LONG }).await;
    for bytes in ["", "GE", "GET / HTTP/1.1\r\nHost: a\r\nX-", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        rest(&mut server.send(bytes).await).await;
    }
}

#[tokio::test]
async fn a_head_that_drips_is_closed() {
    let server = Running::limited(Times { head: SHORT, ..LONG }).await;
    let mut stream = server.send("GET /peer HTTP/1.1\r\nHost: a\r\n").await;
    let drips = async {
        while stream.write_all(b"X: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, drips).await.expect("never closed");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_the_end() {
    let server = Running::limited(Times { request: SHORT, ..LONG }).await;
    let mut stream = server.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    let reply = rest(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 408 ") && reply.contains("{\"error\": \"timeout\""), "{reply}");
}

#[tokio::test]
async fn a_handler_that_hangs_is_cut_off() {
    let server = Running::limited(Times { request: SHORT, ..LONG }).await;
    let reply = rest(&mut server.send(&close("/never")).await).await;
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Running::plain().await;
    let mut stream = server.send("GET / HTTP/1.1\r\nX: ").await;
    // The reply may be lost to a reset; what counts is that the server ends it without any limit of time.
    _ = stream.write_all("y".repeat(2 * MAX_HEAD).as_bytes()).await;
    let reply = rest(&mut stream).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431 "), "{reply}");
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let server = Running::plain().await;
    let reply = rest(&mut server.send(&close("/panics")).await).await;
    assert!(reply.is_empty(), "{reply}");
    let reply = rest(&mut server.send(&close("/peer")).await).await;
    assert!(reply.ends_with("\r\n\r\ntcp"), "{reply}");
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room_and_a_busy_one_finishes() {
    let server = Running::new(None, Connections::new(2, 2)).await;
    let mut busy = server.send(&close("/slow")).await;
    let mut idle = server.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.gate.begun().await;
    reply_that_ends(&mut idle, "tcp").await;
    let mut newcomer = server.send(&close("/peer")).await;
    assert!(rest(&mut newcomer).await.ends_with("tcp"));
    server.gate.released.add_permits(1);
    assert!(rest(&mut busy).await.ends_with("slept"), "evicted while busy: it may finish");
    assert!(server.connections.len() <= 2);
}

#[tokio::test]
async fn the_end_waits_for_requests_and_not_for_idle_connections() {
    let mut server = Running::plain().await;
    let mut idle = server.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut slow = server.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.gate.begun().await;
    reply_that_ends(&mut idle, "tcp").await;
    server.stop.take().unwrap().send(()).unwrap();
    rest(&mut idle).await;
    assert!(!server.ended.is_finished(), "a request is under way");
    server.gate.released.add_permits(1);
    let reply = rest(&mut slow).await;
    assert!(reply.ends_with("slept"), "{reply}");
    timeout(PATIENCE, server.ended).await.expect("no limit of time has to end it").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_unix_socket_serves_the_operator_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let lines = async || {
        let stream = futures_of(SHORT / 2, 12);
        axum::body::Body::new(stream)
    };
    let times = Times { handshake: SHORT, head: SHORT, request: SHORT, idle: SHORT, drain: SHORT };
    let router = router(Gate::new()).route("/lines", get(lines));
    let server = Server::new(router, Connections::new(8, 8)).with_times(times);
    tokio::spawn(server.serve_unix("test", UnixListener::bind(&path).unwrap(), std::future::pending()));
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
    crate::api::stream::lines_body(receiver)
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
    let tls = Tls::load(files.files(), HTTP).unwrap();
    let limited = async |times| Running::with_times(times, Some(tls.clone()), Connections::new(8, 8)).await;
    let server = limited(Times { handshake: SHORT, ..LONG }).await;
    rest(&mut server.send("").await).await;
    let idle = Times { idle: SHORT, ..LONG };
    let head = Times { head: SHORT, ..LONG };
    let steps =
        [(idle, &b"h2"[..], ""), (idle, b"h2", "PRI * HT"), (head, b"http/1.1", ""), (head, b"http/1.1", "GET /")];
    for (times, alpn, bytes) in steps {
        let server = limited(times).await;
        let mut stream = Client::trusting(&files, alpn).connect(server.address).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        rest(&mut stream).await;
    }
    let reply = rest(&mut server.send(&close("/peer")).await).await;
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
