//! Counts and logs each request by its route, never by its path, which may hold a secret.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, debug, debug_span};

use crate::metrics::Metrics;

use super::error::ServerFault;

pub async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = debug_span!("request", method = %request.method(), route = &*route);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => metrics.denials.one(),
        _ if response.extensions().get::<ServerFault>().is_some() => metrics.faults.one(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => metrics.refusals.one(),
        // The nameservers of others are late, and this server has done its part.
        StatusCode::GATEWAY_TIMEOUT => {}
        status if status.is_server_error() => metrics.faults.one(),
        _ => {}
    }
    metrics.requested(&route, start.elapsed());
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| debug!(status = status.as_u16(), micros, "answered"));
    response
}
