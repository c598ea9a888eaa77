//! Gets a certificate, and renews it for as long as the daemon runs. One loop serves the API's certificate and managed
//! ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::error;

use crate::metrics::Metrics;
use crate::model::time::relative::relative;

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

impl Attempts {
    /// Why the last attempt has failed, what to do about it, and when the next one begins.
    pub fn explained(&self) -> Option<String> {
        self.problem.as_ref().map(|problem| self.with_next(problem))
    }

    /// A problem, and when the next attempt begins.
    pub fn with_next(&self, problem: &str) -> String {
        let next = self.next_attempt.as_deref().map(|at| format!("; next attempt {}", relative(at)));
        format!("{problem}{}", next.unwrap_or_default())
    }
}

/// The outcome of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is to be done for so long.
    Idle(Duration),
    /// An attempt has succeeded.
    Done,
    /// The certificate is deleted: the task ends.
    Deleted,
}

/// Issues and renews one certificate: the API's, or a managed one.
pub trait RenewalTask {
    /// Checks the certificate, and makes one attempt if something is to be done.
    fn step(&mut self) -> impl Future<Output = Result<Step>> + Send;

    /// Changes the part of the report that this loop writes.
    fn update<T>(&self, change: impl FnOnce(&mut Attempts) -> T) -> T;

    /// Names the certificate in the log.
    fn title(&self) -> String;

    /// Counts failures.
    fn metrics(&self) -> &Metrics;

    /// Ends the sleep between two steps: somebody wants another attempt at once.
    fn wake(&self) -> &Notify;

    /// Called after each failure.
    fn failed(&self, problem: &CertificateError);

    /// Called after each step.
    fn step_ended(&self);
}

/// Takes steps until the certificate is deleted. After a failure waits 1, 3, 9 ... minutes up to 6 hours, and at least
/// as long as the CA asks.
pub async fn run(mut task: impl RenewalTask) {
    loop {
        let wait = match task.step().await {
            Ok(Step::Idle(wait)) => wait,
            Ok(Step::Done) => {
                task.update(|attempts| *attempts = Attempts::default());
                MIN_SLEEP
            }
            Ok(Step::Deleted) => return,
            Err(problem) => note_failure(&task, &problem),
        };
        task.step_ended();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = task.wake().notified() => {}
        }
    }
}

/// Reports a failure, and returns the wait before the next attempt.
fn note_failure(task: &impl RenewalTask, problem: &CertificateError) -> Duration {
    let failures = task.update(|attempts| attempts.failures) + 1;
    let wait = backoff(failures).max(problem.retry_after().unwrap_or_default());
    let next = wall_clock().plus(wait).to_string();
    let explained = problem.explained();
    error!(failures, next_attempt = next, "{} needs attention: {explained}", task.title());
    task.metrics().certificate_failures.one();
    task.failed(problem);
    // In one step, and last: a reader who sees the failure also sees its reason, and finds it in the log.
    task.update(|attempts| {
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

    /// A certificate whose steps are given. Nothing waits for the next one.
    struct Scripted {
        steps: VecDeque<Result<Step>>,
        attempts: Mutex<Attempts>,
        seen: Seen,
        metrics: Arc<Metrics>,
        wake: Notify,
    }

    impl RenewalTask for Scripted {
        async fn step(&mut self) -> Result<Step> {
            self.steps.pop_front().unwrap()
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

        fn step_ended(&self) {
            self.seen.lock().unwrap().push(self.attempts.lock().unwrap().clone());
            self.wake.notify_one();
        }
    }

    #[tokio::test]
    async fn failures_count_until_a_success_and_a_deletion_ends_the_task() {
        let failure = || Err(CertificateError::Invalid("x".into()));
        let steps = [failure(), failure(), Ok(Step::Done), Ok(Step::Idle(MIN_SLEEP)), failure(), Ok(Step::Deleted)];
        let seen = Seen::default();
        let metrics = Arc::new(Metrics::default());
        run(Scripted {
            steps: steps.into(),
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
