//! The sections of an UPDATE (RFC 2136 section 2), read from its bytes.

use std::collections::HashSet;

use hickory_proto::op::OpCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;
use crate::model::wire::Walk;

pub const CLASS_IN: u16 = 1;
pub const CLASS_NONE: u16 = 254;
pub const CLASS_ANY: u16 = 255;

/// A record of a prerequisite or an update.
pub struct UpdateRecord<'p> {
    pub name: Name,
    pub rtype: RecordType,
    pub class: u16,
    pub ttl: u32,
    pub rdata: &'p [u8],
}

/// The sections of an UPDATE.
pub struct Sections<'p> {
    pub zone: Name,
    pub zone_type: u16,
    pub zone_class: u16,
    pub prerequisites: Vec<UpdateRecord<'p>>,
    pub updates: Vec<UpdateRecord<'p>>,
}

/// The most prerequisites and updates of one message: as many as a name can hold values. Each may cost a look-up in the
/// store, for which all other changes wait.
pub const MAX_RECORDS: usize = 1_024;

impl<'p> Sections<'p> {
    /// Reads the sections. `None` unless the message consists of exactly one zone, prerequisites, updates and additional
    /// records.
    pub fn read(message: &'p [u8]) -> Option<Self> {
        let mut walk = Walk::behind_header(message);
        let [zones, prerequisites, updates, additionals] = walk.counts()?;
        if zones != 1 {
            return None;
        }
        let zone = walk.expanded_name()?;
        let zone_type = walk.u16()?;
        let zone_class = walk.u16()?;
        let prerequisites = records(&mut walk, prerequisites)?;
        let updates = records(&mut walk, updates)?;
        for _ in 0..additionals {
            walk.record()?;
        }
        walk.is_at_end().then_some(Self { zone, zone_type, zone_class, prerequisites, updates })
    }
}

fn records<'p>(walk: &mut Walk<'p>, count: u16) -> Option<Vec<UpdateRecord<'p>>> {
    (0..count).map(|_| UpdateRecord::read(walk)).collect()
}

impl<'p> UpdateRecord<'p> {
    fn read(walk: &mut Walk<'p>) -> Option<Self> {
        let name = walk.clone().expanded_name()?;
        let record = walk.record()?;
        Some(Self { name, rtype: record.rtype.into(), class: record.class, ttl: record.ttl, rdata: record.rdata })
    }
}

/// The distinct names in the update section of a message, in order. Empty if the message is not a readable UPDATE.
pub fn updated_names(message: &[u8]) -> Vec<Name> {
    let is_update = message.get(2).is_some_and(|flags| flags >> 3 & 0xf == u8::from(OpCode::Update));
    let sections = if is_update { Sections::read(message) } else { None };
    let records = sections.into_iter().flat_map(|sections| sections.updates);
    // Compared by a set: a message has room for thousands of names, and this one need not be signed.
    let mut seen = HashSet::new();
    records.map(|record| record.name).filter(|name| seen.insert(name.clone())).collect()
}
