//! `GET /health`: 200 and nothing else, as acme-dns answers; it says that the process serves HTTP.
//! `/ready` on the metrics listener says more.

use axum::http::StatusCode;

pub async fn health() -> StatusCode {
    StatusCode::OK
}
