//! `/v1/subdomains`: further names of an account, for whoever may register.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::model::account::Account;
use crate::model::name::{Owner, ZoneName};
use crate::publisher::{Place, Publisher};

use super::account::shown;
use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::register::{Registrant, Registrar};
use super::reply;

/// Gives the account another subdomain. It counts as a registration, and takes what a registration takes.
pub async fn add(
    State(registrar): State<Registrar>,
    State(publisher): State<Publisher>,
    registrant: Registrant,
    Login(account): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let choice = registrar.admit(&registrant, fields.choice()?)?;
    let owner = publisher.add_owner(account.username, Place::Subdomain(choice)).await?;
    Ok(reply::json(StatusCode::CREATED, &Added::of(&owner)))
}

/// Takes a subdomain away, with its values and the aliases that stand for it; shows the account as it is then.
pub async fn remove(
    State(publisher): State<Publisher>,
    Login(account): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    without(&publisher, &account, &fields).await
}

/// The same for whoever may change the account.
pub async fn without(publisher: &Publisher, account: &Account, fields: &Fields) -> Result<Response, Failure> {
    publisher.remove_owner(account.username, own(account, fields)?).await?;
    shown(publisher, account.username).await
}

/// A new subdomain, in the words of a registration.
#[derive(Serialize)]
pub struct Added<'a> {
    fulldomain: String,
    subdomain: Cow<'a, str>,
    zone: &'a ZoneName,
}

impl<'a> Added<'a> {
    /// An owner.
    pub fn of(owner: &'a Owner) -> Self {
        Self { fulldomain: owner.to_string(), subdomain: owner.short(), zone: &owner.zone }
    }
}
