//! quinn's tokio runtime, except that it spawns no tasks: it hands over the futures that would be tasks.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// The future that drives an endpoint or a connection. Nothing happens while nobody polls it; dropping it frees the
/// endpoint or the connection.
pub type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Holds the driver of a new endpoint or an accepted connection until it is taken, right after.
#[derive(Default)]
pub struct Handover(Mutex<Option<Driver>>);

impl Handover {
    /// Takes the driver of the endpoint or connection that has just been created.
    pub fn take(&self) -> Option<Driver> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

impl Runtime for Handover {
    fn spawn(&self, driver: Driver) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
    }

    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quinn::crypto::rustls::QuicClientConfig;
    use quinn::{ClientConfig, Endpoint, EndpointConfig};
    use tokio::time::{sleep, timeout};

    use super::super::server_config;
    use super::*;
    use crate::net::tls::tests::{Files, client_config};
    use crate::net::tls::{DOQ, Tls};

    #[tokio::test]
    async fn a_connection_is_there_for_as_long_as_its_driver_and_no_longer() {
        let files = Files::new();
        let tls = Tls::load(files.files(), DOQ).unwrap();
        let config = server_config(&tls, Duration::from_secs(60)).unwrap();
        let handover = Arc::new(Handover::default());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, handover.clone()).unwrap();
        tokio::spawn(handover.take().expect("the endpoint's"));
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let crypto = QuicClientConfig::try_from(client_config(&files, b"doq")).unwrap();
        let to = endpoint.local_addr().unwrap();
        let connecting = client.connect_with(ClientConfig::new(Arc::new(crypto)), to, "api.test").unwrap();
        let _peer = tokio::spawn(connecting.into_future());
        let accepted = endpoint.accept().await.unwrap().accept().unwrap();
        let mut driver = handover.take().expect("the connection's");
        assert!(handover.take().is_none());
        let connection = tokio::select! {
            connection = accepted => connection.unwrap(),
            () = &mut driver => panic!("it has ended"),
        };
        connection.close(0_u32.into(), b"");
        drop(connection);
        // Longer than a closed connection is kept on this path, if anybody moves it.
        sleep(Duration::from_millis(500)).await;
        assert_eq!(endpoint.open_connections(), 1);
        drop(driver);
        let forgotten = async {
            while endpoint.open_connections() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(5), forgotten).await.expect("nothing of it is kept");
    }
}
