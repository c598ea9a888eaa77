//! Accounts that move between two txtgates, with everything that belongs to them.

mod incoming;
mod outgoing;

use thiserror::Error;

use crate::model::account::Account;
use crate::model::enrolment::Enrolment;
use crate::model::name::{Name, Owner};
use crate::model::secret::SecretHash;
use crate::model::time::Timestamp;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;

/// An account and the values at its names.
#[derive(Debug, Clone)]
pub struct TransferredAccount {
    /// The account.
    pub account: Account,
    /// The values of each name, each kind newest first.
    pub values: Vec<(Owner, Vec<LiveValue>, Vec<PersistentValue>)>,
}

/// What moves, one by one.
#[derive(Debug, Clone)]
pub enum TransferItem {
    /// An account.
    Account(Box<TransferredAccount>),
    /// An enrolment token.
    Enrolment(SecretHash, Enrolment),
    /// A client's stored credentials, sealed.
    Stored {
        /// The hash of the secret that opens them.
        holder: SecretHash,
        /// The domain.
        domain: Name,
        /// The sealed text.
        sealed: Vec<u8>,
    },
    /// A chosen label of a removed account.
    Tombstone(Owner, Timestamp),
}

/// Items that move, each with its line in the file.
#[derive(Debug, Clone, Default)]
pub struct Transfer {
    /// The items.
    pub items: Vec<(usize, TransferItem)>,
    /// Leaves items behind that are in conflict with what is here, rather than refusing all.
    pub skips_conflicts: bool,
    /// Changes nothing.
    pub is_rehearsal: bool,
}

/// What a transfer has done, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Accounts that are new here.
    pub accounts: usize,
    /// Items that are here already.
    pub known: usize,
    /// Values that are new here.
    pub values: usize,
    /// Enrolment tokens that are new here.
    pub enrolments: usize,
    /// Stored credentials that are new here.
    pub stored: usize,
    /// What stays behind: the line, and why.
    pub left: Vec<(usize, String)>,
}

/// Why nothing has moved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransferError {
    /// The first items that are in conflict with what is here, by line.
    #[error("{} items are in conflict with what is here", .0.len())]
    Conflicts(Vec<(usize, String)>),
    /// Undoes a rehearsal.
    #[error("this was a rehearsal")]
    Rehearsed(TransferReport),
}
