//! `/v1/account`: what an account may do about itself.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::account::Username;
use crate::publisher::{AccessError, AccountEdit, Publisher};

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::reply;
use super::types::accounts::AccountView;

/// How long a deleted account can be restored by the operator.
pub const RESTORABLE: Duration = Duration::from_secs(30 * 86_400);

/// Shows the account and its live values.
pub async fn show(State(publisher): State<Publisher>, Login(account, _): Login) -> Result<Response, Failure> {
    // Read again: what is remembered of an account knows nothing of its latest update.
    shown(&publisher, account.username).await
}

/// Changes `note`, and narrows `allowfrom`: a stolen key must not be able to open the account to its thief.
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

/// An account as it is stored now.
pub async fn shown(publisher: &Publisher, who: Username) -> Result<Response, Failure> {
    let account = read(publisher, move |publisher| publisher.account(who)).await?;
    let account = account.ok_or(AccessError::NoAccount)?;
    Ok(reply::json(StatusCode::OK, &AccountView::of(&account, publisher)))
}

/// Reads the store off the async threads: a disk that stalls must not stall them.
pub async fn read<T, E>(
    publisher: &Publisher,
    read: impl FnOnce(&Publisher) -> Result<T, E> + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    let publisher = publisher.clone();
    match tokio::task::spawn_blocking(move || read(&publisher)).await {
        Ok(found) => found.map_err(Into::into),
        Err(error) => Err(Failure::Fault { code: "internal_error", reason: error.to_string() }),
    }
}
