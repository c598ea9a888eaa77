//! From the sections of an UPDATE (RFC 2136 section 2) to what the publisher is asked for.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::account::Account;
use crate::model::name::owner::OwnerText;
use crate::model::name::{Name, Owner};
use crate::model::txt::{RecordSet, TxtValue};
use crate::publisher::{Change, Condition, Expected};
use crate::zone::{Node, Zone};

use super::super::ede::Ede;
use super::super::question;
use super::super::wire::Walk;

const CLASS_IN: u16 = 1;
const CLASS_NONE: u16 = 254;
const CLASS_ANY: u16 = 255;

/// Why an UPDATE is not carried out, as its reply says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The response code.
    pub rcode: ResponseCode,
    /// Why, where that does not say it all.
    pub ede: Option<Ede>,
}

impl Refused {
    fn because(ede: Ede) -> Self {
        Self { rcode: ResponseCode::Refused, ede: Some(ede) }
    }
}

impl From<ResponseCode> for Refused {
    fn from(rcode: ResponseCode) -> Self {
        Self { rcode, ede: None }
    }
}

type Result<T> = std::result::Result<T, Refused>;

/// What an UPDATE expects and wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What must be so before.
    pub conditions: Vec<Condition>,
    /// For each condition, what is replied where it is not so.
    pub unmet: Vec<ResponseCode>,
    /// What is changed then, in this order.
    pub changes: Vec<Change>,
}

impl Plan {
    /// Reads an UPDATE of an account. Says what is wrong in the order of RFC 2136 section 3: with the zone, with what
    /// is expected, with the form of what is wanted, and at last that it is more than an account may.
    pub fn read(message: &[u8], account: &Account, zones: &[Zone]) -> Result<Self> {
        let sections = Sections::read(message).ok_or(ResponseCode::FormErr)?;
        if sections.zone_type != u16::from(RecordType::SOA) {
            return Err(ResponseCode::FormErr.into());
        }
        let place = Place::of(&sections.zone, account, zones).filter(|_| sections.zone_class == CLASS_IN);
        let place = place.ok_or(ResponseCode::NotAuth)?;
        let mut plan = Self::default();
        let mut sets = Vec::new();
        for entry in &sections.prerequisites {
            plan.require(&place, entry, &mut sets)?;
        }
        sets.iter().try_for_each(|set| plan.require_set(&place, set))?;
        let mut refused = None;
        for entry in &sections.updates {
            match change(&place, entry) {
                Ok(change) => plan.changes.extend(change),
                Err(error) if error.rcode == ResponseCode::Refused => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(plan), Err)
    }

    /// RFC 2136 section 3.2.
    fn require<'p>(&mut self, place: &Place<'_>, entry: &Entry<'p>, sets: &mut Vec<Set<'p>>) -> Result<()> {
        place.must_contain(&entry.name)?;
        if entry.ttl != 0 || (entry.class != CLASS_IN && !entry.rdata.is_empty()) {
            return Err(ResponseCode::FormErr.into());
        }
        let (name, rtype) = (&entry.name, entry.rtype);
        match (entry.class, rtype) {
            (CLASS_ANY, RecordType::ANY) => self.require_used(place, name, true),
            (CLASS_NONE, RecordType::ANY) => self.require_used(place, name, false),
            (CLASS_ANY, _) => self.require_type(place, name, rtype, true),
            (CLASS_NONE, _) => self.require_type(place, name, rtype, false),
            (CLASS_IN, _) if rtype == RecordType::ANY || is_meta(rtype) => Err(ResponseCode::FormErr.into()),
            (CLASS_IN, _) => {
                match sets.iter_mut().find(|set| set.name == entry.name && set.rtype == rtype) {
                    Some(set) => set.rdatas.push(entry.rdata),
                    None => sets.push(Set { name: name.clone(), rtype, rdatas: vec![entry.rdata] }),
                }
                Ok(())
            }
            _ => Err(ResponseCode::FormErr.into()),
        }
    }

    /// Whether a name holds any record at all (RFC 2136 sections 2.4.4 and 2.4.5).
    fn require_used(&mut self, place: &Place<'_>, name: &Name, expected: bool) -> Result<()> {
        let unmet = if expected { ResponseCode::NXDomain } else { ResponseCode::YXDomain };
        match place.owner(name) {
            Some(owner) if !place.fixed(name).is_any() => self.require_values(owner, expected, unmet),
            _ if place.fixed(name).is_any() == expected => Ok(()),
            _ => Err(unmet.into()),
        }
    }

