//! The keeper: gets a certificate and renews it for as long as the daemon runs. One loop serves the API's certificate and
//! managed ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::error;

use crate::metrics::Metrics;

use super::error::{CertificateError, Result};
use super::renewal::{MIN_SLEEP, backoff, wall_clock};

/// How the last attempts went, for the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Attempts that have failed since the last success.
    pub failures: u32,
    /// Why the last attempt has failed, and what to do about it.
    pub problem: Option<String>,
    /// When the next attempt begins.
    pub next_attempt: Option<String>,
}

/// What a keeper has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is to be done for so long.
    Idle(Duration),
    /// An attempt has succeeded.
    Done,
    /// The certificate is deleted, and needs no keeper.
    Deleted,
}

/// A certificate that a keeper keeps: the API's, or a managed one.
pub trait Kept {
    /// Checks the certificate, and makes one attempt if something is to be done.
    fn turn(&mut self) -> impl Future<Output = Result<Turn>> + Send;

    /// Changes the part of the report that the keeper writes.
    fn update<T>(&self, change: impl FnOnce(&mut Attempts) -> T) -> T;

    /// Names the certificate in the log.
    fn title(&self) -> String;

    /// Counts failures.
    fn metrics(&self) -> &Metrics;

    /// Ends the sleep between two turns: somebody wants another attempt at once.
    fn wake(&self) -> &Notify;

    /// Called after each failure.
    fn failed(&self, problem: &CertificateError);

    /// Called after each turn.
    fn turn_ended(&self);
}

/// Takes turns until the certificate is deleted. After a failure waits 1, 3, 9 ... minutes up to 6 hours, and at least
/// as long as the CA asks.
pub async fn keep(mut kept: impl Kept) {
    loop {
        let wait = match kept.turn().await {
            Ok(Turn::Idle(wait)) => wait,
            Ok(Turn::Done) => {
                kept.update(|attempts| *attempts = Attempts::default());
                MIN_SLEEP
            }
            Ok(Turn::Deleted) => return,
            Err(problem) => note_failure(&kept, &problem),
        };
        kept.turn_ended();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = kept.wake().notified() => {}
        }
    }
}

/// Reports a failure, and returns the wait before the next attempt.
fn note_failure(kept: &impl Kept, problem: &CertificateError) -> Duration {
    let failures = kept.update(|attempts| attempts.failures) + 1;
    let wait = backoff(failures).max(problem.retry_after().unwrap_or_default());
    let next = wall_clock().plus(wait).to_string();
    let explained = problem.explained();
    error!(failures, next_attempt = next, "{} needs attention: {explained}", kept.title());
    kept.metrics().certificate_failures.one();
    kept.failed(problem);
    // In one step, and last: a reader who sees the failure also sees its reason, and finds it in the log.
    kept.update(|attempts| {
        attempts.failures = failures;
        attempts.problem = Some(explained);
        attempts.next_attempt = Some(next);
    });
    wait
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;

    type Seen = Arc<Mutex<Vec<Attempts>>>;

    /// A certificate whose turns are given. Nothing waits for the next one.
    struct Scripted {
        turns: VecDeque<Result<Turn>>,
        attempts: Mutex<Attempts>,
        seen: Seen,
        metrics: Arc<Metrics>,
        wake: Notify,
    }

    impl Kept for Scripted {
        async fn turn(&mut self) -> Result<Turn> {
            self.turns.pop_front().unwrap()
        }

        fn update<T>(&self, change: impl FnOnce(&mut Attempts) -> T) -> T {
            change(&mut self.attempts.lock().unwrap())
        }

        fn title(&self) -> String {
            "the test".to_owned()
        }

        fn metrics(&self) -> &Metrics {
            &self.metrics
        }

        fn wake(&self) -> &Notify {
            &self.wake
        }

        fn failed(&self, _problem: &CertificateError) {}

        fn turn_ended(&self) {
            self.seen.lock().unwrap().push(self.attempts.lock().unwrap().clone());
            self.wake.notify_one();
        }
    }

    #[tokio::test]
    async fn failures_count_until_a_success_and_a_deletion_ends_the_keeper() {
        let failure = || Err(CertificateError::Invalid("x".into()));
        let turns = [failure(), failure(), Ok(Turn::Done), Ok(Turn::Idle(MIN_SLEEP)), failure(), Ok(Turn::Deleted)];
        let seen = Seen::default();
        let metrics = Arc::new(Metrics::default());
        keep(Scripted {
            turns: turns.into(),
            attempts: Mutex::default(),
            seen: seen.clone(),
            metrics: metrics.clone(),
            wake: Notify::new(),
        })
        .await;
        let seen = seen.lock().unwrap();
        assert_eq!(seen.iter().map(|attempts| attempts.failures).collect::<Vec<_>>(), [1, 2, 0, 0, 1]);
        assert!(seen.iter().all(|attempts| attempts.problem.is_some() == (attempts.failures > 0)), "{seen:?}");
        assert!(seen[1].next_attempt > seen[0].next_attempt && seen[2].next_attempt.is_none(), "{seen:?}");
        assert_eq!(metrics.certificate_failures.value(), 3);
    }
}
