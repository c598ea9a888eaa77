//! Accepts connections, and handles a process that is out of file descriptors.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use super::connections::{ConnectionPermit, Connections};
use crate::model::prefix::Prefix;

/// The pause after an error that an immediate retry would only repeat.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause has this many steps. It ends after any of them once the evicted connection is gone: otherwise a backlog of
/// hundreds would keep a new connection waiting for a minute.
const STEPS: u32 = 5;
/// The least time between two log lines about such errors.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// The listener slows down if more evicted connections than this are still open.
const MAX_LEAVING: usize = 64;

/// A TCP listener that bounds its connections and never spins on an error.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    connections: Connections,
    backoff: Backoff,
}

impl Acceptor {
    /// Accepts from `listener` and counts in `connections`. `what` names the listener in the log, such as `DNS over TCP`.
    pub fn new(what: &'static str, listener: TcpListener, connections: Connections) -> Self {
        Self { listener, connections, backoff: Backoff::new(what) }
    }

    /// The local address of the listener.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns the next connection, and handles errors itself. Cancel safe: no connection is lost.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr, ConnectionPermit) {
        loop {
            if self.connections.leaving() > MAX_LEAVING {
                // They still hold their descriptors, so they get time to close.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let permit = self.connections.admit(Prefix::of(peer.ip()));
                    return (stream, peer, permit);
                }
                Err(error) => self.backoff.after(&error, &self.connections).await,
            }
        }
    }
}

/// Handles failed accepts, also for listeners that are not TCP.
#[derive(Debug)]
pub struct Backoff {
    what: &'static str,
    logged: Option<Instant>,
}

impl Backoff {
    /// `what` names the listener in the log.
    pub fn new(what: &'static str) -> Self {
        Self { what, logged: None }
    }

    /// If the process is out of descriptors or memory: evicts the connection that has been idle longest, logs at most once
    /// a minute, and pauses until that connection is gone, for 100 ms at most. Any other error concerns one connection that
    /// went away while it waited, and is ignored.
    pub async fn after(&mut self, error: &io::Error, connections: &Connections) {
        if !is_exhausted(error) {
            return;
        }
        let may_end_early = connections.evict_idlest();
        if self.logged.is_none_or(|then| then.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            warn!("{}: cannot accept connections: {error}; raise LimitNOFILE", self.what);
        }
        for _ in 0..STEPS {
            tokio::time::sleep(PAUSE / STEPS).await;
            if may_end_early && connections.leaving() == 0 {
                return;
            }
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn out_of_descriptors_pauses_and_evicts_but_a_lost_connection_does_not() {
        let connections = Connections::new(8, 8);
        let permit = connections.admit(Prefix::V4([192, 0, 2]));
        let mut backoff = Backoff::new("test");
        // An error of one connection's own: done without waiting for anything.
        let lost = io::Error::from(Errno::ECONNABORTED);
        tokio::select! { biased;
            () = backoff.after(&lost, &connections) => {}
            () = std::future::ready(()) => panic!("a lost connection must not pause the listener"),
        }
        assert_eq!(connections.len(), 1);
        let start = Instant::now();
        backoff.after(&io::Error::from(Errno::EMFILE), &connections).await;
        assert!(start.elapsed() >= PAUSE && connections.is_empty());
        permit.evicted().await;
        drop(permit);
        // Nothing left to evict: the whole pause again. Something that goes at once: a part of it.
        let start = Instant::now();
        backoff.after(&io::Error::from(Errno::EMFILE), &connections).await;
        assert!(start.elapsed() >= PAUSE);
        let permit = connections.admit(Prefix::V4([192, 0, 2]));
        let leaves = async {
            permit.evicted().await;
            drop(permit);
        };
        let error = io::Error::from(Errno::EMFILE);
        let both = async { tokio::join!(backoff.after(&error, &connections), leaves) };
        // Timers fire in the order of their deadlines, however slow the machine is: a whole pause ends after this one.
        tokio::select! { biased;
            _ = both => {}
            () = tokio::time::sleep(PAUSE) => panic!("the pause must end with the connection that leaves"),
        }
    }

    #[tokio::test]
    async fn connections_are_counted_by_the_prefix_of_their_peer() {
        let connections = Connections::new(8, 1);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = Acceptor::new("test", listener, connections.clone());
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let (_, _, first) = acceptor.accept().await;
        let (_, peer, _second) = acceptor.accept().await;
        assert!(peer.ip().is_loopback());
        first.evicted().await;
        assert_eq!(connections.len(), 1);
    }
}
