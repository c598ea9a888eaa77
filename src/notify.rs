//! Notifications: people and programs are notified of what needs attention, once when it begins and once when it is over.
//!
//! Whoever checks something [reports](Notifier::report) what it has found wrong. `open_matters` compares that with what
//! is known, and makes messages of what has begun and what is over. Each [`channel`] has a bounded queue of messages, and a
//! task that delivers them in their order, with increasing delays after failures.
//!
//! What has been reported and what is still to be delivered survives a restart in a file beside the database: a restart neither
//! repeats a message nor loses one. It is not a table of the database, because that is one of the things that messages are
//! about: with a full disk they still leave, from memory.

pub mod channel;
mod failure;
mod mail;
pub mod matter;
pub mod message;
mod open_matters;
mod queue;
pub mod report;
mod state_file;
mod webhook;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify as Wake, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::config;
use crate::metrics::Metrics;
use crate::model::text::one_line;
use crate::model::time::{Clock, Timestamp};
use crate::net::jitter::pause;

use channel::Channel;
use failure::Failure;
use matter::{EventType, Matter, MatterKind};
use message::Message;
use open_matters::OpenMatters;
use queue::{Queue, backoff};
use report::{ChannelReport, NotifyReport, TestResult};
use state_file::StateFile;

/// Sends notifications. A cheap handle.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: config::Notify,
    /// The first zone, by which receivers distinguish servers.
    server: String,
    clock: Clock,
    metrics: Arc<Metrics>,
    channels: Vec<ChannelTask>,
    state: Mutex<State>,
    file: StateFile,
}

/// A channel, and what wakes its task.
#[derive(Debug)]
struct ChannelTask {
    channel: Channel,
    wake: Wake,
}

#[derive(Debug)]
struct State {
    matters: OpenMatters,
    /// One for each channel, in the same order.
    queues: Vec<Queue>,
    /// Whether something has changed since the file was written.
    is_dirty: bool,
}

impl Notifier {
    /// Reads what an earlier run has left in the file beside the database. Delivers nothing yet.
    pub fn open(
        settings: &config::Notify,
        server: String,
        database: &Path,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let file = StateFile::beside(database);
        let stored = file.read();
        let channels = Channel::all(settings);
        let queues = channels.iter().map(|channel| Queue::of(stored.waiting(channel.name()))).collect();
        let matters = OpenMatters::new(settings.grace, settings.remind, stored.open, Instant::now());
        let state = Mutex::new(State { matters, queues, is_dirty: false });
        let channels = channels.into_iter().map(|channel| ChannelTask { channel, wake: Wake::new() }).collect();
        let settings = settings.clone();
        let notifier = Self(Arc::new(Shared { settings, server, clock, metrics, channels, state, file }));
        notifier.count_open(&notifier.lock());
        notifier
    }

    /// Begins to deliver, until the deliveries are finished or dropped.
    pub fn start(&self) -> Deliveries {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for index in 0..self.0.channels.len() {
            tasks.spawn(self.clone().keep_delivering(index, stop.subscribe()));
        }
        Deliveries { stop, tasks }
    }

    /// What the configuration says.
    pub fn settings(&self) -> &config::Notify {
        &self.0.settings
    }

    /// Takes everything that is wrong now of these kinds. What was wrong before and is not in `found` is over.
    pub async fn report(&self, kinds: &[MatterKind], found: Vec<Matter>) {
        let date = self.0.clock.now();
        let events = {
            let mut state = self.lock();
            let events = state.matters.observe(kinds, found, date, Instant::now());
            self.count_open(&state);
            for (event, matter) in &events {
                let message = Message::of(*event, matter, &self.0.server, date);
                self.enqueue(&mut state, &message);
            }
            events
        };
        for (event, open) in &events {
            let Matter { kind, subject, summary, details } = &open.matter;
            match event {
                EventType::Over => info!(%kind, %subject, "over: {summary}"),
                _ => warn!(%kind, %subject, "needs attention: {summary}; {}", one_line(details)),
            }
        }
        // First of all: the disk may hang, and the message be about that.
        if !events.is_empty() {
            self.0.channels.iter().for_each(|task| task.wake.notify_one());
        }
        // Also without news: an earlier write may have failed.
        self.save().await;
    }

