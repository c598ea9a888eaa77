//! What is wrong in a zonefile.

use thiserror::Error;

/// What is wrong in a zonefile, and in which of its lines (from 1).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct ZonefileError {
    /// The line of the zonefile.
    pub line: usize,
    /// What is wrong, and what to write instead.
    pub problem: String,
}
