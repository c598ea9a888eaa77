//! `GET /health`: 200 without a body, as acme-dns replies. `/ready` says whether updates would succeed.

use axum::http::{HeaderName, header};

pub async fn health() -> [(HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}
