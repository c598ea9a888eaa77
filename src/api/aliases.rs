//! `/v1/aliases`: names in other people's zones that stand for an account's own, for clients that follow no CNAME.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::model::account::Account;
use crate::model::name::Owner;
use crate::publisher::Publisher;

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::reply;

/// Has `alias` stand for `subdomain`, which an account with one may leave out. Doing it again succeeds; with another
/// subdomain it moves the alias there.
pub async fn add(
    State(publisher): State<Publisher>,
    Login(account): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    with(&publisher, &account, &fields).await
}

/// The same for whoever may change the account.
pub async fn with(publisher: &Publisher, account: &Account, fields: &Fields) -> Result<Response, Failure> {
    let (alias, owner) = (fields.alias()?, target(account, fields)?);
    publisher.add_alias(account.username, alias.clone(), owner.clone()).await?;
    Ok(reply::json(StatusCode::OK, &json!({ "alias": alias, "fulldomain": owner.to_string() })))
}

/// Takes `alias` away. Taking away what is gone already succeeds.
pub async fn remove(
    State(publisher): State<Publisher>,
    Login(account): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    without(&publisher, &account, &fields).await
}

/// The same for whoever may change the account.
pub async fn without(publisher: &Publisher, account: &Account, fields: &Fields) -> Result<Response, Failure> {
    let removed = publisher.remove_alias(account.username, fields.alias()?).await?;
    Ok(reply::json(StatusCode::OK, &json!({ "removed": usize::from(removed) })))
}

fn target(account: &Account, fields: &Fields) -> Result<Owner, Failure> {
    match (&account.given()[..], fields.text("subdomain")?) {
        ([only], None) => Ok(Owner::clone(only)),
        _ => own(account, fields),
    }
}
