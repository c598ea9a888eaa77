//! The HTTP server: accepts connections, limits their number and their time, and drains them at the end.
//!
//! The accept loop is our own, on top of hyper. The ready-made loops let clients hold connections for ever in two ways.
//! They look for HTTP/2 before any timeout runs, so that a connection that sends nothing is never closed. And nothing
//! ends an HTTP/2 connection that never sends its preface. Here a plain connection speaks HTTP/1.1 only, a TLS
//! connection speaks what ALPN has settled, and a stream on which nothing arrives is closed.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::model::prefix::Prefix;
use crate::net::accept::{Acceptor, Backoff};
use crate::net::connections::{ConnectionPermit, Connections};
use crate::net::idle::IdleStream;
use crate::net::proxy_protocol::{ProxyProtocol, has_header};

use super::error::Failure;
use crate::model::actor::Actor;

use super::peer::Peer;
use crate::net::tls::Tls;

/// The listener's name in the log.
const WHAT: &str = "HTTP";
/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 * 1_024;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 8;
/// How long a connection that is evicted may finish its request.
const EVICTED: Duration = Duration::from_secs(2);

/// Limits of time.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For a request's head and, on HTTP/1.1, for the pause before it: hyper does not distinguish the two.
    pub head: Duration,
    /// From a request's head to the head of its response.
    pub request: Duration,
    /// For a stream on which nothing moves, in either direction.
    pub idle: Duration,
    /// For requests that are running when the server stops.
    pub drain: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let [handshake, head, request, idle, drain] = [10, 10, 30, 60, 10].map(Duration::from_secs);
        Self { handshake, head, request, idle, drain }
    }
}

/// Serves one router.
#[derive(Clone, Debug)]
pub struct Server {
    router: Router,
    connections: Connections,
    times: Times,
    /// The proxies that name their clients before TLS and HTTP; `None` where no header is looked for.
    proxies: Option<ProxyProtocol>,
}

impl Server {
    /// A server that counts its connections in `connections`.
    pub fn new(router: Router, connections: Connections) -> Self {
        Self { router, connections, times: Times::default(), proxies: None }
    }

    /// The server for clients behind proxies that send PROXY headers. The log says where others send one.
    pub fn with_proxies(self, proxies: ProxyProtocol) -> Self {
        Self { proxies: Some(proxies), ..self }
    }

    /// The server with other limits of time.
    pub fn with_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// Serves a TCP listener until `shutdown`, then finishes the running requests. Speaks HTTP/1.1 and HTTP/2 with `tls`,
    /// and plain HTTP/1.1 without.
    pub async fn serve(self, listener: TcpListener, tls: Option<Tls>, shutdown: impl Future<Output = ()>) {
        let mut acceptor = Acceptor::new(WHAT, listener, self.connections.clone());
        let mut open = OpenConnections::new(self.times.drain);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                (stream, peer, permit) = acceptor.accept() => {
                    // A reply is one small write, which the kernel would otherwise hold back.
                    _ = stream.set_nodelay(true);
                    let connection = open.connection(&self, Peer::Tcp(peer), permit);
                    open.tasks.spawn(connection.over_tcp(stream, peer, tls.clone(), self.proxies.clone()));
                }
                Some(_) = open.tasks.join_next() => {}
            }
        }
        drop(acceptor);
        open.drain().await;
    }

    /// Serves a Unix socket until `shutdown`; `what` names it in the log. Responses may stream for ever.
    pub async fn serve_unix(self, what: &'static str, listener: UnixListener, shutdown: impl Future<Output = ()>) {
        let mut backoff = Backoff::new(what);
        let mut open = OpenConnections::new(self.times.drain);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let permit = self.connections.admit(Prefix::of(Actor::OPERATOR.limited_address()));
                        let connection = open.connection(&self, Peer::Unix, permit);
                        open.tasks.spawn(connection.http1(TokioIo::new(stream)));
                    }
                    Err(error) => backoff.after(&error, &self.connections).await,
                },
                Some(_) = open.tasks.join_next() => {}
            }
        }
        drop(listener);
        open.drain().await;
    }
}

/// The connections of one listener.
struct OpenConnections {
    tasks: JoinSet<()>,
    /// Dropped to end the connections.
    stop: watch::Sender<()>,
    drain: Duration,
}

