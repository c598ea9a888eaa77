//! The hosts by which browsers know the console, and where a request comes from.
//!
//! A page elsewhere may resolve its own name to the console's address (DNS rebinding), so the `Host` header must name the
//! console. A form elsewhere may post to the console, so the `Origin` header must name it too.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, Uri, header};

/// The names and addresses of the console.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// The addresses of the listeners, those of this machine, and further names.
    pub fn new(listen: &[SocketAddr], names: &[String]) -> Self {
        let own = listen.iter().map(|address| address.ip().to_canonical().to_string());
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        Self(own.chain(local).chain(names.iter().cloned()).collect())
    }

    /// The host of a request, with its port, if it is the console's.
    pub fn of_request(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        // HTTP/2 has `:authority` instead.
        let host = uri.authority().map(|authority| authority.as_str()).or(named)?.to_ascii_lowercase();
        self.0.iter().any(|own| own == without_port(&host)).then_some(host)
    }
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a request may change something: it was sent by a page of this `host`. Browsers send `Origin` with every form.
pub fn is_from_own_page(method: &Method, headers: &HeaderMap, host: &str) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return true;
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let same_site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let named = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host.to_ascii_lowercase());
    same_site && named.as_deref() == Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_hosts_of_the_console_are_known() {
        let hosts = Hosts::new(&["192.0.2.1:8053".parse().unwrap()], &["console.example.org".into()]);
        let known = |host: &str| hosts.of_request(&Uri::from_static("/"), &headers(&[("host", host)])).is_some();
        for host in ["192.0.2.1:8053", "console.example.org", "CONSOLE.example.org:443", "[::1]:8053", "localhost:1"] {
            assert!(known(host), "{host}");
        }
        for host in ["evil.example", "console.example.org.evil.example", "192.0.2.1.evil.example:8053", "", "a:b"] {
            assert!(!known(host), "{host}");
        }
        assert!(hosts.of_request(&Uri::from_static("/"), &HeaderMap::new()).is_none());
    }

    #[test]
    fn only_own_pages_may_change_something() {
        let from = |pairs: &[(&'static str, &str)]| is_from_own_page(&Method::POST, &headers(pairs), "localhost:1");
        assert!(from(&[("origin", "http://localhost:1")]));
        assert!(!from(&[]));
        assert!(!from(&[("origin", "null")]));
        assert!(!from(&[("origin", "http://localhost:2")]));
        assert!(!from(&[("origin", "http://localhost:1"), ("sec-fetch-site", "cross-site")]));
        assert!(is_from_own_page(&Method::GET, &HeaderMap::new(), "localhost:1"));
    }
}
