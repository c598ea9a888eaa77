//! quinn's tokio runtime, but that it starts no task: whatever would be one is handed to us.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// What moves an endpoint or a connection. While nobody polls it, nothing happens there; dropped, it is gone.
pub type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the driver of each new endpoint and of each accepted connection, until it is asked for: right after.
#[derive(Default)]
pub struct Handover(Mutex<Option<Driver>>);

impl Handover {
    /// The driver of what has just been made.
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
