//! `/v1/subdomains`: further names of an account, for clients that may register.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::account::Account;
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::publisher::{OwnerRequest, Publisher};

use super::account::shown;
use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::register::{Registrant, Registrar};
use super::reply;
use super::types::names::AddedSubdomain;

/// Gives the account another subdomain. The request counts as a registration, and needs the same proof.
pub async fn add(
    State(registrar): State<Registrar>,
    State(publisher): State<Publisher>,
    registrant: Registrant,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let choice = registrar.admit(&registrant, fields.choice()?)?;
    let owner = publisher.add_owner(actor, account.username, OwnerRequest::Subdomain(choice)).await?;
    Ok(reply::json(StatusCode::CREATED, &AddedSubdomain::of(&owner)))
}

/// Removes a subdomain with its values and the aliases that stand for it, and shows the account.
pub async fn remove(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    remove_owner(&publisher, actor, &account, own(&account, &fields)?).await
}

/// Removes one of the account's owners, and shows the account.
pub async fn remove_owner(
    publisher: &Publisher,
    actor: Actor,
    account: &Account,
    owner: Owner,
) -> Result<Response, Failure> {
    publisher.remove_owner(actor, account.username, owner).await?;
    shown(publisher, account.username).await
}
