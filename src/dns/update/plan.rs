//! From the sections of an UPDATE to what the publisher is asked for.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::account::Account;
use crate::model::name::{Name, Owner};
use crate::model::txt::TxtValue;
use crate::publisher::{Condition, Expected, ValueEdit, ValuePlan};
use crate::zone::Zone;

use super::super::question;
use super::refusal::UpdateRefusal;
use super::sections::{CLASS_ANY, CLASS_IN, CLASS_NONE, MAX_RECORDS, Sections, UpdateRecord};
use super::zone::UpdateZone;

type Result<T> = std::result::Result<T, UpdateRefusal>;

/// What an UPDATE requires and changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UpdatePlan {
    /// What the publisher is asked for.
    pub plan: ValuePlan,
    /// For each condition, the response code where it does not hold.
    pub unmet: Vec<ResponseCode>,
}

/// A record set that an UPDATE expects as a whole.
struct ExpectedSet<'p> {
    name: Name,
    rtype: RecordType,
    rdatas: Vec<&'p [u8]>,
}

impl UpdatePlan {
    /// Reads an UPDATE of an account. Reports what is wrong in the order of RFC 2136 section 3: the zone, the
    /// prerequisites, the form of the updates, and last the permissions.
    pub fn read(message: &[u8], account: &Account, zones: &[Zone]) -> Result<Self> {
        let sections = Sections::read(message).ok_or(UpdateRefusal::Malformed)?;
        if sections.zone_type != u16::from(RecordType::SOA) {
            return Err(UpdateRefusal::NotSoa);
        }
        let zone = UpdateZone::of(&sections.zone, account, zones).filter(|_| sections.zone_class == CLASS_IN);
        let zone = zone.ok_or(UpdateRefusal::NoZone)?;
        if sections.prerequisites.len() + sections.updates.len() > MAX_RECORDS {
            return Err(UpdateRefusal::TooManyRecords);
        }
        let mut plan = Self::default();
        plan.read_prerequisites(&zone, &sections.prerequisites)?;
        plan.read_updates(&zone, &sections.updates)?;
        Ok(plan)
    }

    fn read_prerequisites(&mut self, zone: &UpdateZone<'_>, records: &[UpdateRecord<'_>]) -> Result<()> {
        let mut sets = Vec::new();
        for record in records {
            self.require(zone, record, &mut sets)?;
        }
        sets.iter().try_for_each(|set| self.require_set(zone, set))
    }

    fn read_updates(&mut self, zone: &UpdateZone<'_>, records: &[UpdateRecord<'_>]) -> Result<()> {
        let mut forbidden = None;
        for record in records {
            match edit_of(zone, record) {
                Ok(edit) => self.plan.edits.extend(edit),
                // A malformed update further on comes first.
                Err(refusal) if refusal.rcode() == ResponseCode::Refused => forbidden = forbidden.or(Some(refusal)),
                Err(refusal) => return Err(refusal),
            }
        }
        forbidden.map_or(Ok(()), Err)
    }

    /// RFC 2136 section 3.2.
    fn require<'p>(
        &mut self,
        zone: &UpdateZone<'_>,
        record: &UpdateRecord<'p>,
        sets: &mut Vec<ExpectedSet<'p>>,
    ) -> Result<()> {
        zone.must_contain(&record.name)?;
        if record.ttl != 0 || (record.class != CLASS_IN && !record.rdata.is_empty()) {
            return Err(UpdateRefusal::PrerequisiteForm);
        }
        let name = &record.name;
        let rtype = record.rtype;
        match (record.class, rtype) {
            (CLASS_ANY, RecordType::ANY) => self.require_used(zone, name, true),
            (CLASS_NONE, RecordType::ANY) => self.require_used(zone, name, false),
            (CLASS_ANY, _) => self.require_type(zone, name, rtype, true),
            (CLASS_NONE, _) => self.require_type(zone, name, rtype, false),
            (CLASS_IN, _) if rtype == RecordType::ANY || is_meta(rtype) => Err(UpdateRefusal::PrerequisiteForm),
            (CLASS_IN, _) => {
                match sets.iter_mut().find(|set| set.name == record.name && set.rtype == rtype) {
                    Some(set) => set.rdatas.push(record.rdata),
                    None => sets.push(ExpectedSet { name: name.clone(), rtype, rdatas: vec![record.rdata] }),
                }
                Ok(())
            }
            _ => Err(UpdateRefusal::PrerequisiteForm),
        }
    }

    /// Whether a name holds any record at all (RFC 2136 sections 2.4.4 and 2.4.5).
    fn require_used(&mut self, zone: &UpdateZone<'_>, name: &Name, expected: bool) -> Result<()> {
        let unmet = if expected { ResponseCode::NXDomain } else { ResponseCode::YXDomain };
        match zone.owner(name) {
            Some(owner) if !zone.fixed(name).is_any() => self.require_values(owner, expected, unmet),
            _ if zone.fixed(name).is_any() == expected => Ok(()),
            _ => Err(UpdateRefusal::Unmet(unmet)),
        }
    }

    /// Whether a name holds records of a type (RFC 2136 sections 2.4.1 and 2.4.3).
    fn require_type(&mut self, zone: &UpdateZone<'_>, name: &Name, rtype: RecordType, expected: bool) -> Result<()> {
        let unmet = if expected { ResponseCode::NXRRSet } else { ResponseCode::YXRRSet };
        match zone.owner(name).filter(|_| rtype == RecordType::TXT) {
            Some(owner) => self.require_values(owner, expected, unmet),
            None if zone.fixed(name).has(rtype) == expected => Ok(()),
            None => Err(UpdateRefusal::Unmet(unmet)),
        }
    }

    fn require_values(&mut self, owner: Owner, expected: bool, unmet: ResponseCode) -> Result<()> {
        let values = if expected { Expected::Some } else { Expected::None };
        self.push(Condition { owner, values }, unmet);
        Ok(())
    }

    /// Whether a record set is just this one (RFC 2136 section 2.4.2).
    fn require_set(&mut self, zone: &UpdateZone<'_>, set: &ExpectedSet<'_>) -> Result<()> {
        let unmet = ResponseCode::NXRRSet;
        match zone.owner(&set.name).filter(|_| set.rtype == RecordType::TXT) {
            Some(owner) => {
                // What is not a challenge's value is never served there.
                let values: Option<Vec<TxtValue>> = set.rdatas.iter().map(|rdata| value_of(rdata)).collect();
                self.push(
                    Condition { owner, values: Expected::Exactly(values.ok_or(UpdateRefusal::Unmet(unmet))?) },
                    unmet,
                );
                Ok(())
            }
            None if zone.fixed(&set.name).is_set(set.rtype, &set.rdatas) => Ok(()),
            None => Err(UpdateRefusal::Unmet(unmet)),
        }
    }

    /// Adds a condition, unless it is there already: the store would look up the same values again.
    fn push(&mut self, condition: Condition, unmet: ResponseCode) {
        if !self.plan.conditions.contains(&condition) {
            self.plan.conditions.push(condition);
            self.unmet.push(unmet);
        }
    }
}

