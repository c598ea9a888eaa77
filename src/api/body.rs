//! Reads the whole body of a request before any reply.
//!
//! A reply that is sent while the client still writes is often lost. Closing a connection with unread bytes resets it,
//! and the client reports the reset instead of the reply. So the server reads even a refused request to its end, within
//! limits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::error::Failure;
use super::types::transfer::MAX_TRANSFER;

/// The most bytes of a body with many rows.
const MAX_LARGE: usize = 8 * 1_024 * 1_024;
/// The most bytes of a body.
pub const MAX_BODY: usize = 64 * 1_024;
/// The most bytes that are read of a body that is too large, and discarded.
const MAX_DISCARDED: usize = 4 * 1_024 * 1_024;

/// How long a body may take to arrive.
#[derive(Clone, Copy, Debug)]
pub struct BodyTimeout(pub Duration);

impl BodyTimeout {
    /// The limit on the operator's socket.
    pub const OPERATOR: Self = Self(Duration::from_secs(20));
    /// The same for bodies with many rows, which may come over a slow network.
    const LARGE: Self = Self(Duration::from_secs(5 * 60));
}

/// Reads the body, and passes it on with the request.
pub async fn whole(State(limit): State<BodyTimeout>, request: Request, next: Next) -> Response {
    within(MAX_BODY, limit, request, next).await
}

/// The same for requests of the operator that may have many rows.
pub async fn large(request: Request, next: Next) -> Response {
    within(MAX_LARGE, BodyTimeout::LARGE, request, next).await
}

/// The same for files that move accounts.
pub async fn huge(request: Request, next: Next) -> Response {
    within(MAX_TRANSFER, BodyTimeout::LARGE, request, next).await
}

/// Reads a body that nobody wants, within limits.
pub async fn discard(body: Body) {
    _ = tokio::time::timeout(BodyTimeout::OPERATOR.0, collected(body, 0)).await;
}

async fn within(limit: usize, time: BodyTimeout, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(time.0, collected(body, limit)).await {
        Ok(Ok(body)) => body,
        Ok(Err(failure)) => return failure.into_response(),
        Err(_) => return Failure::Slow.into_response(),
    };
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn collected(mut body: Body, limit: usize) -> Result<Bytes, Failure> {
    let discarded = limit.max(MAX_DISCARDED);
    if body.size_hint().lower() > discarded as u64 {
        return Err(Failure::TooLarge { limit });
    }
    let mut kept = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Malformed("the body ended early".into()))?;
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        length = length.saturating_add(data.len());
        if length <= limit {
            kept.extend_from_slice(data);
        } else if length <= discarded {
            kept = Vec::new();
        } else {
            break;
        }
    }
    if length > limit { Err(Failure::TooLarge { limit }) } else { Ok(kept.into()) }
}
