//! Who sends a request, as far as its connection and the proxy before it tell.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use axum::http::HeaderMap;

use crate::api::Clients;
use crate::api::peer::Peer;
use crate::config::ProxyUsers;
use crate::model::prefix::Prefix;
use crate::model::proxy_user::ProxyUser;

use super::error::PageError;

/// The sender of a request. Each request has it as an extension.
#[derive(Debug, Clone)]
pub struct Client {
    /// The browser's address; unspecified where a proxy on a Unix socket does not tell.
    pub address: IpAddr,
    /// Whether the browser's request came over TLS. A proxy on a Unix socket speaks TLS with browsers.
    pub is_over_tls: bool,
    /// The user whom the proxy has signed in.
    pub user: Option<ProxyUser>,
}

/// Whose failed sign-ins count together. All that come through one Unix socket would delay each other, so a user counts
/// alone, and so does each network that the proxy tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guesser {
    Network(Prefix),
    User(ProxyUser),
}

/// How requests come in.
#[derive(Debug)]
pub struct Entrance {
    /// Finds the address of browsers behind a proxy on a Unix socket.
    pub clients: Clients,
    /// The users whom such a proxy signs in.
    pub proxy_users: Option<ProxyUsers>,
    /// Whether browsers reach the console's addresses over TLS.
    pub is_secure: bool,
}

impl Entrance {
    /// The sender of a request with these headers.
    pub fn client(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Client, PageError> {
        let is_unix = matches!(peer, Some(Peer::Unix));
        let address = match peer {
            Some(Peer::Tcp(peer)) => peer.ip().to_canonical(),
            Some(Peer::Unix) => self.clients.of(Peer::Unix, headers),
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let user = if is_unix { self.user(headers)? } else { None };
        Ok(Client { address, is_over_tls: self.is_secure || is_unix, user })
    }

    /// The user whom a proxy has signed in. Over the network anybody could send the header.
    fn user(&self, headers: &HeaderMap) -> Result<Option<ProxyUser>, PageError> {
        let Some(users) = &self.proxy_users else { return Ok(None) };
        let mut names = headers.get_all(&users.header).iter();
        let (name, further) = (names.next(), names.next());
        // A proxy that signs nobody in sends an empty header, or none.
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
        let user = name.to_str().ok().filter(|_| further.is_none()).and_then(|name| name.parse().ok());
        user.map(Some).ok_or_else(|| PageError::ProxyUser(users.header.to_string()))
    }
}

impl Client {
    /// Whose failed sign-ins count with those of this client.
    pub fn guesser(&self) -> Guesser {
        self.user.map_or(Guesser::Network(Prefix::of(self.address)), Guesser::User)
    }
}

impl fmt::Display for Guesser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(_) => f.write_str("from your network"),
            Self::User(user) => write!(f, "by {user}"),
        }
    }
}
