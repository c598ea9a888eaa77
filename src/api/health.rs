//! `GET /health`: alive, as acme-dns says it: 200 and nothing else. Whether updates would succeed is `/ready`'s.

use axum::http::{HeaderName, header};

pub async fn health() -> [(HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}
