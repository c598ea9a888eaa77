//! A zone of one reading of the configuration, kept for as long as it is transferred.

use std::ops::Deref;
use std::sync::Arc;

use crate::model::name::NameRef;
use crate::zone::Zone;

/// A zone among those of one reading of the configuration.
#[derive(Clone, Debug)]
pub struct HeldZone {
    zones: Arc<Vec<Zone>>,
    index: usize,
}

impl HeldZone {
    /// The zone with this apex.
    pub fn find(zones: Arc<Vec<Zone>>, apex: NameRef<'_>) -> Option<Self> {
        let index = zones.iter().position(|zone| zone.name.apex().as_ref() == apex)?;
        Some(Self { zones, index })
    }

    /// Whether another is the same zone of the same reading.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.zones, &other.zones) && self.index == other.index
    }
}

impl Deref for HeldZone {
    type Target = Zone;

    fn deref(&self) -> &Zone {
        // invariant: `find` has found it there
        &self.zones[self.index]
    }
}