impl OpenConnections {
    fn new(drain: Duration) -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(()), drain }
    }

    fn connection(&self, server: &Server, peer: Peer, permit: ConnectionPermit) -> Connection {
        Connection {
            router: server.router.clone(),
            times: server.times,
            peer,
            permit: Arc::new(permit),
            stop: self.stop.subscribe(),
        }
    }

    async fn drain(mut self) {
        drop(self.stop);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.drain, all).await.is_err() {
            warn!("{} HTTP connections did not end in time and were cut", self.tasks.len());
        }
    }
}

struct Connection {
    router: Router,
    times: Times,
    peer: Peer,
    permit: Arc<ConnectionPermit>,
    stop: watch::Receiver<()>,
}

impl Connection {
    /// Serves a connection from `peer`, or from the client that a proxy at that address names.
    async fn over_tcp(
        mut self,
        mut stream: TcpStream,
        peer: SocketAddr,
        tls: Option<Tls>,
        proxies: Option<ProxyProtocol>,
    ) {
        if let Some(proxies) = proxies {
            let client = tokio::select! {
                client = client_of(&proxies, &mut stream, peer, self.times.head) => client,
                () = self.permit.evicted() => None,
            };
            let Some(client) = client else { return };
            self.peer = Peer::Tcp(SocketAddr::new(client, peer.port()));
        }
        match tls {
            Some(tls) => self.over_tls(stream, tls).await,
            None => self.plain(stream).await,
        }
    }

    async fn plain<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let stream = self.timed(stream);
        self.http1(stream).await;
    }

    async fn over_tls<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, tls: Tls) {
        let handshake = timeout(self.times.handshake, tls.acceptor().accept(stream));
        let stream = tokio::select! {
            done = handshake => match done {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(peer = %self.peer, "TLS handshake: {error}"),
                Err(_) => return debug!(peer = %self.peer, "TLS handshake: too slow"),
            },
            () = self.permit.evicted() => return,
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = self.timed(stream);
        if is_http2 { self.http2(stream).await } else { self.http1(stream).await }
    }

    /// The stream, which fails if nothing moves on it for too long.
    fn timed<S>(&self, stream: S) -> TokioIo<IdleStream<S>> {
        TokioIo::new(IdleStream::new(stream, self.times.idle))
    }

    async fn http1<S>(self, stream: TokioIo<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.times.head).max_buf_size(MAX_HEAD);
        let connection = builder.serve_connection(stream, self.service());
        self.drive(connection).await;
    }

    async fn http2<S>(self, stream: TokioIo<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEAD as u32);
        let connection = builder.serve_connection(stream, self.service());
        self.drive(connection).await;
    }

    fn service(&self) -> Answering {
        Answering {
            router: self.router.clone(),
            peer: self.peer,
            limit: self.times.request,
            permit: self.permit.clone(),
        }
    }

    /// Runs a connection to its end. Eviction and the end of the server end it early.
    async fn drive<C: GracefulConnection>(mut self, connection: C) {
        tokio::pin!(connection);
        let left = tokio::select! {
            _ = connection.as_mut() => return,
            () = self.permit.evicted() => EVICTED,
            _ = self.stop.changed() => self.times.drain,
        };
        connection.as_mut().graceful_shutdown();
        _ = timeout(left, connection).await;
    }
}

/// The address of the client of a new connection. `None`: the connection is to be closed, since a proxy's header is
/// missing, or since somebody else has sent one. A connection that sends nothing for as long as `patience` is closed too.
async fn client_of(
    proxies: &ProxyProtocol,
    stream: &mut TcpStream,
    peer: SocketAddr,
    patience: Duration,
) -> Option<IpAddr> {
    if proxies.is_proxy(peer.ip()) {
        return Some(proxies.client_of(WHAT, stream, peer).await?.ip());
    }
    if timeout(patience, has_header(stream)).await.ok()? {
        proxies.warn_of_unasked(WHAT, peer.ip());
        return None;
    }
    Some(peer.ip())
}

/// The service that hyper calls for each request of a connection.
#[derive(Clone)]
struct Answering {
    router: Router,
    peer: Peer,
    limit: Duration,
    permit: Arc<ConnectionPermit>,
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.permit.touch();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        let router = self.router.clone();
        let limit = self.limit;
        Box::pin(async move {
            match timeout(limit, router.oneshot(request)).await {
                Ok(response) => response,
                Err(_) => Ok(Failure::Slow.into_response()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
