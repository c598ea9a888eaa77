//! DNS over QUIC (RFC 9250): each query has a stream, and the same [`Responder`](super::Responder) answers as for every other transport.
//!
//! txtgate has its own accept loop over quinn. The listener of hickory-server cannot be bounded from outside. It waits for
//! one handshake before it accepts the next client, so one datagram from a silent or forged sender shuts out everybody for
//! five seconds. It does not count connections. It answers messages that it cannot parse on its own, and encodes all other
//! answers again, although they are bytes already.
//!
//! These rules bound the resources. Each client must first answer a Retry packet (RFC 9000 section 8.1.2), so that nobody
//! can occupy a connection with a forged address; migration to another address is off. Connections are limited in total and
//! by network, as over TCP. All memory of a connection is freed when its permit is: quinn would keep a closed connection
//! for as long as the peer's timers say, and here it gets a tenth of a second.

mod handover;
mod session;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TransportConfig, VarInt};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, sleep};
use tracing::error;

use crate::model::prefix::Prefix;
use crate::net::connections::{ConnectionPermit, Connections};
use crate::net::tls::Tls;

use super::listener::{Heartbeat, StreamListener, stopped};
use super::long_messages::SHORT;
use super::source::Transport;
use super::tcp::{ConnectionHandler, TURN};

use handover::{Driver, Handover};
use session::{Arrival, serve_connection};

const WHAT: &str = Transport::Quic.listener();

/// Connections in total.
pub const MAX_CONNECTIONS: usize = 1_024;
/// Connections from one network prefix.
pub const MAX_PER_PREFIX: usize = 64;
/// The most connections that may be closing. Beyond that, new clients are ignored; they retry by themselves soon after.
const MAX_LEAVING: usize = 256;
/// How long a connection is kept after its end, so that its CONNECTION_CLOSE frame goes out.
const LINGER: Duration = Duration::from_millis(100);
/// Queries of one connection at the same time. A connection may take [`SHORT`] bytes for each, and for longer ones what
/// [`LongMessages`](super::long_messages::LongMessages) admits.
const MAX_STREAMS: u32 = 16;
/// Bytes of queries that have arrived and have not been read yet, on all streams of a connection: a short query on each,
/// or one of the longest.
const RECEIVE_WINDOW: usize = MAX_STREAMS as usize * (2 + SHORT);
/// The most bytes of answers that a client has not yet acknowledged.
const SEND_WINDOW: u32 = 32 * 1_024;
/// Clients that may wait for the accept loop. The loop never leaves one waiting, so this only matters if it stalls.
const MAX_INCOMING: usize = 256;
/// Bytes that each waiting client may send.
const INCOMING_BUFFER: u64 = 8 * 1_024;
/// Bytes that all waiting clients together may send.
const INCOMING_BUFFERS: u64 = 256 * 1_024;

/// Accepts connections until the handler's shutdown. Must be called within a tokio runtime.
pub fn serve(
    socket: UdpSocket,
    tls: &Tls,
    handler: ConnectionHandler,
    connections: Connections,
) -> io::Result<StreamListener> {
    let address = socket.local_addr()?;
    let config = server_config(tls, handler.timeouts.idle).map_err(io::Error::other)?;
    let handover = Arc::new(Handover::default());
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, handover.clone())?;
    let driver = tokio::spawn(handover.take().ok_or_else(|| io::Error::other("the QUIC endpoint has no driver"))?);
    let server = QuicServer { endpoint, address, driver, handover, connections, handler };
    Ok(StreamListener::start(WHAT, address, |heartbeat| server.serve(heartbeat)))
}

fn server_config(tls: &Tls, idle: Duration) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::try_from(RECEIVE_WINDOW)?)
        .receive_window(VarInt::try_from(RECEIVE_WINDOW)?)
        .send_window(SEND_WINDOW.into())
        .max_idle_timeout(Some(IdleTimeout::try_from(idle)?))
        // Answers are small and connections short, so probing for a larger MTU would cost more than it saves. Messages are
        // padded, and packets are not (RFC 9250 section 5.4): quinn's `pad_to_mtu` pads packets that hold nothing but
        // acknowledgements, too. Those consume the congestion window, and no acknowledgement ever opens it again (RFC 9000
        // section 13.2.7), so that after ten of them nothing is sent.
        .mtu_discovery_config(None);
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
    address: SocketAddr,
    /// Moves the datagrams of all connections. Ends with the endpoint, or when the socket fails.
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
                    // The heartbeat stops too, so the watchdog restarts the daemon.
                    None => return error!("{WHAT}: the socket has failed"),
                },
                _ = turns.tick() => {}
            }
            // Connections that have ended leave the set; otherwise a flood would fill it.
            while open.try_join_next().is_some() {}
        }
        while open.join_next().await.is_some() {}
        drop(self.endpoint);
        // The driver ends by itself once nobody holds the endpoint.
        _ = self.driver.await;
    }

    /// Accepts a client once it has proven that its address is not forged.
    fn receive(&self, incoming: Incoming, open: &mut JoinSet<()>) {
        if !incoming.remote_address_validated() {
            // An error means that the client has a Retry token, and then its address would be validated.
            _ = incoming.retry();
            return;
        }
        if self.connections.leaving() >= MAX_LEAVING {
            return incoming.ignore();
        }
        let prefix = Prefix::of(incoming.remote_address().ip());
        // An error is the client's fault, such as an unknown version.
        if let Ok(connecting) = incoming.accept()
            && let Some(driver) = self.handover.take()
        {
            let permit = self.connections.admit(prefix);
            let client = Arrival { connecting, local: self.address };
            open.spawn(hold(permit, driver, client, self.handler.clone()));
        }
    }
}

/// Drives one connection from its handshake to its end. Dropping the driver frees the connection, whatever its peer does.
async fn hold(permit: ConnectionPermit, driver: Driver, client: Arrival, handler: ConnectionHandler) {
    let served = async {
        serve_connection(client, handler, &permit).await;
        sleep(LINGER).await;
    };
    tokio::select! {
        () = driver => {}
        () = served => {}
    }
}
