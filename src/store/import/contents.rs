//! What an import finds in a source.

use std::fmt;

use crate::model::account::{AllowFrom, Username};
use crate::model::name::Subdomain;
use crate::model::secret::ApiKeyHash;
use crate::model::time::Timestamp;
use crate::model::txt::TxtValue;

/// The contents of a source.
#[derive(Debug, Default)]
pub struct Contents {
    /// The accounts, sorted by username.
    pub accounts: Vec<ForeignAccount>,
    /// The rows of which no account can be made.
    pub left: Vec<Left>,
}

/// An account of acme-dns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAccount {
    pub username: Username,
    /// A bcrypt hash, unchanged.
    pub key: ApiKeyHash,
    /// The account's only name.
    pub subdomain: Subdomain,
    /// The networks from which the account may be used.
    pub allow_from: AllowFrom,
    /// The time of the registration, where the source stores one.
    pub created: Option<Timestamp>,
    /// The values with their times of publication, newest first. Values of acme-dns never expire.
    pub values: Vec<(TxtValue, Timestamp)>,
}

/// Something that the import leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The account or value, as the source names it.
    pub what: String,
    /// The reason, for the operator.
    pub why: String,
}

impl Left {
    pub fn new(what: impl Into<String>, why: impl ToString) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}
