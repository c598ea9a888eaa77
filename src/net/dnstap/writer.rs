//! The thread that writes the queue out.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::file::Unusable;
use crate::metrics::Metrics;

use super::output::Output;
use super::{DnstapSettings, MAX_WAITING, Queue, Shared, Tap, Target};

/// How long a message may stay in the buffer, and how soon the thread sees that it has to stop.
const TURN: Duration = Duration::from_millis(250);
/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the thread goes on writing what waits when it has to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the thread may take to stop. Then it is left behind.
const LONGEST_STOP: Duration = Duration::from_secs(8);
/// How often to look whether it has.
const STOP_POLL: Duration = Duration::from_millis(10);

/// The writer's thread. Dropping it stops the thread.
#[derive(Debug)]
pub struct TapWriter {
    tap: Tap,
    thread: Option<JoinHandle<()>>,
}

impl TapWriter {
    /// Starts the thread. An error concerns the thread alone: for a receiver that is not there, it waits.
    pub fn start(settings: DnstapSettings, metrics: Arc<Metrics>) -> io::Result<Self> {
        let DnstapSettings { target, identity, is_private } = settings;
        let (frames, waiting) = sync_channel(MAX_WAITING);
        let shared = Arc::new(Shared::default());
        let writer = Writer { target, waiting, shared: shared.clone(), metrics: metrics.clone(), has_warned: false };
        let thread = thread::Builder::new().name("dnstap".into()).spawn(move || writer.run())?;
        let tap = Tap(Arc::new(Queue { frames, shared, metrics, identity, is_private }));
        Ok(Self { tap, thread: Some(thread) })
    }

    /// A handle for those who have messages.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Begins a new file, so that the old one can be moved away. A connection stays as it is.
    pub fn reopen(&self) {
        self.tap.0.shared.must_reopen.store(true, Ordering::Relaxed);
    }

    /// Writes what waits, ends the stream, and waits for that; for a few seconds at most. Blocks the calling thread.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.tap.0.shared.must_stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + LONGEST_STOP;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(STOP_POLL);
        }
        match thread.is_finished() {
            true if thread.join().is_err() => warn!("dnstap: the writer has panicked"),
            true => {}
            // A receiver that accepts no connection holds the thread up in the kernel.
            false => warn!("dnstap: the receiver does not react, and the last messages are lost"),
        }
    }
}

impl Drop for TapWriter {
    fn drop(&mut self) {
        self.halt();
    }
}

struct Writer {
    target: Target,
    waiting: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    /// Whether the log says that the receiver is gone.
    has_warned: bool,
}

impl Writer {
    fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.must_stop() {
            let started = Instant::now();
            match self.write_stream() {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    continue;
                }
                Err(error) => self.warn(&error),
            }
            // A receiver that took messages for a while is not a reason for a long pause.
            pause = if started.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { pause };
            self.wait(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Writes one stream until it is full, has to be reopened, or has to stop.
    fn write_stream(&mut self) -> io::Result<()> {
        self.shared.must_reopen.store(false, Ordering::Relaxed);
        let mut output = Output::open(&self.target)?;
        info!("dnstap: writing to {}", self.path().display());
        self.has_warned = false;
        let mut unflushed = 0;
        let written = self.write_frames(&mut output, &mut unflushed).and_then(|()| output.close());
        match written {
            Ok(()) => self.metrics.dnstap_written.add(unflushed),
            // Some of them may have arrived.
            Err(_) => self.metrics.dnstap_lost.add(unflushed),
        }
        written
    }

    /// Writes frames. `unflushed` are those whose writing may still fail.
    fn write_frames(&self, output: &mut Output, unflushed: &mut u64) -> io::Result<()> {
        let mut flushed = Instant::now();
        while !self.must_stop() && !output.is_full(&self.target) && !self.must_reopen() {
            match self.waiting.recv_timeout(TURN) {
                Ok(frame) => self.write(output, &frame, unflushed)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if *unflushed > 0 && flushed.elapsed() >= TURN {
                output.flush()?;
                self.metrics.dnstap_written.add(std::mem::take(unflushed));
                flushed = Instant::now();
            }
        }
        if self.must_stop() {
            self.write_rest(output, unflushed)?;
        }
        Ok(())
    }

    /// Writes what waits when the daemon stops.
    fn write_rest(&self, output: &mut Output, unflushed: &mut u64) -> io::Result<()> {
        let started = Instant::now();
        while started.elapsed() < LAST_WORDS
            && let Ok(frame) = self.waiting.try_recv()
        {
            self.write(output, &frame, unflushed)?;
        }
        Ok(())
    }

    fn write(&self, output: &mut Output, frame: &[u8], unflushed: &mut u64) -> io::Result<()> {
        self.shared.waiting_bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        *unflushed += 1;
        output.write(frame)
    }

    fn must_stop(&self) -> bool {
        self.shared.must_stop.load(Ordering::Relaxed)
    }

    fn must_reopen(&self) -> bool {
        matches!(self.target, Target::File { .. }) && self.shared.must_reopen.load(Ordering::Relaxed)
    }

    /// Waits, unless the daemon stops.
    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.must_stop() && Instant::now() < until {
            thread::sleep(TURN.min(pause));
        }
    }

    /// Logs that the receiver is gone, once until it is back.
    fn warn(&mut self, error: &io::Error) {
        if std::mem::replace(&mut self.has_warned, true) {
            return;
        }
        let problem = Unusable(self.path(), error);
        match &self.target {
            Target::Socket(path) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                warn!(
                    "dnstap: {problem}; no receiver listens there; start one, such as `fstrm_capture -t \
                 protobuf:dnstap.Dnstap -u {} -w queries.dnstap`; messages are lost until then",
                    path.display()
                )
            }
            _ => warn!("dnstap: {problem}; messages are lost until that works, and txtgate keeps trying"),
        }
    }

    fn path(&self) -> &Path {
        match &self.target {
            Target::Socket(path) | Target::File { path, .. } => path,
        }
    }
}
