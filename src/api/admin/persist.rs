//! `/persist`: persistent authorizations, at any name.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::Actor;
use crate::publisher::Publisher;

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::params::Params;
use super::super::reply;
use super::super::types::served::WithServed;
use super::super::types::values::{NamedPersistent, PublishPersistent, RetirePersistent, Retired};
use super::super::wait::WaitFor;
use super::refusal::refused;
use super::values::listed;
use super::who;

/// Lists the authorizations of one name, or all of them.
pub async fn list(State(publisher): State<Publisher>, params: Params) -> Result<Response, Failure> {
    let list = listed(&publisher, params, NamedPersistent::all_of).await?;
    Ok(reply::json(StatusCode::OK, &list))
}

pub async fn publish(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    wait: WaitFor,
    JsonBody(request): JsonBody<PublishPersistent>,
) -> Result<Response, Failure> {
    let owner = who::owner(&publisher, request.name).await?;
    let lifetime = request.lifetime.map(|lifetime| lifetime.0);
    let waiting = wait.permit(None)?;
    let value = publisher.persist(actor, owner.clone(), request.value, lifetime).await.map_err(refused)?;
    let served = waiting.until_served(&owner, &value.value).await?;
    let published = NamedPersistent::of(&owner, &value, publisher.moment());
    Ok(reply::json(StatusCode::OK, &WithServed { published, served }))
}

/// Retires the authorization `value` of a name, or all of the name.
pub async fn retire(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<RetirePersistent>,
) -> Result<Response, Failure> {
    let owner = who::owner(&publisher, request.name).await?;
    let retired = publisher.retire_persistent(actor, owner, request.value).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
