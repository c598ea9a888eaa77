//! `/bulk/accounts`: many accounts at once. The request has a line of JSON for each, a
//! [`CreateAccount`](super::accounts::CreateAccount); the reply is a stream of lines, each a [`BulkLine`].

use serde::{Deserialize, Serialize};

use super::accounts::AccountCredentials;

/// The most accounts of one request.
pub const MAX_BULK: usize = 10_000;

/// A line of the reply. A reply without [`BulkLine::Created`] or [`BulkLine::Refused`] has broken off.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BulkLine {
    /// How many keys are ready. Nothing is stored yet.
    Hashed(usize),
    /// An account that was created, in the order of the request. All of them are stored.
    Account(Box<AccountCredentials>),
    /// The last line: how many accounts were created.
    Created(usize),
    /// The last line: nothing was created.
    Refused(BulkRefusal),
}

/// Why no account was created.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkRefusal {
    /// The code.
    pub error: String,
    /// What is wrong.
    pub message: String,
    /// The rows that are wrong, as far as it is theirs.
    pub rows: Vec<RowRefusal>,
}

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRefusal {
    /// The row, from 1.
    pub row: usize,
    /// The member that is wrong.
    pub field: Option<String>,
    /// The code.
    pub error: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}
