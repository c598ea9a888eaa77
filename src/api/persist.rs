//! `/v1/persist`: persistent authorizations (dns-persist-01), if the configuration allows them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::publisher::Publisher;

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::reply;
use super::types::served::WithServed;
use super::types::values::{NamedPersistent, Retired};
use super::wait::WaitFor;

/// Publishes `value` at `subdomain`, for a `lifetime` or until it is retired. A replaced key cannot do this, because it
/// could leave a standing grant behind.
pub async fn publish(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    wait: WaitFor,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let value = fields.persistent()?;
    let lifetime = fields.lifetime()?;
    let waiting = wait.permit(Some(account.username))?;
    let value = publisher.persist(actor, owner.clone(), value, lifetime).await?;
    let served = waiting.until_served(&owner, &value.value).await?;
    let published = NamedPersistent::of(&owner, &value, publisher.moment());
    Ok(reply::json(StatusCode::OK, &WithServed { published, served }))
}

/// Retires the authorization `value` at `subdomain`, or all authorizations there. Retiring one that is gone succeeds.
pub async fn retire(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let which = fields.some_persistent()?;
    let retired = publisher.retire_persistent(actor, owner, which).await?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
