//! A request's body, read whole before anything is answered.
//!
//! A reply that is sent while the client still writes is often lost: closing a connection with unread bytes resets
//! it, and the client reports the reset and not what was wrong. So even a refused request is read to its end, within
//! limits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::error::Failure;

/// Bytes of a body.
pub const MAX_BODY: usize = 64 * 1_024;
/// Bytes of a body that is too large and is still read, to be thrown away.
const MAX_DISCARDED: usize = 4 * 1_024 * 1_024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(20);

/// Reads the body, then lets the request go on with it.
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
        return Err(Failure::TooLarge);
    }
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Malformed("it ended early".into()))?;
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        length = length.saturating_add(data.len());
        match length {
            0..=MAX_BODY => kept.extend_from_slice(data),
            _ if length <= MAX_DISCARDED => kept = Vec::new(),
            _ => break,
        }
    }
    if length > MAX_BODY { Err(Failure::TooLarge) } else { Ok(kept.into()) }
}
