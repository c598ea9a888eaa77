//! DNS over UDP: operating system threads, each with a socket of its own on the shared address.
//!
//! A thread receives a batch of queries, answers them and sends the batch. There is no task per packet and no queue in
//! between; the only queue is the socket buffer of the kernel, whose size is bounded.

mod batch;
mod reply_path;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::net::bind::UdpSockets;

use super::listener::Heartbeat;
use super::responder::Responder;
use super::source::{MessageSource, Transport};

use batch::Batch;

/// How long a thread waits for a query before it checks the stop flag and beats again.
const TURN: Duration = Duration::from_millis(250);
/// The pause after an error of the socket.
const PAUSE: Duration = Duration::from_millis(100);
/// The least time between two log lines about such errors.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// One answered batch in so many is timed. Reading the clock for each batch would add measurably to the cost of a query.
const TIMED: u32 = 16;

/// A running listener on one address. Dropping it stops it.
#[derive(Debug)]
pub struct UdpListener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    heartbeats: Vec<Heartbeat>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts a thread for each socket.
pub fn spawn(bound: UdpSockets, responder: &Responder) -> io::Result<UdpListener> {
    let UdpSockets { sockets, address, .. } = bound;
    let stop = Arc::new(AtomicBool::new(false));
    let mut listener = UdpListener { address, stop, heartbeats: Vec::new(), threads: Vec::new() };
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_read_timeout(Some(TURN))?;
        let heartbeat = Heartbeat::default();
        let worker = Worker {
            responder: responder.for_thread(),
            stop: listener.stop.clone(),
            heartbeat: heartbeat.clone(),
            last_logged: None,
        };
        let thread =
            thread::Builder::new().name(format!("dns-udp-{index}")).spawn(move || worker.run(socket, address))?;
        listener.heartbeats.push(heartbeat);
        listener.threads.push(thread);
    }
    Ok(listener)
}

impl UdpListener {
    /// The address that the listener is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heartbeat of each thread.
    pub fn heartbeats(&self) -> &[Heartbeat] {
        &self.heartbeats
    }

    /// Stops the threads and waits for them, for 250 ms at most. Blocks the calling thread.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread of DNS over UDP on {} has panicked", self.address);
            }
        }
    }
}

impl Drop for UdpListener {
    fn drop(&mut self) {
        self.halt();
    }
}

struct Worker {
    responder: Responder,
    stop: Arc<AtomicBool>,
    heartbeat: Heartbeat,
    last_logged: Option<Instant>,
}

impl Worker {
    fn run(mut self, socket: UdpSocket, address: SocketAddr) {
        let mut batch = Batch::new(socket, address.ip());
        let mut answered: u32 = 0;
        while !self.stop.load(Ordering::Relaxed) {
            self.heartbeat.beat();
            if let Err(error) = batch.receive() {
                self.pause_after(&error);
            }
            let started = answered.is_multiple_of(TIMED).then(Instant::now);
            batch.answer(|query, peer, destination, out| {
                let local = destination.map_or(address, |ip| SocketAddr::new(ip, address.port()));
                let source = MessageSource { address: peer.ip(), port: peer.port(), local, transport: Transport::Udp };
                self.responder.respond(query, source, out)
            });
            let replies = batch.send();
            if replies == 0 {
                continue;
            }
            if let Some(started) = started {
                self.responder.replies.metrics.answer_times.each_took(started.elapsed(), replies as u64);
            }
            answered = answered.wrapping_add(1);
        }
    }

    fn pause_after(&mut self, error: &io::Error) {
        if self.last_logged.is_none_or(|then| then.elapsed() >= LOG_EVERY) {
            self.last_logged = Some(Instant::now());
            warn!("DNS over UDP: cannot receive: {error}");
        }
        thread::sleep(PAUSE);
    }
}
