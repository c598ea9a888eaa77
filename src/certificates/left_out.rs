//! Names that certificates do without.

use crate::model::identifier::Identifier;

use super::missing_record::MissingRecord;

/// A name that a certificate does without, because it cannot be proven.
#[derive(Debug, Clone)]
pub struct LeftOutName {
    /// The name.
    pub name: Identifier,
    /// Why it cannot be proven.
    pub problem: String,
    /// The record that is missing, if that is why.
    pub missing: Option<MissingRecord>,
    /// Whether the DNS looks right from here, and the CA or CAA records refuse the name.
    pub is_refused: bool,
}