    /// Sends a test message over every channel, all at the same time, one attempt each.
    pub async fn test(&self) -> Vec<TestResult> {
        let message = Message::test(&self.0.server, self.0.clock.now());
        let mut attempts = tokio::task::JoinSet::new();
        for index in 0..self.0.channels.len() {
            let (notifier, message) = (self.clone(), message.clone());
            attempts.spawn(async move { (index, notifier.test_one(index, &message).await) });
        }
        let mut results = attempts.join_all().await;
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The open matters and the channels, for the operator.
    pub fn view(&self) -> NotifyReport {
        let state = self.lock();
        let channels = self.0.channels.iter().zip(&state.queues);
        NotifyReport {
            matters: state.matters.views(),
            channels: channels.map(|(task, queue)| channel_report(&task.channel, queue)).collect(),
        }
    }

    /// Writes the state to its file, if it has changed. A file that cannot be written holds up no message for long.
    async fn save(&self) {
        let snapshot = || {
            let mut state = self.lock();
            std::mem::take(&mut state.is_dirty).then(|| {
                let waiting = self.0.channels.iter().zip(&state.queues);
                let waiting = waiting.map(|(task, queue)| (task.channel.name().to_owned(), queue.messages()));
                state_file::Stored { open: state.matters.reported(), waiting: waiting.collect() }
            })
        };
        if !self.0.file.write(snapshot).await {
            self.lock().is_dirty = true;
        }
    }

    fn enqueue(&self, state: &mut State, message: &Message) {
        state.is_dirty = true;
        for (task, queue) in self.0.channels.iter().zip(&mut state.queues) {
            if let Some(dropped) = queue.push(message.clone()) {
                let channel = task.channel.name();
                warn!(channel, id = dropped.id, "too many messages wait for the channel; the oldest is dropped");
                self.0.metrics.notifications.dropped(channel);
            }
        }
    }

    /// Sets the gauges of open matters.
    fn count_open(&self, state: &State) {
        for kind in MatterKind::ALL {
            self.0.metrics.open_matters.set(kind.as_str(), state.matters.count(kind));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks that deliver. Dropping them ends them at once.
#[derive(Debug)]
pub struct Deliveries {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Deliveries {
    /// Begins no more attempts, and lets those that have begun end: a message that the receiver has and this server does not
    /// know to be delivered leaves again after the restart. Ends them after a limit.
    pub async fn finish(mut self, limit: Duration) {
        // An error means that no task is left to receive it.
        _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, ended).await.is_err() {
            debug!("a notification was being delivered; it leaves again after the restart");
        }
    }
}

impl Notifier {
    /// Delivers the messages of a channel. A stop interrupts the waits, and never an attempt.
    async fn keep_delivering(self, index: usize, mut stop: watch::Receiver<bool>) {
        loop {
            let message = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                message = self.next(index) => message,
            };
            let wait = self.attempt(index, &message).await;
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = pause(wait) => {}
            }
        }
    }

    /// The message whose turn it is, once there is one.
    async fn next(&self, index: usize) -> Message {
        loop {
            let first = self.lock().queues.get(index).and_then(Queue::first);
            match first {
                Some(message) => return message,
                None => self.0.channels[index].wake.notified().await,
            }
        }
    }

    /// Makes one attempt. Returns how long to wait before the next one.
    async fn attempt(&self, index: usize, message: &Message) -> Duration {
        // Before the attempt: a message that was sent without being on disk would get another id after a crash.
        self.save().await;
        let channel = &self.0.channels[index].channel;
        match channel.send(message, self.0.settings.timeout).await {
            Ok(()) => {
                self.0.metrics.notifications.delivered(channel.name());
                let was_failing = self.change(index, |queue, at| {
                    let was_failing = queue.failures > 0;
                    queue.delivered(message, at);
                    was_failing
                });
                self.lock().is_dirty = true;
                if was_failing {
                    info!(channel = channel.name(), "messages are delivered again");
                }
                self.save().await;
                Duration::ZERO
            }
            Err(failure) => {
                self.0.metrics.notifications.failed(channel.name());
                self.note_failure(index, message, &failure)
            }
        }
    }

    /// Takes note of a failure. Returns how long to wait.
    fn note_failure(&self, index: usize, message: &Message, failure: &Failure) -> Duration {
        let channel = &self.0.channels[index].channel;
        let (is_given_up, failures) = self.change(index, |queue, _| (queue.failed(message, failure), queue.failures));
        if is_given_up {
            self.lock().is_dirty = true;
            let problem = &failure.problem;
            warn!(channel = channel.name(), id = message.id, "a message is given up: {problem}");
            self.0.metrics.notifications.dropped(channel.name());
        } else if failures == 1 {
            let (target, problem) = (channel.target(), &failure.problem);
            warn!(channel = channel.name(), target, "a message is not delivered, and is tried again: {problem}");
        }
        backoff(failures).max(failure.retry_after.unwrap_or_default())
    }

    fn change<T>(&self, index: usize, change: impl FnOnce(&mut Queue, Timestamp) -> T) -> T {
        let at = self.0.clock.now();
        // invariant: there is a queue for each channel
        change(&mut self.lock().queues[index], at)
    }

    /// Sends a test message over one channel. The queue does not wait for it.
    async fn test_one(&self, index: usize, message: &Message) -> TestResult {
        let channel = &self.0.channels[index].channel;
        let started = Instant::now();
        let outcome = channel.send(message, self.0.settings.timeout).await;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &outcome {
            Ok(()) => self.0.metrics.notifications.delivered(channel.name()),
            Err(_) => self.0.metrics.notifications.failed(channel.name()),
        }
        TestResult {
            channel: channel.name().to_owned(),
            target: channel.target(),
            milliseconds,
            problem: outcome.err().map(|failure| failure.problem),
        }
    }
}

fn channel_report(channel: &Channel, queue: &Queue) -> ChannelReport {
    ChannelReport {
        channel: channel.name().to_owned(),
        target: channel.target(),
        waiting: queue.len(),
        failures: queue.failures,
        problem: queue.problem.clone(),
        last_delivery: queue.last_delivery.map(|at| at.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::notify::NotifyCommand;

    /// A notifier whose command is this script.
    fn notifier(folder: &Path, script: String) -> Notifier {
        let arguments = vec!["-c".to_owned(), script];
        let settings = config::Notify {
            command: Some(NotifyCommand { program: "/bin/sh".to_owned(), arguments }),
            timeout: Duration::from_secs(60),
            ..config::Notify::default()
        };
        let metrics = Arc::new(Metrics::default());
        Notifier::open(&settings, "auth.test".to_owned(), &folder.join("t.db"), Clock::start(None), metrics)
    }

    /// Waits for what another task does.
    async fn until(is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    }

    #[tokio::test]
    async fn a_message_that_is_delivered_while_the_daemon_stops_does_not_leave_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let script = format!("cat > {0}/begun; while [ ! -e {0}/go ]; do sleep 0.01; done", folder.display());
        let notifier = notifier(folder, script);
        let deliveries = notifier.start();
        let matter = Matter::new(MatterKind::Database, "t.db", "changes cannot be stored", "the disk does not answer");
        notifier.report(&[MatterKind::Database], vec![matter]).await;
        until(|| folder.join("begun").exists()).await;
        assert_eq!(notifier.0.file.read().waiting("command").len(), 1);
        let finishing = tokio::spawn(deliveries.finish(Duration::from_secs(60)));
        tokio::task::yield_now().await;
        std::fs::write(folder.join("go"), "").unwrap();
        finishing.await.unwrap();
        assert!(notifier.0.file.read().waiting("command").is_empty());
    }

    #[tokio::test]
    async fn a_disk_that_hangs_does_not_hold_up_the_message_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = format!("cat > {0}.new && mv {0}.new {0}", out.display());
        let mut notifier = notifier(folder.path(), script);
        let file = &mut Arc::get_mut(&mut notifier.0).unwrap().file;
        file.limit = Duration::from_millis(20);
        let held = file.writing.clone().lock_owned().await;
        let deliveries = notifier.start();
        let matter = Matter::new(MatterKind::Database, "t.db", "changes cannot be stored", "the disk does not answer");
        notifier.report(&[MatterKind::Database], vec![matter]).await;
        until(|| notifier.view().channels[0].last_delivery.is_some()).await;
        assert!(std::fs::read_to_string(&out).unwrap().contains("the disk does not answer"));
        drop(held);
        // What could not be written is written later, by one of the next rounds: a slow disk may miss its limit again.
        tokio::time::timeout(Duration::from_secs(60), async {
            while notifier.0.file.read().open.len() != 1 {
                notifier.report(&[MatterKind::Clock], Vec::new()).await;
            }
        })
        .await
        .unwrap();
        assert!(notifier.0.file.read().waiting("command").is_empty());
        drop(deliveries);
    }
}
