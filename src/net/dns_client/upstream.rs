//! Recursive resolvers by the transport that they are asked over.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::DnsName;

use crate::model::url::Url;

use super::address::{DNS_PORT, server_address};

/// The port of DNS over TLS (RFC 7858).
const TLS_PORT: u16 = 853;

/// A recursive resolver, and how to ask it: `udp:192.0.2.1`, `tcp:192.0.2.1`, `tls:192.0.2.1#dns.example` or
/// `https://dns.example/dns-query`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Upstream {
    /// Datagrams, and a connection where a reply is truncated.
    Udp(SocketAddr),
    /// A connection.
    Tcp(SocketAddr),
    /// DNS over TLS. The certificate is for `name`; without one, for the address.
    Tls { address: SocketAddr, name: Option<String> },
    /// DNS over HTTPS (RFC 8484).
    Https(Url),
}

/// A text names no resolver.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "write a resolver like \"udp:192.0.2.1\", \"tcp:192.0.2.1\", \"tls:192.0.2.1#dns.example\" or \
     \"https://dns.example/dns-query\"; found {0:?}"
)]
pub struct UpstreamError(String);

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError(text.chars().take(100).collect());
        if text.starts_with("https:") {
            return text.parse().map(Self::Https).map_err(|_| wrong());
        }
        if let Some(address) = server_address(text, DNS_PORT) {
            return Ok(Self::Udp(address));
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        match scheme {
            "udp" => server_address(rest, DNS_PORT).map(Self::Udp),
            "tcp" => server_address(rest, DNS_PORT).map(Self::Tcp),
            "tls" => tls(rest),
            _ => None,
        }
        .ok_or_else(wrong)
    }
}

fn tls(text: &str) -> Option<Upstream> {
    let (at, name) = text.split_once('#').map_or((text, None), |(at, name)| (at, Some(name)));
    let address = server_address(at, TLS_PORT)?;
    let name = match name {
        Some(name) => Some(DnsName::try_from(name).ok()?.as_ref().to_owned()),
        None => None,
    };
    Some(Upstream::Tls { address, name })
}

impl TryFrom<String> for Upstream {
    type Error = UpstreamError;

    fn try_from(text: String) -> Result<Self, UpstreamError> {
        text.parse()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Tls { address, name: None } => write!(f, "tls:{address}"),
            Self::Tls { address, name: Some(name) } => write!(f, "tls:{address}#{name}"),
            Self::Https(url) => write!(f, "{url}"),
        }
    }
}

impl Serialize for Upstream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_and_written_with_their_ports() {
        for (text, written) in [
            ("192.0.2.1", "udp:192.0.2.1:53"),
            ("udp:[2001:db8::1]", "udp:[2001:db8::1]:53"),
            ("2001:db8::1", "udp:[2001:db8::1]:53"),
            ("tcp:192.0.2.1:5353", "tcp:192.0.2.1:5353"),
            ("tls:192.0.2.1#dns.example", "tls:192.0.2.1:853#dns.example"),
            ("tls:2001:db8::1", "tls:[2001:db8::1]:853"),
            ("https://dns.example/dns-query", "https://dns.example/dns-query"),
        ] {
            let read: Upstream = text.parse().unwrap();
            assert_eq!(read.to_string(), written);
            assert_eq!(written.parse(), Ok(read), "{written}");
        }
        for wrong in ["", "dns.example", "udp:dns.example", "http://dns.example/", "tls:192.0.2.1#", "quic:192.0.2.1"] {
            assert!(wrong.parse::<Upstream>().is_err(), "{wrong}");
        }
    }
}
