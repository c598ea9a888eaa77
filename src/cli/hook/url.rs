//! The URL of an API.

use std::fmt;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::model::url::{is_loopback, with_ascii_host};

use super::error::HookError;

/// A base URL. Neither its path nor its credentials are shown: both may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// `https://host:port`.
    origin: String,
    /// `/prefix`, or nothing.
    path: String,
    /// User and password.
    credentials: Option<(String, String)>,
    /// Whether the URL leads to this machine.
    is_local: bool,
}

impl ServerUrl {
    /// Reads `https://host`, optionally with a port, a path and credentials. `http` is accepted for this machine, and for
    /// others only with `allow_http`.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, HookError> {
        let wrong = |problem: &str| Err(HookError::Setting { place: "server".into(), problem: problem.to_owned() });
        let uri: Uri = match with_ascii_host(text).parse() {
            Ok(uri) => uri,
            Err(_) => return wrong("this is not a URL; write one like https://auth.example.org"),
        };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return wrong("write it with its scheme, like https://auth.example.org");
        };
        if uri.query().is_some() {
            return wrong("write it without a query, like https://auth.example.org");
        }
        let host = authority.host();
        let is_local = is_loopback(host);
        match scheme {
            "https" => {}
            "http" if is_local || allow_http => {}
            "http" => {
                return wrong(
                    "the account's key would cross the network in clear text; write https://, or allow it with \
                              `allow-http = true` (--allow-http)",
                );
            }
            _ => return wrong("write a URL that begins with https://"),
        }
        let port = authority.port().map(|port| format!(":{port}")).unwrap_or_default();
        let credentials = authority.as_str().rsplit_once('@').map(|(userinfo, _)| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            (decoded(user), decoded(password))
        });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { origin: format!("{scheme}://{host}{port}"), path, credentials, is_local })
    }

    /// The URL of a path below the base, like `/update`.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }

    /// The URL for the account file: without the credentials.
    pub fn stored(&self) -> String {
        self.endpoint("")
    }

    /// User and password.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Whether both lead to the same host and port.
    pub fn is_at(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// Whether the URL leads to this machine, for which no proxy is used.
    pub fn is_local(&self) -> bool {
        self.is_local
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart() {
        let url = ServerUrl::parse("https://txtgate:s%40cret@auth.example.org:8443/pre/fix//", false).unwrap();
        assert_eq!(url.endpoint("/update"), "https://auth.example.org:8443/pre/fix/update");
        assert_eq!(url.stored(), "https://auth.example.org:8443/pre/fix");
        assert_eq!(url.credentials(), Some(("txtgate", "s@cret")));
        let shown = format!("{url} {url:?}");
        assert!(!shown.contains("cret") && !shown.contains("fix"), "{shown}");
        assert!(url.is_at(&ServerUrl::parse("https://auth.example.org:8443", false).unwrap()));
        assert!(!url.is_at(&ServerUrl::parse("https://auth.example.org", false).unwrap()));
    }

    #[test]
    fn clear_text_stays_on_this_machine() {
        for local in ["http://127.0.0.1:5380", "http://[::1]:80/x", "http://localhost"] {
            assert!(ServerUrl::parse(local, false).unwrap().is_local(), "{local}");
        }
        for far in
            ["http://auth.example.org", "http://localhost.example.org", "http://192.0.2.1", "http://127.0.0.1.nip.io"]
        {
            assert!(ServerUrl::parse(far, false).is_err(), "{far}");
            assert!(!ServerUrl::parse(far, true).unwrap().is_local(), "{far}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for bad in
            ["", "auth.example.org", "auth.example.org:443", "ftp://auth.test", "https://a.test/?x", "https:// x"]
        {
            let error = ServerUrl::parse(bad, true).unwrap_err().to_string();
            assert!(error.contains("https://"), "{bad}: {error}");
        }
    }
}
