//! The address of the client: the peer's, or the one that a trusted proxy reports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config;

use super::error::Failure;
use super::peer::Peer;

/// The address of an unknown client. Only networks that hold all of IPv4 contain it, so accounts that are limited to
/// networks are refused.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Finds the address of a client: the trusted proxies, and the header in which they report it.
#[derive(Clone, Debug)]
pub struct Clients {
    proxies: Arc<[IpNet]>,
    trusts_sockets: bool,
    header: Option<HeaderName>,
}

impl Clients {
    /// Trusts the header in requests from the proxies only.
    pub fn of_settings(settings: &config::Api) -> Self {
        Self {
            proxies: settings.trusted_proxies.as_slice().into(),
            trusts_sockets: settings.trusts_sockets,
            // The configuration has parsed the name already.
            header: settings.client_ip_header.as_ref().and_then(|header| header.parse().ok()),
        }
    }

    /// The client's address.
    ///
    /// Behind trusted proxies, the client is the right-most address in the header that is not a proxy, because a client
    /// can make up everything to the left of it. If all addresses are proxies, the client is the left-most one. If the
    /// header is missing or cannot be read, the client is unknown. The proxy's own address would not do: it would let
    /// everybody use accounts that are limited to the inner network.
    pub fn of(&self, peer: Peer, headers: &HeaderMap) -> IpAddr {
        let (own, is_trusted) = match peer {
            Peer::Tcp(peer) => (peer.ip().to_canonical(), self.is_proxy(peer.ip().to_canonical())),
            Peer::Unix => (UNKNOWN, self.trusts_sockets),
        };
        let Some(header) = self.header.as_ref().filter(|_| is_trusted) else { return own };
        let mut furthest = UNKNOWN;
        // All lines form one list, in order (RFC 9110 section 5.3).
        let lines: Vec<_> = headers.get_all(header).iter().collect();
        for line in lines.into_iter().rev() {
            let Ok(line) = line.to_str() else { return UNKNOWN };
            for element in line.rsplit(',').map(str::trim).filter(|element| !element.is_empty()) {
                match address(element) {
                    None => return UNKNOWN,
                    Some(client) if !self.is_proxy(client) => return client,
                    Some(proxy) => furthest = proxy,
                }
            }
        }
        furthest
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(&address))
    }
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// The client's address, for handlers.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub IpAddr);

impl<S> FromRequestParts<S> for ClientIp
where
    S: Sync,
    Clients: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(match parts.extensions.get::<Peer>() {
            Some(peer) => Self(Clients::from_ref(state).of(*peer, &parts.headers)),
            None => Self(UNKNOWN),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let proxies = ["10.0.0.0/8", "2001:db8:aaaa::/48"].map(|net| net.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let clients =
            Clients { proxies: proxies.into(), trusts_sockets: false, header: "x-forwarded-for".parse().ok() };
        let peer: IpAddr = peer.parse().unwrap();
        clients.of(Peer::Tcp(SocketAddr::new(peer, 1)), &headers).to_string()
    }

    #[test]
    fn a_header_over_a_unix_socket_is_believed_where_the_configuration_says_so() {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-real-ip"), "198.51.100.9".parse().unwrap())]);
        for (trusts_sockets, client) in [(true, "198.51.100.9"), (false, "0.0.0.0")] {
            let clients = Clients { proxies: [].into(), trusts_sockets, header: "x-real-ip".parse().ok() };
            assert_eq!(clients.of(Peer::Unix, &headers).to_string(), client);
        }
    }

    #[test]
    fn a_stranger_is_whoever_connects() {
        assert_eq!(client("192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn the_right_most_untrusted_address_counts() {
        assert_eq!(client("10.0.0.1", &["198.51.100.9"]), "198.51.100.9");
        assert_eq!(client("::ffff:10.0.0.1", &["1.2.3.4, 198.51.100.9,10.2.2.2"]), "198.51.100.9");
        assert_eq!(client("10.0.0.1", &["1.2.3.4", "198.51.100.9", "10.2.2.2, 10.3.3.3"]), "198.51.100.9");
        assert_eq!(client("10.0.0.1", &["10.7.7.7, 10.2.2.2"]), "10.7.7.7");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        for (element, address) in [
            ("198.51.100.9:4711", "198.51.100.9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("2001:db8::9", "2001:db8::9"),
            ("::ffff:198.51.100.9", "198.51.100.9"),
        ] {
            assert_eq!(client("2001:db8:aaaa::1", &[element]), address, "{element}");
        }
    }

    #[test]
    fn without_a_legible_address_the_client_is_unknown() {
        for lines in [&[][..], &[""], &["unknown"], &["198.51.100.9, unknown, 10.2.2.2"], &["198.51.100.9", "x"]] {
            assert_eq!(client("10.0.0.1", lines), "0.0.0.0", "{lines:?}");
        }
    }
}
