//! Listeners that run as tasks: TCP, TLS and QUIC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

/// A counter that a loop increments several times a second, even when idle. The watchdog notices when it stops.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// The current count.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Resolves when the shutdown begins, or when its sender is gone.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    _ = shutdown.wait_for(|stop| *stop).await;
}

/// A running listener on one address.
#[derive(Debug)]
pub struct StreamListener {
    what: &'static str,
    address: SocketAddr,
    heartbeat: Heartbeat,
    task: JoinHandle<()>,
}

impl StreamListener {
    /// Spawns a listener's loop, which beats with the heartbeat that it is given. `what` names the listener in the log:
    /// `DNS over TCP`.
    pub(super) fn start<F>(what: &'static str, address: SocketAddr, run: impl FnOnce(Heartbeat) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let heartbeat = Heartbeat::default();
        let task = tokio::spawn(run(heartbeat.clone()));
        Self { what, address, heartbeat, task }
    }

    /// The listener's name in the log.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The address that the listener is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heartbeat of the listener's loop.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Waits until the listener and all of its connections have closed. They do so once the shutdown begins.
    pub async fn finished(self) {
        if self.task.await.is_err() {
            error!("the {} listener on {} has panicked", self.what, self.address);
        }
    }
}
