//! Paths as clients build them from a base URL: `//update`, `/update/`, `/some/prefix/update`.
//!
//! Paths are put in order before routing, and never redirected: curl and requests turn a redirected POST into a GET.

use std::fmt;

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri};

/// The segments of each route. Segments before a route are the client's base path. A star is any one segment.
const ENDS: [&[&str]; 14] = [
    &["update"],
    &["register"],
    &["health"],
    &["present"],
    &["cleanup"],
    &["v1", "account"],
    &["v1", "account", "rotate"],
    &["v1", "subdomains"],
    &["v1", "aliases"],
    &["v1", "storage"],
    &["v1", "storage", "*"],
    &["v1", "txt"],
    &["v1", "queries"],
    &["v1", "persist"],
];

/// The segments before the route. One of them may be a registration secret.
#[derive(Clone, Default)]
pub struct PathPrefix(Vec<String>);

impl PathPrefix {
    /// The segments, percent-decoded.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Debug for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPrefix({} redacted)", self.0.len())
    }
}

/// Collapses slashes, removes a closing one, and moves the prefix into an extension.
pub fn canonical(mut request: Request<Body>) -> Request<Body> {
    let segments: Vec<&str> = request.uri().path().split('/').filter(|segment| !segment.is_empty()).collect();
    let end = ENDS.iter().filter(|end| is_end(&segments, end)).map(|end| end.len()).max();
    let (prefix, route) = segments.split_at(segments.len() - end.unwrap_or(segments.len()));
    let prefix = PathPrefix(prefix.iter().map(|segment| decoded(segment)).collect());
    if let Some(uri) = with_path(request.uri(), &format!("/{}", route.join("/"))) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(prefix);
    request
}

fn is_end(segments: &[&str], end: &[&str]) -> bool {
    let last = segments.len().checked_sub(end.len()).map(|before| &segments[before..]);
    last.is_some_and(|last| last.iter().zip(end).all(|(segment, wanted)| *wanted == "*" || segment == wanted))
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let text = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(text.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// Percent-decodes a segment. Anything that is not an escape, or does not become UTF-8, stays as it is.
fn decoded(segment: &str) -> String {
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(out).unwrap_or_else(|_| segment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(uri: &str) -> (String, String) {
        let request = canonical(Request::builder().uri(uri).body(Body::empty()).unwrap());
        let prefix = request.extensions().get::<PathPrefix>().unwrap().clone();
        (prefix.segments().collect::<Vec<_>>().join(","), request.uri().to_string())
    }

    #[test]
    fn every_way_to_write_a_route_leads_to_it() {
        for (uri, prefix, path) in [
            ("/update", "", "/update"),
            ("//update", "", "/update"),
            ("/update//", "", "/update"),
            ("/a/b//register/?x=1", "a,b", "/register?x=1"),
            ("/s%2Fecret%zz/register", "s/ecret%zz", "/register"),
            ("http://auth.test/p/health", "p", "http://auth.test/health"),
            ("/v1/account/rotate/", "", "/v1/account/rotate"),
            ("/p/v1/account", "p", "/v1/account"),
            ("/v1//update", "v1", "/update"),
            ("/update/x", "", "/update/x"),
            ("/p//v1/storage/", "p", "/v1/storage"),
            ("/p/v1/storage/example.com", "p", "/v1/storage/example.com"),
            ("/v1/storage/update", "", "/v1/storage/update"),
            ("/", "", "/"),
            ("*", "", "/*"),
        ] {
            assert_eq!(split(uri), (prefix.to_owned(), path.to_owned()), "{uri}");
        }
    }

    #[test]
    fn a_prefix_is_not_shown() {
        let shown = format!("{:?}", PathPrefix(vec!["s3cret".into()]));
        assert!(!shown.contains("s3cret"));
    }
}
