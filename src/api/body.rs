//! Reads the whole body of a request before any reply.
//!
//! A reply that is sent while the client still writes is often lost. Closing a connection with unread bytes resets it,
//! and the client reports the reset instead of the reply. So the server reads even a refused request to its end, within
//! limits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::error::Failure;

/// The most bytes of a body.
pub const MAX_BODY: usize = 64 * 1_024;
/// The most bytes that are read of a body that is too large, and discarded.
const MAX_DISCARDED: usize = 4 * 1_024 * 1_024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(20);

/// Reads the body, and passes it on with the request.
pub async fn whole(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIME, collected(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(failure)) => return failure.into_response(),
        Err(_) => return Failure::Slow.into_response(),
    };
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn collected(mut body: Body) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > MAX_DISCARDED as u64 {
        return Err(Failure::TooLarge { limit: MAX_BODY });
    }
    let mut kept = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Malformed("the body ended early".into()))?;
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        length = length.saturating_add(data.len());
        match length {
            0..=MAX_BODY => kept.extend_from_slice(data),
            _ if length <= MAX_DISCARDED => kept = Vec::new(),
            _ => break,
        }
    }
    if length > MAX_BODY { Err(Failure::TooLarge { limit: MAX_BODY }) } else { Ok(kept.into()) }
}
