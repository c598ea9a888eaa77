//! `/notify/test`: a test message over every channel.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::notify::Notifier;

use super::super::error::Failure;
use super::super::reply;
use super::super::types::list::List;

/// Sends a test message over every channel of the configuration. The reply says what has become of each.
pub async fn test(State(notifier): State<Option<Notifier>>) -> Result<Response, Failure> {
    let missing = "no daemon runs here that could send a message; start it with `txtgate serve`";
    let notifier = notifier.ok_or_else(|| Failure::NotFound(missing.into()))?;
    Ok(reply::json(StatusCode::OK, &List::whole(notifier.test().await)))
}
