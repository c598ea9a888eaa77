//! From which sockets this process has asked lately, so that the query log can tell its own questions from those of
//! others: an address does not, since a resolver or a CA may run on the same machine.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a socket is remembered after it was opened: longer than a question and the log's reading of its answer take
/// together, and so short that the system gives its port to hardly anybody else meanwhile.
const REMEMBERED: Duration = Duration::from_secs(15);
/// The most sockets that are remembered; the oldest make room.
const MOST: usize = 1_024;

/// Sockets, from the oldest to the newest.
#[derive(Debug)]
struct OwnSockets(VecDeque<(SocketAddr, Instant)>);

// The ports of a machine are one space for the whole process.
static OPENED: Mutex<OwnSockets> = Mutex::new(OwnSockets(VecDeque::new()));

/// Takes note of a socket from which this process asks.
pub fn note(socket: SocketAddr) {
    opened().note(socket);
}

/// The sockets from which this process has asked lately.
pub fn recent() -> BTreeSet<SocketAddr> {
    opened().recent()
}

fn opened() -> MutexGuard<'static, OwnSockets> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OwnSockets {
    fn note(&mut self, socket: SocketAddr) {
        let now = Instant::now();
        let is_old = |(_, since): &(SocketAddr, Instant)| now.duration_since(*since) > REMEMBERED;
        while self.0.front().is_some_and(is_old) || self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((SocketAddr::new(socket.ip().to_canonical(), socket.port()), now));
    }

    fn recent(&self) -> BTreeSet<SocketAddr> {
        let now = Instant::now();
        let is_recent = |(_, since): &&(SocketAddr, Instant)| now.duration_since(*since) <= REMEMBERED;
        self.0.iter().filter(is_recent).map(|(socket, _)| *socket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_remembered_in_their_own_family_and_never_too_many() {
        let mut opened = OwnSockets(VecDeque::new());
        let of = |port| SocketAddr::new("::ffff:192.0.2.1".parse().unwrap(), port);
        let first: SocketAddr = "192.0.2.1:1".parse().unwrap();
        opened.note(of(1));
        assert!(opened.recent().contains(&first));
        (2..=MOST as u16 + 1).for_each(|port| opened.note(of(port)));
        let recent = opened.recent();
        assert!(recent.len() == MOST && !recent.contains(&first));
    }
}
