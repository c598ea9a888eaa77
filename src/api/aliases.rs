//! `/v1/aliases`: names in other zones that stand for an account's own names, for clients that do not follow CNAMEs.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::account::Account;
use crate::model::actor::Actor;
use crate::model::name::owner::OwnerText;
use crate::model::name::{Alias, Owner, ZoneName};
use crate::publisher::Publisher;

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own_named;
use super::reply;
use super::types::accounts::AliasView;
use super::types::names::RemovedCount;

/// Makes `alias` stand for `subdomain`, which an account with a single name may leave out. Repeating the request
/// succeeds; another subdomain moves the alias.
pub async fn add(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let alias = fields.alias()?;
    let owner = target(&account, fields.some_owner()?.as_ref(), fields.zone()?.as_ref())?;
    add_alias(&publisher, actor, &account, alias, owner).await
}

/// Adds an alias for one of the account's owners, and shows it.
pub async fn add_alias(
    publisher: &Publisher,
    actor: Actor,
    account: &Account,
    alias: Alias,
    owner: Owner,
) -> Result<Response, Failure> {
    let view = AliasView { alias: alias.clone(), fulldomain: owner.to_string() };
    publisher.add_alias(actor, account.username, alias, owner).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

/// Removes `alias`. Removing an alias that is gone succeeds.
pub async fn remove(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    remove_alias(&publisher, actor, &account, fields.alias()?).await
}

/// Removes an alias of the account, and says how many there were.
pub async fn remove_alias(
    publisher: &Publisher,
    actor: Actor,
    account: &Account,
    alias: Alias,
) -> Result<Response, Failure> {
    let is_removed = publisher.remove_alias(actor, account.username, alias).await?;
    Ok(reply::json(StatusCode::OK, &RemovedCount { removed: usize::from(is_removed) }))
}

/// The owner that an alias is to stand for: the named one, or the account's only one.
pub fn target(account: &Account, wanted: Option<&OwnerText>, zone: Option<&ZoneName>) -> Result<Owner, Failure> {
    match (wanted, &account.given()[..]) {
        (Some(wanted), _) => own_named(account, wanted, zone),
        (None, [only]) => Ok(Owner::clone(only)),
        (None, _) => Err(Failure::field("bad_subdomain", "subdomain", "write the account's subdomain")),
    }
}
