//! `/server`: how clients reach the server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::reply;
use super::status::Facts;

pub async fn server(State(facts): State<Arc<Facts>>) -> Response {
    reply::json(StatusCode::OK, &facts.server)
}