    /// Whether a name holds records of a type (RFC 2136 sections 2.4.1 and 2.4.3).
    fn require_type(&mut self, place: &Place<'_>, name: &Name, rtype: RecordType, expected: bool) -> Result<()> {
        let unmet = if expected { ResponseCode::NXRRSet } else { ResponseCode::YXRRSet };
        match place.owner(name).filter(|_| rtype == RecordType::TXT) {
            Some(owner) => self.require_values(owner, expected, unmet),
            None if place.fixed(name).has(rtype) == expected => Ok(()),
            None => Err(unmet.into()),
        }
    }

    fn require_values(&mut self, owner: Owner, expected: bool, unmet: ResponseCode) -> Result<()> {
        let values = if expected { Expected::Some } else { Expected::None };
        self.push(Condition { owner, values }, unmet);
        Ok(())
    }

    /// Whether a record set is just this one (RFC 2136 section 2.4.2).
    fn require_set(&mut self, place: &Place<'_>, set: &Set<'_>) -> Result<()> {
        let unmet = ResponseCode::NXRRSet;
        match place.owner(&set.name).filter(|_| set.rtype == RecordType::TXT) {
            Some(owner) => {
                // What is no challenge's value is never served there.
                let values: Option<Vec<TxtValue>> = set.rdatas.iter().map(|rdata| value_of(rdata)).collect();
                self.push(Condition { owner, values: Expected::Exactly(values.ok_or(unmet)?) }, unmet);
                Ok(())
            }
            None if place.fixed(&set.name).is_set(set) => Ok(()),
            None => Err(unmet.into()),
        }
    }

    fn push(&mut self, condition: Condition, unmet: ResponseCode) {
        self.conditions.push(condition);
        self.unmet.push(unmet);
    }
}

/// RFC 2136 section 3.4.1, and of what that allows the changes of TXT records alone. `None`: there is nothing to do.
fn change(place: &Place<'_>, entry: &Entry<'_>) -> Result<Option<Change>> {
    place.must_contain(&entry.name)?;
    let is_any = entry.rtype == RecordType::ANY;
    let is_formed = match entry.class {
        CLASS_IN => !is_any && !is_meta(entry.rtype),
        CLASS_ANY => entry.ttl == 0 && entry.rdata.is_empty() && !is_meta(entry.rtype),
        CLASS_NONE => entry.ttl == 0 && !is_any && !is_meta(entry.rtype),
        _ => false,
    };
    if !is_formed {
        return Err(ResponseCode::FormErr.into());
    }
    let owner = place.owner(&entry.name).ok_or(Refused::because(Ede::NOT_AN_OWN_NAME))?;
    if !matches!(entry.rtype, RecordType::TXT | RecordType::ANY) {
        return Err(Refused::because(Ede::ONLY_TXT));
    }
    let value = value_of(entry.rdata);
    match entry.class {
        CLASS_ANY => Ok(Some(Change::Clear(owner))),
        // What is no challenge's value cannot be there: it is gone already.
        CLASS_NONE => Ok(value.map(|value| Change::Retire(owner, value))),
        _ => Ok(Some(Change::Add(owner, value.ok_or(Refused::because(Ede::NO_TXT_VALUE))?))),
    }
}

/// Whether a type stands in no zone, and so in no UPDATE, but to mean all types.
fn is_meta(rtype: RecordType) -> bool {
    question::is_meta(rtype) || matches!(rtype, RecordType::AXFR | RecordType::IXFR)
}

/// The value of a TXT record that has a single character-string.
fn value_of(rdata: &[u8]) -> Option<TxtValue> {
    let (length, text) = rdata.split_first()?;
    let is_single = usize::from(*length) == text.len();
    std::str::from_utf8(text).ok().filter(|_| is_single)?.parse().ok()
}

/// The zone that an UPDATE is for.
enum Place<'z> {
    /// One that this server answers for.
    Zone(&'z Zone),
    /// An alias of the account as a zone of its own, for clients that look for one where there is only a CNAME; and
    /// the owner that it stands for.
    Virtual(&'z Name, &'z Owner),
}

impl<'z> Place<'z> {
    fn of(zone: &Name, account: &'z Account, zones: &'z [Zone]) -> Option<Self> {
        if let Some(found) = zones.iter().find(|found| found.name.apex() == zone) {
            return Some(Self::Zone(found));
        }
        let own = account.aliases.iter().find(|own| own.alias.name() == zone)?;
        Some(Self::Virtual(own.alias.name(), &own.owner))
    }

