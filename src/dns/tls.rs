//! DNS over TLS (RFC 7858): a TLS handshake, and then the sessions and limits of DNS over TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::rustls::ProtocolVersion;
use tracing::debug;

use crate::net::accept::Acceptor;
use crate::net::connections::{ConnectionPermit, Connections};
use crate::net::proxy_protocol::has_header;
use crate::net::tls::{DOT, Tls};

use super::ede::Ede;
use super::listener::{StreamListener, stopped};
use super::source::Transport;
use super::tcp::{ConnectionHandler, start};

const WHAT: &str = Transport::Tls.listener();

/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Accepts connections until the handler's shutdown. Must be called within a tokio runtime.
pub fn serve(
    listener: std::net::TcpListener,
    tls: Tls,
    handler: ConnectionHandler,
    connections: Connections,
) -> io::Result<StreamListener> {
    let acceptor = Acceptor::new(WHAT, TcpListener::from_std(listener)?, connections);
    let serve =
        move |handler: ConnectionHandler, stream, peer, permit| serve_tls(tls.clone(), handler, stream, peer, permit);
    start(WHAT, acceptor, handler, serve)
}

async fn serve_tls(
    tls: Tls,
    mut handler: ConnectionHandler,
    mut stream: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
) {
    _ = stream.set_nodelay(true);
    let Some((source, permit)) = handler.client_of(Transport::Tls, &mut stream, peer, permit).await else { return };
    let handshake = async {
        // A handshake begins with another byte, and its error would not say what is wrong.
        if has_header(&stream).await {
            handler.proxies.warn_of_unasked(WHAT, peer.ip());
            return None;
        }
        Some(tls.acceptor().accept(stream).await)
    };
    let handshake = tokio::select! {
        done = timeout(HANDSHAKE, handshake) => done,
        () = permit.evicted() => return,
        () = stopped(&mut handler.shutdown) => return,
    };
    match handshake {
        Ok(Some(Ok(stream))) => {
            let (_, session) = stream.get_ref();
            let is_new = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
            if !is_new || !session.alpn_protocol().is_some_and(|chosen| DOT.contains(&chosen)) {
                handler.no_transfers = Some(Ede::TRANSFER_NEEDS_XOT);
            }
            handler.serve(stream, source, &permit).await;
        }
        Ok(Some(Err(error))) => debug!(%peer, "TLS handshake: {error}"),
        Ok(None) => {}
        Err(_) => debug!(%peer, "TLS handshake: too slow"),
    }
}
