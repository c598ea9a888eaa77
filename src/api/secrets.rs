//! Registration secrets and enrolment tokens as a request shows them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::model::actor::KeyUsed;
use crate::model::enrolment::Enrolment;
use crate::model::prefix::Prefix;
use crate::model::secret::{SecretHash, ShownSecret};
use crate::net::rate_limiter::{RateLimiter, Rule};
use crate::publisher::Publisher;
use crate::store::StoreError;

use super::account::read;
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
/// What is looked at of one request: no client has so many long segments in its path.
const MAX_SHOWN: usize = 8;

/// Why nothing valid was shown.
#[derive(Debug)]
pub enum Unproved {
    /// Nothing that could be a secret was there at all.
    Nothing,
    /// It is none of ours.
    Wrong,
    /// It is ours, and may not be used so, or not now.
    Refused(Failure),
}

/// What was shown, and is valid.
#[derive(Debug)]
pub struct Proof {
    /// The secret.
    pub secret: ShownSecret,
    /// The token that it is, used up or expired as it may be; `None`: a secret of the configuration.
    pub token: Option<Enrolment>,
}

impl Proof {
    /// The key that it is.
    pub fn key(&self) -> KeyUsed {
        self.token.as_ref().map_or(KeyUsed::RegistrationSecret, |token| KeyUsed::Enrolment(token.id))
    }
}

/// The secrets that are valid, and who has tried others.
#[derive(Debug)]
pub struct Secrets {
    valid: Vec<SecretHash>,
    wrong: RateLimiter<Prefix>,
}

impl Secrets {
    /// These are valid, each of them, beside the enrolment tokens of the store.
    pub fn new(valid: &[SecretHash]) -> Self {
        Self { valid: valid.to_vec(), wrong: RateLimiter::new(WRONG_SECRETS) }
    }

    /// What valid secret or token the request shows: as the password of HTTP Basic, as a bearer token, or as a segment
    /// of the path, the ways that need no change in any client.
    ///
    /// Whoever came with many wrong ones waits before the next is even looked at; else nothing would slow guessing.
    pub async fn check(&self, parts: &Parts, client: IpAddr, publisher: &Publisher) -> Result<Proof, Unproved> {
        let shown = shown(parts);
        if shown.is_empty() {
            return Err(Unproved::Nothing);
        }
        let prefix = Prefix::of(client);
        let wait = self.wrong.try_now(&prefix, Instant::now());
        wait.map_err(|retry_after| Unproved::Refused(Failure::TooOften { retry_after }))?;
        if let Some(secret) = shown.iter().find(|secret| self.valid.contains(&secret.hash())) {
            return Ok(Proof { secret: secret.clone(), token: None });
        }
        match read(publisher, move |publisher| token_of(shown, publisher)).await.map_err(Unproved::Refused)? {
            Some((secret, token)) if token.allows_from(client) => Ok(Proof { secret, token: Some(token) }),
            Some(_) => {
                let why = "the enrolment token may not be used from this address";
                Err(Unproved::Refused(Failure::Forbidden(why)))
            }
            None => {
                self.wrong.failed(&prefix, Instant::now());
                Err(Unproved::Wrong)
            }
        }
    }
}

/// The first secret that is an enrolment token.
fn token_of(shown: Vec<ShownSecret>, publisher: &Publisher) -> Result<Option<(ShownSecret, Enrolment)>, StoreError> {
    for secret in shown {
        if let Some(token) = publisher.enrolment_of(&secret.hash())? {
            return Ok(Some((secret, token)));
        }
    }
    Ok(None)
}

/// All that could be a secret. What is shorter was never one: a base path, or a proxy's password.
fn shown(parts: &Parts) -> Vec<ShownSecret> {
    let headers: &HeaderMap = &parts.headers;
    let path = parts.extensions.get::<PathPrefix>().cloned().unwrap_or_default();
    let password = basic(headers).map(|(_, password)| password);
    let texts = password.as_deref().into_iter().chain(bearer(headers)).chain(path.segments());
    texts.filter_map(|text| text.parse().ok()).take(MAX_SHOWN).collect()
}
