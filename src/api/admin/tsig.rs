//! `/accounts/{who}/tsig`: the key with which an account signs DNS messages.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::crypto::keyring::{Keyring, KeyringError};
use crate::model::actor::Actor;
use crate::model::tsig::Algorithm;
use crate::publisher::Publisher;

use super::super::account::shown;
use super::super::json_body::JsonBody;
use super::super::reply;
use super::super::types::revealed::RevealedSecret;
use super::super::types::tsig::{CreateTsigKey, TsigKeyReply};
use super::{Failure, refused, who};

/// What everybody knows (RFC 8945 section 6).
const DEFAULT: Algorithm = Algorithm::HmacSha256;

/// Gives the account a key, in place of the one that it may have, and shows it this once.
pub async fn create(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    State(keyring): State<Keyring>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<CreateTsigKey>,
) -> Result<Response, Failure> {
    let algorithm = request.algorithm.unwrap_or(DEFAULT);
    let username = who::account(&publisher, who).await?.username;
    let making = keyring.clone();
    // The first one makes a file.
    let made = tokio::task::spawn_blocking(move || making.derivation(algorithm)).await;
    let derivation = made.map_err(|error| fault(&error))?.map_err(|error| match error {
        KeyringError::Md5 => Failure::field("bad_algorithm", "algorithm", error),
        other => fault(&other),
    })?;
    publisher.set_tsig(actor, username, Some(derivation.clone())).await.map_err(refused)?;
    let key = keyring.key(username, &derivation).ok_or_else(|| fault(&"the key that was just made is unusable"))?;
    let secret = RevealedSecret::new(key.reveal());
    let shown = TsigKeyReply { name: format!("{username}."), algorithm, secret };
    Ok(reply::json(StatusCode::CREATED, &shown))
}

/// Takes the account's key away. Taking away what is gone already succeeds.
pub async fn delete(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let username = who::account(&publisher, who).await?.username;
    publisher.set_tsig(actor, username, None).await.map_err(refused)?;
    shown(&publisher, username).await
}

fn fault(error: &dyn std::fmt::Display) -> Failure {
    Failure::Fault { code: "tsig_error", reason: error.to_string() }
}
