//! `/accounts/{who}/tsig`: the key that an account signs DNS messages with.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::crypto::keyring::{Keyring, KeyringError};
use crate::model::account::Username;
use crate::model::actor::Actor;
use crate::model::tsig::{Algorithm, Derivation};
use crate::publisher::Publisher;

use super::super::account::shown;
use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::revealed::RevealedSecret;
use super::super::types::tsig::{CreateTsigKey, TsigKeyReply};
use super::refusal::refused;
use super::who;

/// The algorithm that every implementation has (RFC 8945 section 6).
const DEFAULT: Algorithm = Algorithm::HmacSha256;

/// Gives the account a key in place of any former one, and shows it once.
pub async fn create(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    State(keyring): State<Keyring>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<CreateTsigKey>,
) -> Result<Response, Failure> {
    let algorithm = request.algorithm.unwrap_or(DEFAULT);
    let username = who::account(&publisher, who).await?.username;
    let derivation = derivation(&keyring, algorithm, "algorithm").await?;
    publisher.set_tsig(actor, username, Some(derivation.clone())).await.map_err(refused)?;
    Ok(reply::json(StatusCode::CREATED, &key_reply(&keyring, username, &derivation)?))
}

/// A new key, before any account has it. `field` is the field of the request that names the algorithm.
pub async fn derivation(keyring: &Keyring, algorithm: Algorithm, field: &'static str) -> Result<Derivation, Failure> {
    let keyring = keyring.clone();
    // The first key creates the file of the master secret.
    let made = tokio::task::spawn_blocking(move || keyring.derivation(algorithm)).await;
    made.map_err(|error| fault(&error))?.map_err(|error| match error {
        KeyringError::Md5 => Failure::field("bad_algorithm", field, error),
        other => fault(&other),
    })
}

/// An account's key in the reply that shows it.
pub fn key_reply(keyring: &Keyring, username: Username, derivation: &Derivation) -> Result<TsigKeyReply, Failure> {
    let key = keyring.key(username, derivation).ok_or_else(|| fault(&"the key that was just made is unusable"))?;
    let secret = RevealedSecret::new(key.reveal());
    Ok(TsigKeyReply { name: format!("{username}."), algorithm: derivation.algorithm, secret })
}

/// Removes the account's key. Removing a key that is gone succeeds.
pub async fn delete(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let username = who::account(&publisher, who).await?.username;
    publisher.set_tsig(actor, username, None).await.map_err(refused)?;
    shown(&publisher, username).await
}

fn fault(error: &dyn std::fmt::Display) -> Failure {
    Failure::Fault { code: "tsig_error", reason: error.to_string() }
}
