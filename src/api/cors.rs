//! Cross-origin requests (CORS in the Fetch standard) from the web pages that the configuration lists.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Router, http::HeaderName};

const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE";
/// Includes the headers with credentials: without them, as in acme-dns, no page can call /update.
const HEADERS: &str = "Accept, Authorization, Content-Type, X-Api-Key, X-Api-User, X-Requested-With";
const MAX_AGE: &str = "600";

/// Adds CORS for `origins` to the router, if there are any.
pub fn around(router: Router, origins: &[String]) -> Router {
    if origins.is_empty() {
        return router;
    }
    router.layer(middleware::from_fn_with_state(Arc::<[String]>::from(origins), cors))
}

async fn cors(State(origins): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let allowed = allowed_origin(&origins, request.headers());
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let of_kind: &[(HeaderName, &'static str)] = if is_preflight {
        &[
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ]
    } else {
        &[(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Retry-After")]
    };
    for (name, value) in of_kind {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
    response
}

fn allowed_origin(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    if origins.iter().any(|allowed| allowed == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let found = origins.iter().any(|allowed| is_like(allowed, origin.as_bytes()));
    found.then(|| origin.clone())
}

/// Whether an origin is the allowed one. One `*` in that stands for a part of a host name, or for a port.
fn is_like(allowed: &str, origin: &[u8]) -> bool {
    let allowed = allowed.as_bytes();
    let Some(at) = allowed.iter().position(|&byte| byte == b'*') else { return allowed.eq_ignore_ascii_case(origin) };
    let (start, end) = (&allowed[..at], &allowed[at + 1..]);
    let Some(middle) = origin.len().checked_sub(end.len()).and_then(|last| origin.get(start.len()..last)) else {
        return false;
    };
    // Not `/`, `:` or `@`, by which another host could stand in its place.
    let is_part = middle.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    let is_framed = origin[..start.len()].eq_ignore_ascii_case(start)
        && origin[origin.len() - end.len()..].eq_ignore_ascii_case(end);
    !middle.is_empty() && is_part && is_framed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_labels_or_a_port() {
        for (allowed, origin, like) in [
            ("https://*.example.org", "https://panel.example.org", true),
            ("https://*.example.org", "https://a.b.EXAMPLE.org", true),
            ("http://localhost:*", "http://localhost:3000", true),
            ("https://panel-*.example.org", "https://panel-7.example.org", true),
            ("https://*.example.org", "https://example.org", false),
            ("https://*.example.org", "https://.example.org", false),
            ("https://*.example.org", "http://panel.example.org", false),
            ("https://*.example.org", "https://evil.test/.example.org", false),
            ("https://*.example.org", "https://evil.test:1.example.org", false),
            ("https://*.example.org", "https://panel.example.org.evil.test", false),
            ("http://localhost:*", "http://localhost:", false),
        ] {
            assert_eq!(is_like(allowed, origin.as_bytes()), like, "{allowed} {origin}");
        }
    }
}
