//! `/accounts`: the operator creates, shows, changes and deletes accounts.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::crypto::key_issuer::KeyIssuer;
use crate::crypto::keyring::Keyring;
use crate::model::actor::Actor;
use crate::publisher::{AccountEdit, Choice, OwnerRequest, Publisher};

use super::super::account::{RESTORABLE, shown};
use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::params::Params;
use super::super::register::Wanted;
use super::super::reply;
use super::super::rotate::with_new_key;
use super::super::types::accounts::{AccountState, AccountView, CreateAccount, EditAccount, RemovedAccount, RotateKey};
use super::refusal::refused;
use super::watch::QueryStreams;
use super::{tsig, who};

/// Creates an account with its first name and, if the request says so, a TSIG key and an alias: all of them or none.
pub async fn create(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    State(keys): State<KeyIssuer>,
    State(keyring): State<Keyring>,
    JsonBody(request): JsonBody<CreateAccount>,
) -> Result<Response, Failure> {
    // Derived first: an algorithm that is not allowed must leave no account behind.
    let derivation = match request.tsig {
        Some(algorithm) => Some(tsig::derivation(&keyring, algorithm, "tsig").await?),
        None => None,
    };
    let choice = Choice { zone: request.zone, subdomain: request.subdomain, enrolment: None };
    let wanted = Wanted {
        name: OwnerRequest::of_operator(choice),
        allow_from: request.allowfrom.unwrap_or_default(),
        note: request.note.unwrap_or_default(),
        tsig: derivation.clone(),
        alias: request.alias,
    };
    let mut account = wanted.register(&publisher, &keys, actor).await?;
    if let Some(derivation) = derivation {
        account.tsig = Some(tsig::key_reply(&keyring, account.username, &derivation)?);
    }
    Ok(reply::json(StatusCode::CREATED, &account))
}

pub async fn show(
    State(publisher): State<Publisher>,
    State(streams): State<Option<QueryStreams>>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let mut view = AccountView::of(&account, &publisher);
    if let Some(streams) = streams {
        streams.verdicts().judge(&mut view, &account, &publisher).await;
    }
    Ok(reply::json(StatusCode::OK, &view))
}

/// Changes `allowfrom` and `note`. The operator may widen the networks, an account may not.
pub async fn edit(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<EditAccount>,
) -> Result<Response, Failure> {
    let edit = AccountEdit { allow_from: request.allowfrom, note: request.note };
    let account = who::account(&publisher, who).await?;
    let edited = match actor.who.is_operator() {
        true => publisher.edit(actor, account.username, edit).await,
        false => publisher.narrow(actor, account.username, edit).await,
    };
    let account = edited.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &AccountView::of(&account, &publisher)))
}

pub async fn rotate(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    State(keys): State<KeyIssuer>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<RotateKey>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let grace = request.grace.map(|grace| grace.0);
    with_new_key(&publisher, &keys, actor, &account, grace).await
}

pub async fn disable(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    publisher.disable(actor, account.username).await.map_err(refused)?;
    shown(&publisher, account.username).await
}

/// Enables a disabled account, or restores a deleted one.
pub async fn enable(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    publisher.enable(actor, account.username).await.map_err(refused)?;
    shown(&publisher, account.username).await
}

/// Deletes an account. It is removed for good after [`RESTORABLE`], or at once with `now=true`.
pub async fn delete(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    Path(who): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let now: bool = params.only(&["now"])?.parsed("now")?.unwrap_or(false);
    let account = who::account(&publisher, who).await?;
    let after = if now { Duration::ZERO } else { RESTORABLE };
    publisher.delete(actor, account.username, after).await.map_err(refused)?;
    if now {
        let removed = RemovedAccount { username: account.username, state: AccountState::Removed };
        return Ok(reply::json(StatusCode::OK, &removed));
    }
    shown(&publisher, account.username).await
}
