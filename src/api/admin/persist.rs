//! `/persist`: persistent authorizations, at any name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::publisher::{Author, Publisher};

use super::super::fields::Fields;
use super::super::reply;
use super::super::views::NamedPersistent;
use super::values::{listed, named};
use super::{Failure, Params, refused};

/// Those of one name, or all of them.
pub async fn list(State(publisher): State<Publisher>, params: Params) -> Result<Response, Failure> {
    listed(&publisher, params, |owner, publisher| NamedPersistent::all_of(owner, publisher).collect()).await
}

pub async fn publish(State(publisher): State<Publisher>, fields: Fields) -> Result<Response, Failure> {
    let (value, lifetime) = (fields.persistent()?, fields.lifetime()?);
    let owner = named(&publisher, &fields).await?;
    let value = publisher.persist(Author::Operator, owner.clone(), value, lifetime).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &NamedPersistent::of(&owner, &value)))
}

/// Retires the one that is `value` at a name, or all there.
pub async fn retire(State(publisher): State<Publisher>, fields: Fields) -> Result<Response, Failure> {
    let which = fields.some_persistent()?;
    let owner = named(&publisher, &fields).await?;
    let retired = publisher.retire_persistent(Author::Operator, owner, which).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &json!({ "retired": retired })))
}
