//! Tokens of the admin API over the network, which the operator makes one by one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::account::{AllowFrom, Note};
use crate::model::text::serde_as_text;
use crate::model::time::{RunningTime, Timestamp};

/// A text is not an [`AdminTokenId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write the number of a token, as `txtgate admin token list` shows it; found {0:?}")]
pub struct AdminTokenIdError(String);

/// The number of a token, which no other token ever gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct AdminTokenId(pub i64);

impl FromStr for AdminTokenId {
    type Err = AdminTokenIdError;

    fn from_str(text: &str) -> Result<Self, AdminTokenIdError> {
        text.parse().map(Self).map_err(|_| AdminTokenIdError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for AdminTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is not an [`AdminScope`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the scopes are `read`, `accounts` and `all`; found {0:?}")]
pub struct AdminScopeError(String);

/// What a token is good for. Each scope includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AdminScope {
    /// Shows everything but hashes, and changes nothing.
    Read,
    /// Changes accounts, their names and values, and enrolment tokens too.
    Accounts,
    /// Does everything that the operator's socket does, except create tokens.
    All,
}

impl AdminScope {
    /// The scope as people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Accounts => "accounts",
            Self::All => "all",
        }
    }

    /// Whether a token with this scope may do what needs `needed`.
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

impl FromStr for AdminScope {
    type Err = AdminScopeError;

    fn from_str(text: &str) -> Result<Self, AdminScopeError> {
        let mut scopes = [Self::Read, Self::Accounts, Self::All].into_iter();
        let found = scopes.find(|scope| scope.as_str() == text);
        found.ok_or_else(|| AdminScopeError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for AdminScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

serde_as_text!(AdminScope);

/// The limits of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminTokenTerms {
    /// What it is good for.
    pub scope: AdminScope,
    /// When it ends.
    pub expires: RunningTime,
    /// The networks from which it may be used.
    pub allow_from: AllowFrom,
    /// A remark.
    pub note: Note,
}

/// The stored part of a token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminToken {
    pub id: AdminTokenId,
    pub terms: AdminTokenTerms,
    pub created: Timestamp,
}

impl AdminToken {
    /// Whether the token has ended.
    pub fn is_expired(&self, now: RunningTime) -> bool {
        now >= self.terms.expires
    }

    /// Whether a client at this address may use the token.
    pub fn allows_from(&self, client: IpAddr) -> bool {
        self.terms.allow_from.allows(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_includes_those_before_it() {
        use AdminScope::{Accounts, All, Read};
        assert!(All.covers(Accounts) && Accounts.covers(Read) && Read.covers(Read));
        assert!(!Read.covers(Accounts) && !Accounts.covers(All));
        assert_eq!("accounts".parse(), Ok(Accounts));
        let error = "root".parse::<AdminScope>().unwrap_err().to_string();
        assert_eq!(error, "the scopes are `read`, `accounts` and `all`; found \"root\"");
    }
}
