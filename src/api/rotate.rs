//! `POST /v1/account/rotate`: gives the account another key and shows it once. The former key works for a grace time.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::crypto::key_issuer::KeyIssuer;
use crate::model::account::Account;
use crate::model::actor::Actor;
use crate::model::prefix::Prefix;
use crate::model::secret::ApiKey;
use crate::publisher::Publisher;

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::types::accounts::AccountCredentials;

/// The default grace time. A client that loses the reply can try again with the former key.
const GRACE: Duration = Duration::from_secs(60 * 60);
/// The longest grace time.
const MAX_GRACE: Duration = Duration::from_secs(7 * 86_400);

pub async fn rotate(
    State(publisher): State<Publisher>,
    State(keys): State<KeyIssuer>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    with_new_key(&publisher, &keys, actor, &account, fields.grace()?).await
}

/// Gives the account another key, and shows it as a registration does.
pub async fn with_new_key(
    publisher: &Publisher,
    keys: &KeyIssuer,
    actor: Actor,
    account: &Account,
    grace: Option<Duration>,
) -> Result<Response, Failure> {
    let grace = grace.unwrap_or(GRACE);
    if grace > MAX_GRACE {
        return Err(Failure::field("bad_grace", "grace", "write at most 7d; 0s ends the former key at once"));
    }
    let key = ApiKey::random()?;
    let issued = keys.issue(key, Prefix::of(actor.limited_address())).await?;
    publisher.rotate(actor, account.username, issued.hash.clone(), grace).await?;
    Ok(reply::json(StatusCode::OK, &AccountCredentials::of(account, &issued.key)))
}
