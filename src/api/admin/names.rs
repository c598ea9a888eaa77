//! `/accounts/{who}/subdomains` and `/accounts/{who}/aliases`: the further names of an account.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::Actor;
use crate::publisher::{Choice, OwnerRequest, Publisher};

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::own::own_named;
use super::super::types::names::{AddAlias, AddSubdomain, AddedSubdomain, RemoveAlias, RemoveSubdomain};
use super::super::{aliases, reply, subdomains};
use super::refusal::refused;
use super::who;

/// Gives the account another subdomain, or a whole challenge zone.
pub async fn add_subdomain(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<AddSubdomain>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let wanted =
        OwnerRequest::of_operator(Choice { zone: request.zone, subdomain: request.subdomain, enrolment: None });
    let owner = publisher.add_owner(actor, account.username, wanted).await.map_err(refused)?;
    Ok(reply::json(StatusCode::CREATED, &AddedSubdomain::of(&owner)))
}

pub async fn remove_subdomain(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<RemoveSubdomain>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let owner = own_named(&account, &request.subdomain, request.zone.as_ref()).map_err(refused)?;
    subdomains::remove_owner(&publisher, actor, &account, owner).await.map_err(refused)
}

pub async fn add_alias(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<AddAlias>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let owner = aliases::target(&account, request.subdomain.as_ref(), request.zone.as_ref()).map_err(refused)?;
    aliases::add_alias(&publisher, actor, &account, request.alias, owner).await.map_err(refused)
}

pub async fn remove_alias(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<RemoveAlias>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    aliases::remove_alias(&publisher, actor, &account, request.alias).await.map_err(refused)
}
