//! Polling a resource of the CA until it has reached a state, within the time of one attempt at an order.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::model::url::Url;
use crate::net::jitter::pause;

use super::account::AcmeAccount;
use super::error::{AcmeError, Result};
use super::http::AcmeReply;

/// How long one attempt at an order may take; the next attempt resumes it. A rollover has to wait for the attempt.
const TIME_LIMIT: Duration = Duration::from_secs(900);
/// The first pause between two polls. Each following pause is twice as long.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that this client chooses itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The bounds of the pause that the CA may ask for. Less than a second is not meant: the CA has sent a zero, or a date of
/// a clock behind ours.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// The time limit of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt(Instant);

impl Attempt {
    /// Begins now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Fails if the attempt has taken too long; `what` is what the CA is busy with.
    pub fn check(self, what: &str) -> Result<()> {
        let waited = self.0.elapsed();
        if waited <= TIME_LIMIT { Ok(()) } else { Err(AcmeError::Slow { what: what.to_owned(), waited }) }
    }

    /// Fetches a resource until it `is_done`, at the pace that the CA asks for or, without one, ever more slowly. `what`
    /// names the resource in errors.
    pub async fn poll<T: DeserializeOwned>(
        self,
        account: &AcmeAccount,
        url: &Url,
        what: &str,
        is_done: impl Fn(&T) -> bool,
    ) -> Result<T> {
        let mut step = FIRST_PAUSE;
        loop {
            let reply = account.post(url, None).await?;
            let wait = pause_after(&reply, step);
            let resource: T = reply.json()?;
            if is_done(&resource) {
                return Ok(resource);
            }
            self.check(what)?;
            pause(wait).await;
            step = (2 * step).min(LONGEST_PAUSE);
        }
    }
}

/// The pause before the next poll: what the CA asks for, otherwise `step`.
pub fn pause_after(reply: &AcmeReply, step: Duration) -> Duration {
    match reply.retry_after() {
        Some(wait) if wait >= MIN_RETRY_AFTER => wait.min(MAX_RETRY_AFTER),
        _ => step,
    }
}
