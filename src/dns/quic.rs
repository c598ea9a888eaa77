//! DNS over QUIC (RFC 9250): a stream for each query, answered by the same [`Responder`] as everything else.
//!
//! A loop of our own over quinn, and not hickory-server's listener, which could not be kept in bounds from outside:
//! it waits for one handshake before it looks at the next client, so that a single datagram whose sender stays silent
//! (or was forged) shuts everybody out for five seconds; it does not count connections; and it answers what it cannot
//! parse on its own and writes all other answers anew, where ours are bytes already.
//!
//! What bounds it: nobody takes a place under another's address, since each client must first answer a Retry packet
//! (RFC 9000 section 8.1.2), and none moves to another one later; places are counted as over TCP, by network and in
//! all; and all that a connection holds goes with its place. quinn would keep each for a while after its end, for as
//! long as the peer's own timers say; here it gets a tenth of a second.

mod handover;
mod session;

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connecting, Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TransportConfig, VarInt};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, sleep};
use tracing::error;

use crate::model::prefix::Prefix;
use crate::net::connections::{ConnectionPermit, Connections};
use crate::net::tls::Tls;

use super::listener::{Heartbeat, StreamListener, stopped};
use super::responder::Responder;
use super::tcp::{ConnectionHandler, MAX_QUERY, TURN};

use handover::{Driver, Handover};
use session::serve_connection;

const WHAT: &str = "DNS over QUIC";

/// Connections in all, and from one prefix.
pub const MAX_CONNECTIONS: usize = 1_024;
pub const MAX_PER_PREFIX: usize = 64;
/// Connections on their way out beyond which newcomers are not heard: they ask again by themselves, soon after.
const MAX_LEAVING: usize = 256;
/// How long a connection that has ended is kept, so that its error goes out.
const FAREWELL: Duration = Duration::from_millis(100);
/// Queries of one connection at the same time. With [`MAX_QUERY`] this is memory for each connection.
const MAX_STREAMS: u32 = 16;
/// Bytes of answers that a client has not acknowledged yet.
const SEND_WINDOW: u32 = 32 * 1_024;
/// Clients that wait for the accept loop, and bytes that each may send meanwhile, and all. The loop leaves none
/// waiting, so this is for its own standing still.
const MAX_INCOMING: usize = 256;
const INCOMING_BUFFER: u64 = 8 * 1_024;
const INCOMING_BUFFERS: u64 = 256 * 1_024;

/// Starts to accept connections, until `shutdown` is true or its sender is gone. Wants a tokio runtime around it.
pub fn serve(
    socket: UdpSocket,
    tls: &Tls,
    responder: Responder,
    connections: Connections,
    shutdown: watch::Receiver<bool>,
) -> io::Result<StreamListener> {
    start(socket, tls, connections, ConnectionHandler::new(responder, shutdown))
}

pub(super) fn start(
    socket: UdpSocket,
    tls: &Tls,
    connections: Connections,
    handler: ConnectionHandler,
) -> io::Result<StreamListener> {
    let address = socket.local_addr()?;
    let config = server_config(tls, handler.timeouts.idle).map_err(io::Error::other)?;
    let handover = Arc::new(Handover::default());
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, handover.clone())?;
    let driver = tokio::spawn(handover.take().ok_or_else(|| io::Error::other("the QUIC endpoint has no driver"))?);
    let server = QuicServer { endpoint, driver, handover, connections, handler };
    Ok(StreamListener::start(WHAT, address, |heartbeat| server.serve(heartbeat)))
}

fn server_config(tls: &Tls, idle: Duration) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::try_from(2 + MAX_QUERY)?)
        .receive_window(VarInt::try_from(MAX_STREAMS as usize * (2 + MAX_QUERY))?)
        .send_window(SEND_WINDOW.into())
        .max_idle_timeout(Some(IdleTimeout::try_from(idle)?))
        // Answers are small and connections short: probing for larger packets would cost more than it gives.
        .mtu_discovery_config(None)
        // Lengths tell nothing of the names that were asked for (RFC 9250 section 5.4).
        .pad_to_mtu(true);
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls.config())?));
    config
        .transport_config(Arc::new(transport))
        .migration(false)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFERS);
    Ok(config)
}

/// The accept loop and what it needs.
struct QuicServer {
    endpoint: Endpoint,
    /// Moves the datagrams of all connections; ends with the endpoint, or when the socket fails.
    driver: JoinHandle<()>,
    handover: Arc<Handover>,
    connections: Connections,
    handler: ConnectionHandler,
}

impl QuicServer {
    async fn serve(self, heartbeat: Heartbeat) {
        let mut shutdown = self.handler.shutdown.clone();
        let mut turns = interval(TURN);
        let mut open = JoinSet::new();
        loop {
            heartbeat.beat();
            tokio::select! {
                () = stopped(&mut shutdown) => break,
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.receive(incoming, &mut open),
                    // The heart stops with it, and whoever watches over that starts the daemon anew.
                    None => return error!("{WHAT}: the socket has failed"),
                },
                _ = turns.tick() => {}
            }
            // The closed ones leave the set, or a flood would fill it.
            while open.try_join_next().is_some() {}
        }
        while open.join_next().await.is_some() {}
        drop(self.endpoint);
        // It ends by itself now that nobody holds the endpoint.
        _ = self.driver.await;
    }

    /// Gives a newcomer a place once it has shown that its address is its own.
    fn receive(&self, incoming: Incoming, open: &mut JoinSet<()>) {
        if !incoming.remote_address_validated() {
            // An error means that it carries a Retry's token already, and then it would be validated.
            _ = incoming.retry();
            return;
        }
        if self.connections.leaving() >= MAX_LEAVING {
            return incoming.ignore();
        }
        let prefix = Prefix::of(incoming.remote_address().ip());
        // An error is the newcomer's own, like a version that nobody speaks.
        if let Ok(connecting) = incoming.accept()
            && let Some(driver) = self.handover.take()
        {
            let permit = self.connections.admit(prefix);
            open.spawn(hold(permit, driver, connecting, self.handler.clone()));
        }
    }
}

/// All of one connection: it ends with this, whatever its peer still wishes.
async fn hold(permit: ConnectionPermit, driver: Driver, connecting: Connecting, handler: ConnectionHandler) {
    let whole = async {
        serve_connection(connecting, handler, &permit).await;
        sleep(FAREWELL).await;
    };
    tokio::select! {
        () = driver => {}
        () = whole => {}
    }
}
