//! Registration secrets and enrolment tokens in requests.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::model::actor::KeyUsed;
use crate::model::enrolment::Enrolment;
use crate::model::prefix::Prefix;
use crate::model::secret::{PresentedSecret, SecretHash};
use crate::net::rate_limiter::{RateLimiter, Rule};
use crate::publisher::Publisher;
use crate::store::StoreError;

use super::authorization::{basic, bearer};
use super::blocking::read;
use super::error::Failure;
use super::path::PathPrefix;

/// The rate of wrong secrets from one prefix.
pub(super) const WRONG_SECRETS: Rule = Rule {
    free: 10,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    quiet: Duration::from_secs(15 * 60),
};
/// The most texts of one request that are checked. No client has so many long segments in its path.
const MAX_SHOWN: usize = 8;

/// Why a request has no valid secret.
#[derive(Debug)]
pub enum SecretRejection {
    /// The request holds nothing that could be a secret.
    Nothing,
    /// The secret is not one of ours.
    Wrong,
    /// The secret is ours, but may not be used here or now.
    Refused(Failure),
}

/// A valid secret of a request.
#[derive(Debug)]
pub struct Proof {
    /// The secret.
    pub secret: PresentedSecret,
    /// The enrolment token, which may be used up or expired; `None` for a secret of the configuration.
    pub token: Option<Enrolment>,
}

impl Proof {
    /// The key that the client has used.
    pub fn key(&self) -> KeyUsed {
        self.token.as_ref().map_or(KeyUsed::RegistrationSecret, |token| KeyUsed::Enrolment(token.id))
    }
}

/// The valid secrets, and the rate of wrong ones for each prefix.
#[derive(Debug)]
pub struct Secrets {
    valid: Vec<SecretHash>,
    wrong: RateLimiter<Prefix>,
}

impl Secrets {
    /// Each of these secrets is valid, as is each enrolment token of the store.
    pub fn new(valid: &[SecretHash]) -> Self {
        Self { valid: valid.to_vec(), wrong: RateLimiter::new(WRONG_SECRETS) }
    }

    /// The valid secret or token of a request: the password of HTTP Basic, a bearer token, or a segment of the path. These
    /// ways need no change in any client.
    ///
    /// After many wrong secrets, a client has to wait before the next one is checked. Otherwise nothing would slow down
    /// guessing.
    pub async fn check(&self, parts: &Parts, client: IpAddr, publisher: &Publisher) -> Result<Proof, SecretRejection> {
        let shown = shown(parts);
        if shown.is_empty() {
            return Err(SecretRejection::Nothing);
        }
        let prefix = Prefix::of(client);
        let wait = self.wrong.try_now(&prefix, Instant::now());
        wait.map_err(|retry_after| SecretRejection::Refused(Failure::TooOften { retry_after }))?;
        if let Some(secret) = shown.iter().find(|secret| self.valid.contains(&secret.hash())) {
            return Ok(Proof { secret: secret.clone(), token: None });
        }
        match read(publisher, move |publisher| token_of(shown, publisher)).await.map_err(SecretRejection::Refused)? {
            Some((secret, token)) if token.allows_from(client) => Ok(Proof { secret, token: Some(token) }),
            Some(_) => {
                let why = "the enrolment token may not be used from this address";
                Err(SecretRejection::Refused(Failure::Forbidden(why)))
            }
            None => {
                self.wrong.failed(&prefix, Instant::now());
                Err(SecretRejection::Wrong)
            }
        }
    }
}

/// The first secret that is an enrolment token.
fn token_of(
    shown: Vec<PresentedSecret>,
    publisher: &Publisher,
) -> Result<Option<(PresentedSecret, Enrolment)>, StoreError> {
    for secret in shown {
        if let Some(token) = publisher.enrolment_of(&secret.hash())? {
            return Ok(Some((secret, token)));
        }
    }
    Ok(None)
}

/// All texts that could be a secret. Shorter texts are something else: a base path, or a proxy's password.
fn shown(parts: &Parts) -> Vec<PresentedSecret> {
    let headers: &HeaderMap = &parts.headers;
    let path = parts.extensions.get::<PathPrefix>().cloned().unwrap_or_default();
    let password = basic(headers).map(|(_, password)| password);
    let texts = password.as_deref().into_iter().chain(bearer(headers)).chain(path.segments());
    texts.filter_map(|text| text.parse().ok()).take(MAX_SHOWN).collect()
}
