//! The zone that an UPDATE names, and its records other than the values of accounts.

use hickory_proto::rr::RecordType;

use crate::model::account::Account;
use crate::model::name::owner::OwnerText;
use crate::model::name::{Name, Owner};
use crate::model::txt::RecordSet;
use crate::zone::{Node, Zone};

use super::refusal::UpdateRefusal;

/// The zone that an UPDATE names.
pub enum UpdateZone<'z> {
    /// A zone of this server.
    Zone(&'z Zone),
    /// An alias of the account, and the owner that it refers to. Clients that search for the zone of a CNAME take the alias
    /// for a zone.
    Virtual(&'z Name, &'z Owner),
}

impl<'z> UpdateZone<'z> {
    /// The zone of this name, if there is one for the account.
    pub fn of(zone: &Name, account: &'z Account, zones: &'z [Zone]) -> Option<Self> {
        if let Some(found) = zones.iter().find(|found| found.name.apex() == zone) {
            return Some(Self::Zone(found));
        }
        let own = account.aliases.iter().find(|own| own.alias.name() == zone)?;
        Some(Self::Virtual(own.alias.name(), &own.owner))
    }

    /// Fails for a name that lies outside the zone.
    pub fn must_contain(&self, name: &Name) -> Result<(), UpdateRefusal> {
        let apex = match self {
            Self::Zone(zone) => zone.name.apex(),
            Self::Virtual(apex, _) => apex,
        };
        if name.is_in(apex) { Ok(()) } else { Err(UpdateRefusal::OutOfZone) }
    }

    /// The owner at a name, if there can be one. The publisher checks whether it belongs to the account.
    pub fn owner(&self, name: &Name) -> Option<Owner> {
        match self {
            Self::Zone(zone) => OwnerText::Name(name.clone()).in_zone(&zone.name),
            Self::Virtual(apex, owner) => (name == *apex).then(|| (*owner).clone()),
        }
    }

    /// The records at a name, without the values of accounts.
    pub fn fixed(&self, name: &Name) -> FixedRecords<'z> {
        match self {
            Self::Zone(zone) => match zone.locate(name.as_ref()).map(|(node, _)| node) {
                Some(Node::Apex(sets, _)) => FixedRecords { has_soa: true, sets: [sets, zone.signing_sets()] },
                Some(Node::Static(sets)) => FixedRecords { has_soa: false, sets: [sets, &[]] },
                _ => FixedRecords { has_soa: false, sets: [&[], &[]] },
            },
            Self::Virtual(apex, _) => FixedRecords { has_soa: name == *apex, sets: [&[], &[]] },
        }
    }
}

/// The records at a name that no UPDATE changes.
pub struct FixedRecords<'z> {
    has_soa: bool,
    sets: [&'z [RecordSet]; 2],
}

impl FixedRecords<'_> {
    /// Whether there is any record.
    pub fn is_any(&self) -> bool {
        self.has_soa || self.sets.iter().any(|sets| !sets.is_empty())
    }

    /// Whether there are records of a type.
    pub fn has(&self, rtype: RecordType) -> bool {
        let is_soa = self.has_soa && rtype == RecordType::SOA;
        is_soa || self.sets.iter().copied().flatten().any(|set| set.rtype == rtype)
    }

    /// Whether the records of a type are exactly these, in any order.
    pub fn is_set(&self, rtype: RecordType, expected: &[&[u8]]) -> bool {
        let Some(found) = self.sets.iter().copied().flatten().find(|set| set.rtype == rtype) else { return false };
        let is_superset = expected.iter().all(|rdata| found.rdatas.iter().any(|other| **other == **rdata));
        let is_subset = found.rdatas.iter().all(|rdata| expected.contains(&&rdata[..]));
        is_superset && is_subset
    }
}
