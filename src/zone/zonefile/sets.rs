//! All record sets of a configuration at once, for zone transfers.

use crate::model::name::Name;
use crate::model::txt::RecordSet;

use super::StaticRecords;

impl StaticRecords {
    /// Whether a name, in wire form, is in the configuration, or has something of it below.
    pub fn is_at(&self, name: &[u8]) -> bool {
        self.sets.contains_key(name)
    }

    /// Whether the record sets are those of `other`.
    pub fn has_sets_of(&self, other: &Self) -> bool {
        self.sets == other.sets
    }

    /// All names with their record sets, in no order.
    pub fn sets(&self) -> impl Iterator<Item = (&Name, &[RecordSet])> {
        self.sets.iter().map(|(name, sets)| (name, sets.as_slice()))
    }
}
