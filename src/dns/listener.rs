//! A listener that runs as a task: TCP, TLS, QUIC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

/// A count that a loop raises on each turn, also when idle, several times a second: a watchdog sees it stand still.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// The count.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Raises the count.
    pub(super) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Resolves when the shutdown has begun, or when nobody is there any more to say so.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    _ = shutdown.wait_for(|stop| *stop).await;
}

/// The running listener on one address.
#[derive(Debug)]
pub struct StreamListener {
    what: &'static str,
    address: SocketAddr,
    heartbeat: Heartbeat,
    task: JoinHandle<()>,
}

impl StreamListener {
    /// Runs a listener's loop, which beats with the heartbeat that it is given. `what` is for the log: `DNS over TCP`.
    pub(super) fn start<F>(what: &'static str, address: SocketAddr, run: impl FnOnce(Heartbeat) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let heartbeat = Heartbeat::default();
        let task = tokio::spawn(run(heartbeat.clone()));
        Self { what, address, heartbeat, task }
    }

    /// What it speaks, for the log.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its loop's count.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Waits until the listener and all of its connections have closed, which the shutdown asks for.
    pub async fn finished(self) {
        if self.task.await.is_err() {
            error!("the listener of {} on {} had panicked", self.what, self.address);
        }
    }
}
