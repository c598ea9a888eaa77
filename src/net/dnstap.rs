//! dnstap: a copy of every DNS message, for the tools that read what BIND, Knot, NSD and Unbound write (dnstap.info).
//!
//! The threads that answer queries hand each message to a [`Tap`], which encodes it and puts it into a bounded queue. A
//! thread of its own writes the queue out. If the receiver is slow or gone, the queue fills up and further messages are
//! lost and counted: a query never waits.

mod frame_streams;
mod message;
mod output;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use crate::metrics::Metrics;

pub use message::{Kind, Protocol, Tapped};
pub use writer::TapWriter;

/// Messages that may wait for the writer.
const MAX_WAITING: usize = 16_384;
/// Bytes of messages that may wait for the writer.
const MAX_WAITING_BYTES: usize = 8 * 1_024 * 1_024;

/// Where the messages go, and what is told about this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnstapSettings {
    /// The receiver.
    pub target: Target,
    /// The name of this server; empty: none is told.
    pub identity: String,
    /// Whether the messages name the client's network instead of its address and port.
    pub is_private: bool,
}

/// The receiver of the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket on which a receiver listens.
    Socket(PathBuf),
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// The size in bytes at which the file is renamed and another is begun.
        limit: u64,
    },
}

/// Takes copies of messages; a cheap handle.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    frames: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    identity: String,
    is_private: bool,
}

/// What the taps and the writer share.
#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    must_reopen: AtomicBool,
    must_stop: AtomicBool,
}

impl Tap {
    /// Copies a message into the queue. Never waits: the message is lost if the queue is full.
    pub fn record(&self, message: &Tapped<'_>) {
        let Queue { frames, shared, metrics, identity, is_private } = &*self.0;
        let frame = if *is_private { message.without_host().encode(identity) } else { message.encode(identity) };
        let length = frame.len();
        let before = shared.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        if before + length > MAX_WAITING_BYTES || frames.try_send(frame).is_err() {
            shared.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
            metrics.dnstap_lost.one();
        }
    }
}
