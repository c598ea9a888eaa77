//! URLs of a certificate authority.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::model::name::idn;

/// The most characters of a URL. The daemon stores URLs from replies of CAs, so they need a limit.
const MAX_URL: usize = 2_048;

/// A text is not a URL that the daemon may ask.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    #[error("write a URL like \"https://acme.example.com/directory\"; found {0:?}")]
    Form(String),
    #[error("{0} is not https; only this machine (localhost, 127.0.0.0/8, ::1) may be asked over plain http")]
    Plain(String),
}

/// An `https` URL, or an `http` URL of this machine (RFC 8555 section 6.1). Stored byte for byte, because requests sign
/// it.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(Box<str>);

impl Url {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for HTTP clients.
    pub fn uri(&self) -> Uri {
        // invariant: `from_str` has parsed it
        self.0.parse().unwrap_or_default()
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = &*with_ascii_host(text);
        let wrong = || UrlError::Form(text.chars().take(200).collect());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty() && text.len() <= MAX_URL).ok_or_else(wrong)?;
        // Credentials in a URL would end up in logs.
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong());
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(text.into())),
            Some("http") if is_loopback(host) => Ok(Self(text.into())),
            Some("http") => Err(UrlError::Plain(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

/// A URL with its host in ASCII: U-labels become A-labels. What is not a URL stays as it is.
pub fn with_ascii_host(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://").filter(|_| !text.is_ascii()) else { return Cow::Borrowed(text) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (credentials, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let (host, port) = host.split_once(':').map_or((host, ""), |(host, port)| (host, port));
    // Full-width forms of characters like `/` would move the end of the host.
    let is_plain = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let Some(host) = idn::to_ascii(host).ok().filter(|host| is_plain(host)) else { return Cow::Borrowed(text) };
    let at = if credentials.is_empty() { "" } else { "@" };
    let colon = if port.is_empty() { "" } else { ":" };
    Cow::Owned(format!("{scheme}://{credentials}{at}{host}{colon}{port}{path}"))
}

/// Whether a URL's host is this machine: `localhost`, or a loopback address.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl TryFrom<String> for Url {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_u_labels_becomes_ascii_and_nothing_else_changes() {
        for (typed, expected) in [
            ("https://bücher.example/dir", "https://xn--bcher-kva.example/dir"),
            ("https://user:key@bücher.example:8443", "https://user:key@xn--bcher-kva.example:8443"),
            ("https://plain.example/b", "https://plain.example/b"),
            ("https://[::1]:80/bü", "https://[::1]:80/bü"),
            ("https://evil.example\u{ff0f}@bücher.example", "https://evil.example\u{ff0f}@xn--bcher-kva.example"),
            ("https://evil.example\u{ff0f}.bücher.example", "https://evil.example\u{ff0f}.bücher.example"),
            ("bücher.example", "bücher.example"),
        ] {
            assert_eq!(with_ascii_host(typed), expected);
        }
        assert_eq!("https://bücher.example/d".parse::<Url>().unwrap().as_str(), "https://xn--bcher-kva.example/d");
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in ["https://acme.test/dir", "http://127.0.0.1:14000/dir", "http://[::1]/d?x=1", "http://LOCALHOST/"] {
            assert_eq!(good.parse::<Url>().map(|url| url.to_string()).as_deref(), Ok(good));
        }
        for plain in ["http://acme.test/dir", "http://10.0.0.1/", "http://localhost.test/", "http://127.0.0.1.test/"] {
            assert!(matches!(plain.parse::<Url>(), Err(UrlError::Plain(_))), "{plain}");
        }
        for bad in ["", "acme.test", "/dir", "ftp://a/", "https:///dir", "https://user:key@a/", "https://a b/"] {
            assert!(matches!(bad.parse::<Url>(), Err(UrlError::Form(_))), "{bad}");
        }
        assert!(format!("https://a/{}", "x".repeat(MAX_URL)).parse::<Url>().is_err());
    }
}
