//! `/accounts`: what the operator may do with them.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::crypto::hasher::Hasher;
use crate::model::account::Username;
use crate::model::actor::Actor;
use crate::publisher::{AccountEdit, Choice, OwnerRequest, Publisher};

use super::super::account::{RESTORABLE, read, shown};
use super::super::json_body::JsonBody;
use super::super::register::Wanted;
use super::super::reply;
use super::super::rotate::with_new_key;
use super::super::types::accounts::{AccountState, AccountView, CreateAccount, EditAccount, RemovedAccount, RotateKey};
use super::super::types::list::List;
use super::{Failure, Params, refused, who};

/// Accounts in one reply where the request names no limit, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

pub async fn create(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    State(hasher): State<Hasher>,
    JsonBody(request): JsonBody<CreateAccount>,
) -> Result<Response, Failure> {
    let choice = Choice { zone: request.zone, subdomain: request.subdomain, enrolment: None };
    let wanted = Wanted {
        name: OwnerRequest::of_operator(choice),
        allow_from: request.allowfrom.unwrap_or_default(),
        note: request.note.unwrap_or_default(),
    };
    wanted.register(&publisher, &hasher, actor).await
}

/// A page of accounts by username. The page behind it has `after=` the last username of this one.
pub async fn list(State(publisher): State<Publisher>, params: Params) -> Result<Response, Failure> {
    let after: Option<Username> = parameter(&params, "after")?;
    let limit = parameter(&params, "limit")?.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let search = params.text("search").unwrap_or_default().to_owned();
    // One account more than the page holds tells whether the list goes on.
    let accounts = read(&publisher, move |publisher| publisher.accounts(after, limit + 1, &search)).await?;
    let views = accounts.iter().take(limit).map(|account| AccountView::listed(account, &publisher));
    let list = List { items: views.collect(), truncated: accounts.len() > limit };
    Ok(reply::json(StatusCode::OK, &list))
}

fn parameter<T: std::str::FromStr>(params: &Params, name: &'static str) -> Result<Option<T>, Failure> {
    let wrong = |_| Failure::field("bad_parameter", name, format!("cannot read the parameter `{name}`"));
    params.text(name).map(str::parse).transpose().map_err(wrong)
}

pub async fn show(State(publisher): State<Publisher>, Path(who): Path<String>) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    Ok(reply::json(StatusCode::OK, &AccountView::of(&account, &publisher)))
}

/// Changes `allowfrom`, wider or narrower, and `note`.
pub async fn edit(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<EditAccount>,
) -> Result<Response, Failure> {
    let edit = AccountEdit { allow_from: request.allowfrom, note: request.note };
    let account = who::account(&publisher, who).await?;
    let account = publisher.edit(actor, account.username, edit).await.map_err(refused)?;
    Ok(reply::json(StatusCode::OK, &AccountView::of(&account, &publisher)))
}

pub async fn rotate(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    State(hasher): State<Hasher>,
    Path(who): Path<String>,
    JsonBody(request): JsonBody<RotateKey>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    let grace = request.grace.map(|grace| grace.0);
    with_new_key(&publisher, &hasher, actor, &account, grace).await
}

pub async fn disable(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    publisher.disable(actor, account.username).await.map_err(refused)?;
    shown(&publisher, account.username).await
}

/// Lets a disabled account work again, and restores a deleted one.
pub async fn enable(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    Path(who): Path<String>,
) -> Result<Response, Failure> {
    let account = who::account(&publisher, who).await?;
    publisher.enable(actor, account.username).await.map_err(refused)?;
    shown(&publisher, account.username).await
}

/// Deletes an account: for good after [`RESTORABLE`], or at once with `now=true`.
pub async fn delete(
    State(publisher): State<Publisher>,
    State(actor): State<Actor>,
    Path(who): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let now: bool = parameter(&params, "now")?.unwrap_or(false);
    let account = who::account(&publisher, who).await?;
    let after = if now { Duration::ZERO } else { RESTORABLE };
    publisher.delete(actor, account.username, after).await.map_err(refused)?;
    if now {
        let removed = RemovedAccount { username: account.username, state: AccountState::Removed };
        return Ok(reply::json(StatusCode::OK, &removed));
    }
    shown(&publisher, account.username).await
}
