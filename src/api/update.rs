//! `POST /update`: publishes a TXT value. 200 means that it is on disk and served.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::publisher::Publisher;

use super::auth::Authenticated;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::reply;

pub async fn update(
    State(publisher): State<Publisher>,
    Authenticated(account, actor): Authenticated,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let txt = fields.txt()?;
    publisher.publish(actor, owner, txt).await?;
    // acme.sh searches for the value in quotes, other clients for exactly acme-dns's text.
    Ok(reply::text(StatusCode::OK, format!("{{\"txt\": \"{txt}\"}}")))
}
