//! `/accounts/{who}/subdomains` and `/accounts/{who}/aliases`: the further names of an account.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::publisher::{Place, Publisher};

use super::super::fields::Fields;
use super::super::subdomains::Added;
use super::super::{aliases, reply, subdomains};
use super::{Failure, refused, who};

/// Gives the account another subdomain, or a challenge zone as a whole.
pub async fn add_subdomain(
    State(publisher): State<Publisher>,
    Path(who): Path<String>,
    fields: Fields,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let place = Place::of_operator(fields.choice()?);
    let owner = publisher.add_owner(account.username, place).await.map_err(refused)?;
    Ok(reply::json(StatusCode::CREATED, &Added::of(&owner)))
}

pub async fn remove_subdomain(
    State(publisher): State<Publisher>,
    Path(who): Path<String>,
    fields: Fields,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    subdomains::without(&publisher, &account, &fields).await
}

pub async fn add_alias(
    State(publisher): State<Publisher>,
    Path(who): Path<String>,
    fields: Fields,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    aliases::with(&publisher, &account, &fields).await
}

pub async fn remove_alias(
    State(publisher): State<Publisher>,
    Path(who): Path<String>,
    fields: Fields,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    aliases::without(&publisher, &account, &fields).await
}
