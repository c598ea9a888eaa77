//! `/v1/account`: an account shows, changes and deletes itself.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::account::{Account, Username};
use crate::publisher::{AccessError, AccountEdit, Publisher};

use super::auth::Login;
use super::blocking::read;
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::types::accounts::AccountView;
use super::verdicts::Verdicts;

/// How long the operator can restore a deleted account.
pub const RESTORABLE: Duration = Duration::from_secs(30 * 86_400);

/// Shows the account, its live values, and what the queries for them mean.
pub async fn show(
    State(publisher): State<Publisher>,
    State(verdicts): State<Verdicts>,
    Login(account, _): Login,
) -> Result<Response, Failure> {
    // Read again: the cached account does not know of its latest update.
    let account = stored(&publisher, account.username).await?;
    let mut view = AccountView::of(&account, &publisher);
    verdicts.judge(&mut view, &account, &publisher).await;
    Ok(reply::json(StatusCode::OK, &view))
}

/// Changes `note`, and narrows `allowfrom`. A thief of the key must not be able to open the account to other networks.
pub async fn edit(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let edit = AccountEdit { allow_from: fields.allow_from()?, note: fields.note()? };
    let account = publisher.narrow(actor, account.username, edit).await?;
    Ok(reply::json(StatusCode::OK, &AccountView::of(&account, &publisher)))
}

/// Deletes the account; the operator can restore it for [`RESTORABLE`].
pub async fn delete(State(publisher): State<Publisher>, Login(account, actor): Login) -> Result<Response, Failure> {
    publisher.delete(actor, account.username, RESTORABLE).await?;
    shown(&publisher, account.username).await
}

/// Shows an account as the store has it now.
pub async fn shown(publisher: &Publisher, who: Username) -> Result<Response, Failure> {
    let account = stored(publisher, who).await?;
    Ok(reply::json(StatusCode::OK, &AccountView::of(&account, publisher)))
}

async fn stored(publisher: &Publisher, who: Username) -> Result<Account, Failure> {
    let account = read(publisher, move |publisher| publisher.account(who)).await?;
    Ok(account.ok_or(AccessError::NoAccount)?)
}
