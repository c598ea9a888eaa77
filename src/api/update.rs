//! `POST /update`: publishes a TXT value. 200 means that it is on disk and served; with `?wait=served`, by every
//! nameserver of the delegation.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::publisher::Publisher;

use super::auth::Authenticated;
use super::error::Failure;
use super::fields::Fields;
use super::own::own;
use super::reply;
use super::wait::{WaitFor, marked};

pub async fn update(
    State(publisher): State<Publisher>,
    Authenticated(account, actor): Authenticated,
    wait: WaitFor,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let txt = fields.txt()?;
    let waiting = wait.permit(Some(account.username))?;
    publisher.publish(actor, owner.clone(), txt).await?;
    let served = waiting.until_served(&owner, txt).await?;
    // acme.sh searches for the value in quotes, other clients for exactly acme-dns's text.
    Ok(marked(reply::text(StatusCode::OK, format!("{{\"txt\": \"{txt}\"}}")), served.as_ref()))
}
