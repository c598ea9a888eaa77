//! Records that a certificate waits for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::delegation::finding::NeededRecord;

/// A record that somebody has to add to their zone, and what is there instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRecord {
    /// The record.
    #[serde(flatten)]
    pub needed: NeededRecord,
    /// What the look-up has found.
    pub found: String,
}

impl fmt::Display for MissingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, so add {}", self.needed.name, self.found, self.needed)
    }
}
