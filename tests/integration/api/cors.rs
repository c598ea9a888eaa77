//! Web pages that call the API (the Fetch standard's CORS protocol).

use crate::harness::http::send;
use crate::harness::{Process, Settings};

const PREFLIGHT: &str = "Access-Control-Request-Method: POST";

#[test]
fn no_page_may_call_by_default() {
    let daemon = Process::start(&Settings::default());
    let reply = send(daemon.api(), "OPTIONS", "/update", &["Origin: https://panel.test", PREFLIGHT], "");
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None));
}

#[test]
fn named_pages_may_send_credentials_in_headers() {
    let daemon = Process::start(&Settings::default().with("api", "cors-origins = [\"https://panel.test\"]"));
    let asked = "Access-Control-Request-Headers: x-api-key,x-api-user,content-type";
    let reply = send(daemon.api(), "OPTIONS", "/update", &["Origin: https://panel.test", PREFLIGHT, asked], "");
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some("https://panel.test")));
    let allowed = reply.header("access-control-allow-headers").unwrap().to_lowercase();
    for header in ["x-api-user", "x-api-key", "content-type", "authorization"] {
        assert!(allowed.contains(header), "{header} in {allowed}");
    }
    assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
    let real = send(daemon.api(), "POST", "/update", &["Origin: https://panel.test"], "{}");
    real.assert_error(401, "forbidden");
    assert_eq!(real.header("access-control-allow-origin"), Some("https://panel.test"), "errors can be read as well");
    assert_eq!(real.header("vary"), Some("Origin"));
}

#[test]
fn other_pages_may_not() {
    let daemon = Process::start(&Settings::default().with("api", "cors-origins = [\"https://panel.test\"]"));
    for origin in ["https://evil.test", "http://panel.test", "https://panel.test.evil.test", "null"] {
        for (method, headers) in [("OPTIONS", PREFLIGHT), ("POST", "Accept: */*")] {
            let reply = send(daemon.api(), method, "/update", &[&format!("Origin: {origin}"), headers], "");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
            assert_eq!(reply.header("vary"), Some("Origin"), "caches must not mix them up");
        }
    }
}