    fn must_contain(&self, name: &Name) -> Result<()> {
        let apex = match self {
            Self::Zone(zone) => zone.name.apex(),
            Self::Virtual(apex, _) => apex,
        };
        if name.is_in(apex) { Ok(()) } else { Err(ResponseCode::NotZone.into()) }
    }

    /// The owner at a name, if there can be one; whose it is the publisher knows.
    fn owner(&self, name: &Name) -> Option<Owner> {
        match self {
            Self::Zone(zone) => OwnerText::Name(name.clone()).in_zone(&zone.name),
            Self::Virtual(apex, owner) => (name == *apex).then(|| (*owner).clone()),
        }
    }

    /// What is at a name beside the values of accounts.
    fn fixed(&self, name: &Name) -> Fixed<'z> {
        match self {
            Self::Zone(zone) => match zone.locate(name.as_ref()) {
                Some(Node::Apex(sets, _)) => Fixed { has_soa: true, sets: [sets, zone.signing_sets()] },
                Some(Node::Static(sets)) => Fixed { has_soa: false, sets: [sets, &[]] },
                _ => Fixed { has_soa: false, sets: [&[], &[]] },
            },
            Self::Virtual(apex, _) => Fixed { has_soa: name == *apex, sets: [&[], &[]] },
        }
    }
}

/// The records at a name that no UPDATE changes.
struct Fixed<'z> {
    has_soa: bool,
    sets: [&'z [RecordSet]; 2],
}

impl Fixed<'_> {
    fn is_any(&self) -> bool {
        self.has_soa || self.sets.iter().any(|sets| !sets.is_empty())
    }

    fn has(&self, rtype: RecordType) -> bool {
        let is_soa = self.has_soa && rtype == RecordType::SOA;
        is_soa || self.sets.iter().copied().flatten().any(|set| set.rtype == rtype)
    }

    fn is_set(&self, expected: &Set<'_>) -> bool {
        let found = self.sets.iter().copied().flatten().find(|set| set.rtype == expected.rtype);
        found.is_some_and(|found| {
            let is_in = |rdata: &[u8]| found.rdatas.iter().any(|other| **other == *rdata);
            let is_expected = |rdata: &[u8]| expected.rdatas.contains(&rdata);
            expected.rdatas.iter().all(|rdata| is_in(rdata)) && found.rdatas.iter().all(|rdata| is_expected(rdata))
        })
    }
}

/// A record set that is expected.
struct Set<'p> {
    name: Name,
    rtype: RecordType,
    rdatas: Vec<&'p [u8]>,
}

/// A record of a prerequisite or an update.
struct Entry<'p> {
    name: Name,
    rtype: RecordType,
    class: u16,
    ttl: u32,
    rdata: &'p [u8],
}

/// The sections of an UPDATE (RFC 2136 section 2).
struct Sections<'p> {
    zone: Name,
    zone_type: u16,
    zone_class: u16,
    prerequisites: Vec<Entry<'p>>,
    updates: Vec<Entry<'p>>,
}

impl<'p> Sections<'p> {
    /// `None` where the message does not consist of just those, with one zone.
    fn read(message: &'p [u8]) -> Option<Self> {
        let mut walk = Walk::behind_header(message);
        let [zones, prerequisites, updates, additionals] = walk.counts()?;
        if zones != 1 {
            return None;
        }
        let (zone, zone_type, zone_class) = (walk.expanded_name()?, walk.u16()?, walk.u16()?);
        let mut entries = |count| (0..count).map(|_| Entry::read(&mut walk)).collect::<Option<Vec<_>>>();
        let (prerequisites, updates) = (entries(prerequisites)?, entries(updates)?);
        for _ in 0..additionals {
            walk.record()?;
        }
        let sections = Self { zone, zone_type, zone_class, prerequisites, updates };
        walk.is_at_end().then_some(sections)
    }
}

impl<'p> Entry<'p> {
    fn read(walk: &mut Walk<'p>) -> Option<Self> {
        let name = walk.clone().expanded_name()?;
        let record = walk.record()?;
        let (rtype, class, ttl, rdata) = (record.rtype.into(), record.class, record.ttl, record.rdata);
        Some(Self { name, rtype, class, ttl, rdata })
    }
}
