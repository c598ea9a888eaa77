//! A client of DNS over QUIC (RFC 9250) that sends the test's own bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::PATIENCE;
use super::dns::framed;
use super::tls::{Authority, HOST};

/// How often a connection sends something by itself, so that it is the server that ends it.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Connections from one address, and the thread that they run on.
pub struct Quic {
    runtime: Runtime,
    endpoint: Endpoint,
    config: ClientConfig,
}

/// One connection.
pub struct Link<'q> {
    quic: &'q Quic,
    connection: Connection,
}

impl Quic {
    pub fn trusting(authority: &Authority) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tls = authority.client(&["doq"]);
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        let endpoint = runtime.block_on(async { Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))) }).unwrap();
        Self { runtime, endpoint, config }
    }

    pub fn connect(&self, server: SocketAddr) -> Link<'_> {
        let connecting = async { self.endpoint.connect_with(self.config.clone(), server, HOST).unwrap().await };
        let connected = self.runtime.block_on(async { timeout(PATIENCE, connecting).await });
        Link { quic: self, connection: connected.expect("a handshake in time").unwrap() }
    }
}

impl Link<'_> {
    /// The reply to a message with the id 0, on a stream of its own.
    pub fn ask(&self, message: &[u8]) -> Vec<u8> {
        let exchange = async {
            let (mut send, mut receive) = self.connection.open_bi().await?;
            send.write_all(&framed(message)).await?;
            send.finish()?;
            let reply = receive.read_to_end(2 + usize::from(u16::MAX)).await?;
            Ok::<_, Box<dyn std::error::Error>>(reply)
        };
        let reply = self.quic.runtime.block_on(async { timeout(PATIENCE, exchange).await });
        let reply = reply.expect("a reply in time").expect("a reply");
        let (length, message) = reply.split_first_chunk().expect("a length");
        assert_eq!(usize::from(u16::from_be_bytes(*length)), message.len());
        message.to_vec()
    }

    /// The certificate that the server has shown.
    pub fn shown(&self) -> Vec<u8> {
        let identity = self.connection.peer_identity().unwrap();
        identity.downcast::<Vec<CertificateDer<'static>>>().unwrap()[0].to_vec()
    }

    /// Waits until the server closes it, at most so long; the code that it gives.
    pub fn closes_within(&self, time: Duration) -> Option<u64> {
        match self.quic.runtime.block_on(async { timeout(time, self.connection.closed()).await }).ok()? {
            ConnectionError::ApplicationClosed(closed) => Some(closed.error_code.into_inner()),
            other => panic!("{other}"),
        }
    }
}
