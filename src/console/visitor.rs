//! Who is signed in, and what they may do.

use std::net::IpAddr;

use crate::api::admin::Caller;
use crate::model::account::{AccountStatus, Username};
use crate::model::actor::{Actor, FrontEnd, KeyUsed};
use crate::model::admin_token::{AdminScope, AdminTokenId};
use crate::model::proxy_user::ProxyUser;
use crate::model::secret::{ApiKeyHash, SecretHash};
use crate::publisher::Publisher;
use crate::store::StoreError;

/// Whoever has signed in, and what shows whether the sign-in still stands.
#[derive(Debug, Clone)]
pub enum Visitor {
    /// An operator, with a token of the admin API.
    Token { id: AdminTokenId, scope: AdminScope, hash: SecretHash },
    /// An operator, with a link of `txtgate console login`.
    Link { scope: AdminScope },
    /// An operator, signed in by the proxy on a Unix socket.
    Proxy { user: ProxyUser, scope: AdminScope },
    /// An account, with its own key.
    Account { username: Username, key: ApiKeyHash },
}

impl Visitor {
    /// On whose authority a change is made.
    pub fn actor(&self, address: IpAddr) -> Actor {
        match self {
            Self::Token { id, .. } => Actor::console_operator(address, KeyUsed::AdminToken(*id)),
            Self::Link { .. } => Actor::console_operator(address, KeyUsed::SignInLink),
            Self::Proxy { user, .. } => Actor::proxied_operator(*user),
            Self::Account { username, .. } => Actor::account(*username, FrontEnd::Console, address, KeyUsed::Current),
        }
    }

    /// Whom a request to the admin API acts for.
    pub fn caller(&self) -> Caller {
        match self {
            Self::Token { scope, .. } | Self::Link { scope } | Self::Proxy { scope, .. } => Caller::Operator(*scope),
            Self::Account { username, .. } => Caller::Account(*username),
        }
    }

    /// Whether what needs this scope is open to the visitor.
    pub fn may(&self, needed: AdminScope) -> bool {
        matches!(self.caller(), Caller::Operator(scope) if scope.covers(needed))
    }

    /// The account, if one is signed in.
    pub fn account(&self) -> Option<Username> {
        match self {
            Self::Account { username, .. } => Some(*username),
            Self::Token { .. } | Self::Link { .. } | Self::Proxy { .. } => None,
        }
    }

    /// Whether the proxy signs the visitor in, with each request.
    pub fn is_of_proxy(&self) -> bool {
        matches!(self, Self::Proxy { .. })
    }

    /// Whether both are the same user of the proxy, with the same scope.
    pub fn is_same_user(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Proxy { user, scope }, Self::Proxy { user: other, scope: others }) => {
                user == other && scope == others
            }
            _ => false,
        }
    }

    /// How pages name the visitor.
    pub fn name(&self) -> String {
        match self {
            Self::Token { id, scope, .. } => format!("token {id} ({scope})"),
            Self::Link { scope } => format!("operator ({scope})"),
            Self::Proxy { user, scope } => format!("{user} ({scope})"),
            Self::Account { username, .. } => format!("account {username}"),
        }
    }

    /// Whether the sign-in still stands for a client at this address: the token is valid, the account active, and its key
    /// the same. Reads the store, which blocks.
    pub fn is_valid(&self, publisher: &Publisher, client: IpAddr) -> Result<bool, StoreError> {
        Ok(match self {
            Self::Link { .. } | Self::Proxy { .. } => true,
            Self::Token { hash, .. } => {
                let now = publisher.moment().running;
                let token = publisher.admin_token_of(hash)?;
                token.is_some_and(|token| !token.is_expired(now) && token.allows_from(client))
            }
            Self::Account { username, key } => publisher.account(*username)?.is_some_and(|account| {
                account.status == AccountStatus::Active && account.key == *key && account.allow_from.allows(client)
            }),
        })
    }
}
