//! Registration secrets as a request shows them.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use crate::net::prefix::Prefix;
use crate::pace::{Pace, Rule};
use crate::secret::{MIN_REGISTRATION_SECRET, SecretHash};

use super::auth::{basic, bearer};
use super::error::Failure;
use super::path::PathPrefix;

/// Wrong secrets from one prefix.
const WRONG_SECRETS: Rule = Rule {
    free: 10,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    quiet: Duration::from_secs(15 * 60),
};

/// The secrets that are valid, and who has tried others.
#[derive(Debug)]
pub struct Secrets {
    valid: Vec<SecretHash>,
    wrong: Pace<Prefix>,
}

impl Secrets {
    /// These are valid, each of them.
    pub fn new(valid: &[SecretHash]) -> Self {
        Self { valid: valid.to_vec(), wrong: Pace::new(WRONG_SECRETS) }
    }

    /// Whether the request shows a valid secret: as the password of HTTP Basic, as a bearer token, or as a segment of
    /// the path, the ways that need no change in any client.
    ///
    /// Whoever came with many wrong ones waits before the next is even looked at; else nothing would slow guessing.
    pub fn check(&self, headers: &HeaderMap, path: &PathPrefix, client: Prefix) -> Result<(), Failure> {
        let password = basic(headers).map(|(_, password)| password);
        let shown = password.as_deref().into_iter().chain(bearer(headers)).chain(path.segments());
        // What is shorter was never a secret: a base path, or a proxy's password.
        let mut shown = shown.filter(|shown| shown.chars().count() >= MIN_REGISTRATION_SECRET).peekable();
        if shown.peek().is_none() {
            return Err(Failure::Forbidden(
                "registration needs a secret: as HTTP Basic password, as bearer token, or before /register in the path",
            ));
        }
        self.wrong.try_now(&client, Instant::now()).map_err(|retry_after| Failure::TooOften { retry_after })?;
        if shown.any(|shown| self.valid.iter().any(|valid| valid.verify(shown))) {
            return Ok(());
        }
        self.wrong.failed(&client, Instant::now());
        Err(Failure::Forbidden("the registration secret is wrong"))
    }
}
