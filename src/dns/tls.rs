//! DNS over TLS (RFC 7858): a TLS handshake, and then the sessions and limits of DNS over TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::net::accept::Acceptor;
use crate::net::connections::{ConnectionPermit, Connections};
use crate::net::tls::Tls;

use super::listener::{StreamListener, stopped};
use super::responder::Responder;
use super::source::{MessageSource, Transport};
use super::tcp::{ConnectionHandler, start};

const WHAT: &str = "DNS over TLS";

/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Accepts connections until `shutdown` is true or its sender is gone. Must be called within a tokio runtime.
pub fn serve(
    listener: std::net::TcpListener,
    tls: Tls,
    responder: Responder,
    connections: Connections,
    shutdown: watch::Receiver<bool>,
) -> io::Result<StreamListener> {
    let acceptor = Acceptor::new(WHAT, TcpListener::from_std(listener)?, connections);
    let serve =
        move |handler: ConnectionHandler, stream, peer, permit| serve_tls(tls.clone(), handler, stream, peer, permit);
    start(WHAT, acceptor, ConnectionHandler::new(responder, shutdown), serve)
}

async fn serve_tls(
    tls: Tls,
    mut handler: ConnectionHandler,
    stream: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
) {
    _ = stream.set_nodelay(true);
    let source = MessageSource { address: peer.ip().to_canonical(), transport: Transport::Tls };
    let handshake = tokio::select! {
        done = timeout(HANDSHAKE, tls.acceptor().accept(stream)) => done,
        () = permit.evicted() => return,
        () = stopped(&mut handler.shutdown) => return,
    };
    match handshake {
        Ok(Ok(stream)) => handler.serve(stream, source, &permit).await,
        Ok(Err(error)) => debug!(%peer, "TLS handshake: {error}"),
        Err(_) => debug!(%peer, "TLS handshake: too slow"),
    }
}
