//! The envelope of every list.

use serde::{Deserialize, Serialize};

/// A list, or the part of one that fits a reply.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Whether the list goes on after the last item.
    pub truncated: bool,
}

impl<T> List<T> {
    /// A list with all its items.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, truncated: false }
    }
}
