//! Replies: JSON on one line that caches do not store.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// A reply with a JSON value on one line: acme.sh reads replies with `sed`.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // invariant: no reply has a map with keys that are not strings, the one thing that fails here
    text(status, serde_json::to_string(value).unwrap_or_default())
}

/// A reply with JSON that is text already.
pub fn text(status: StatusCode, json: String) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
