//! `/clock/trust`: the operator's word that the machine's clock is right.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::actor::Actor;
use crate::publisher::Publisher;

use super::super::reply;
use super::super::types::clock::TrustedClock;
use super::{Failure, refused};

/// Where the clock is behind the last change that is stored, believes it all the same from now on.
pub async fn trust(State(publisher): State<Publisher>, State(actor): State<Actor>) -> Result<Response, Failure> {
    let behind = publisher.trust_clock(actor).await.map_err(refused)?;
    let clock = publisher.machine_clock().unwrap_or_else(|behind| behind.clock);
    let was_behind_seconds = behind.map(|behind| behind.lag().as_secs());
    Ok(reply::json(StatusCode::OK, &TrustedClock { clock: clock.to_string(), was_behind_seconds }))
}
