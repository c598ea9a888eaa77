//! `/v1/persist`: persistent authorizations (dns-persist-01), where the operator allows them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::publisher::Publisher;

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::reply;
use super::types::values::{NamedPersistent, Retired};

/// Publishes `value` at `subdomain`, for good or for a `lifetime`. It is a standing grant, so a key that has been replaced
/// cannot leave one behind.
pub async fn publish(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let (owner, value, lifetime) = (own(&account, &fields)?, fields.persistent()?, fields.lifetime()?);
    let value = publisher.persist(actor, owner.clone(), value, lifetime).await?;
    Ok(reply::json(StatusCode::OK, &NamedPersistent::of(&owner, &value)))
}

/// Retires the `value` at `subdomain`, or all persistent ones there. Retiring what is gone already succeeds.
pub async fn retire(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let (owner, which) = (own(&account, &fields)?, fields.some_persistent()?);
    let retired = publisher.retire_persistent(actor, owner, which).await?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
