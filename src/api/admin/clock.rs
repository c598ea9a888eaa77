//! `/clock/trust`: the operator confirms that the machine's clock is right.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::Actor;
use crate::publisher::Publisher;

use super::super::error::Failure;
use super::super::reply;
use super::super::types::clock::TrustedClock;
use super::refusal::refused;

/// Trusts the machine's clock from now on, even if it is behind the last stored change.
pub async fn trust(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
) -> Result<Response, Failure> {
    let behind = publisher.trust_clock(actor).await.map_err(refused)?;
    let clock = publisher.machine_clock().unwrap_or_else(|behind| behind.clock);
    let was_behind_seconds = behind.map(|behind| behind.lag().as_secs());
    Ok(reply::json(StatusCode::OK, &TrustedClock { clock: clock.to_string(), was_behind_seconds }))
}