/// RFC 2136 section 3.4.1, and of what that allows the changes of TXT records alone. `None`: there is nothing to do.
fn edit_of(zone: &UpdateZone<'_>, record: &UpdateRecord<'_>) -> Result<Option<ValueEdit>> {
    zone.must_contain(&record.name)?;
    let is_any = record.rtype == RecordType::ANY;
    let is_formed = match record.class {
        CLASS_IN => !is_any && !is_meta(record.rtype),
        CLASS_ANY => record.ttl == 0 && record.rdata.is_empty() && !is_meta(record.rtype),
        CLASS_NONE => record.ttl == 0 && !is_any && !is_meta(record.rtype),
        _ => false,
    };
    if !is_formed {
        return Err(UpdateRefusal::UpdateForm);
    }
    let owner = zone.owner(&record.name).ok_or(UpdateRefusal::NotOwner)?;
    if !matches!(record.rtype, RecordType::TXT | RecordType::ANY) {
        return Err(UpdateRefusal::NotTxt);
    }
    let value = value_of(record.rdata);
    match record.class {
        CLASS_ANY => Ok(Some(ValueEdit::Clear(owner))),
        // What is not a challenge's value cannot be there: it is gone already.
        CLASS_NONE => Ok(value.map(|value| ValueEdit::Retire(owner, value))),
        _ => Ok(Some(ValueEdit::Publish(owner, value.ok_or(UpdateRefusal::NotAValue)?))),
    }
}

/// Whether a type stands in no zone, and so in no UPDATE, but to mean all types (RFC 2136 sections 3.2.4 and 3.4.1.2).
fn is_meta(rtype: RecordType) -> bool {
    const MAILB: u16 = 253;
    const MAILA: u16 = 254;
    question::is_meta(rtype)
        || matches!(rtype, RecordType::AXFR | RecordType::IXFR)
        || matches!(u16::from(rtype), MAILB | MAILA)
}

/// The value of a TXT record that has a single character-string.
fn value_of(rdata: &[u8]) -> Option<TxtValue> {
    let (length, text) = rdata.split_first()?;
    let is_single = usize::from(*length) == text.len();
    std::str::from_utf8(text).ok().filter(|_| is_single)?.parse().ok()
}
