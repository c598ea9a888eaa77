//! `DELETE /v1/txt`: retires values before their time.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::publisher::Publisher;

use super::auth::Login;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::reply;
use super::types::values::Retired;

/// Retires the value `txt` at `subdomain`, or all values there. Retiring a value that is gone succeeds.
pub async fn retire(
    State(publisher): State<Publisher>,
    Login(account, actor): Login,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let which = fields.some_txt()?;
    let retired = publisher.retire(actor, owner, which).await?;
    Ok(reply::json(StatusCode::OK, &Retired { retired }))
}
