//! Proofs that a name or a record set does not exist: NSEC (RFC 4035 section 5.4) and NSEC3 (RFC 5155 section 8).
//!
//! A name that does not exist takes two proofs: that it is not there, and that no wildcard answers in its place. The wildcard
//! is that of the closest encloser, the longest existing name above (RFC 4592 section 3.3.1).
//!
//! NSEC3 records with more than 150 iterations count as if the zone were not signed, so that they prove whatever they are
//! asked. That is what validators make of them (RFC 9276 section 3.2), and a CA's resolver accepts the answer.

use std::collections::BTreeMap;

use data_encoding::BASE32HEX_NOPAD;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// More iterations of NSEC3 make a zone insecure for validators (RFC 9276 section 3.2): each costs a hash of every name on
/// the way.
const MAX_ITERATIONS: u16 = 150;

/// What an answer denies: that a name has records of a type.
#[derive(Clone, Copy, Debug)]
pub struct Denial<'a> {
    /// The zone that answers.
    pub zone: &'a Name,
    /// The name.
    pub name: &'a Name,
    /// The type.
    pub rtype: RecordType,
    /// Whether the answer denies the name itself (NXDOMAIN).
    pub is_name_error: bool,
}

impl Denial<'_> {
    /// Whether NSEC or NSEC3 records prove it. Says nothing of their signatures.
    pub fn is_proven_by(self, records: &[Record]) -> bool {
        let nsec: Vec<(&Name, &NSEC)> = records.iter().filter_map(|record| nsec_of(self.zone, record)).collect();
        self.is_proven_by_nsec(&nsec)
            || Nsec3Set::of(self.zone, records).is_some_and(|set| self.is_proven_by_nsec3(&set))
    }

    fn is_proven_by_nsec(self, records: &[(&Name, &NSEC)]) -> bool {
        let types_at = |name: &Name| records.iter().find(|(owner, _)| *owner == name).map(|(_, nsec)| *nsec);
        let covering = |name: &Name| records.iter().find(|(owner, nsec)| covers(self.zone, owner, nsec, name));
        if let Some(own) = types_at(self.name) {
            return self.is_absent_among(own.type_bit_maps());
        }
        let Some((owner, nsec)) = covering(self.name) else { return false };
        let next = nsec.next_domain_name();
        // An empty name between others exists, so that no wildcard answers in its place (RFC 4592 section 2.2.2).
        if self.name.zone_of(next) {
            return true;
        }
        let Some(wildcard) = wildcard_below(&closest_encloser(self.name, owner, next)) else { return false };
        match types_at(&wildcard) {
            Some(nsec) => self.is_absent_among(nsec.type_bit_maps()),
            None => covering(&wildcard).is_some(),
        }
    }

    fn is_proven_by_nsec3(self, set: &Nsec3Set<'_>) -> bool {
        if set.parameters.iterations() > MAX_ITERATIONS {
            return true;
        }
        if let Some(own) = set.matching(self.name) {
            return self.is_absent_among(own.type_bit_maps());
        }
        let Some((closest, next_closer)) = set.closest_encloser(self.zone, self.name) else { return false };
        let Some(gap) = set.covering(&next_closer) else { return false };
        let Some(wildcard) = wildcard_below(&closest) else { return false };
        if let Some(nsec3) = set.matching(&wildcard) {
            return self.is_absent_among(nsec3.type_bit_maps());
        }
        // Delegations without DS records, and the empty names above them, may have no record of their own where the gap is
        // opted out (RFC 5155 section 8.6).
        let may_be_insecure = gap.opt_out() && (self.rtype == RecordType::DS || !self.is_name_error);
        may_be_insecure || set.covering(&wildcard).is_some()
    }

    /// Whether the record set is absent by the types of its name.
    fn is_absent_among(self, types: impl Iterator<Item = RecordType>) -> bool {
        let types: Vec<RecordType> = types.collect();
        let has = |rtype| types.contains(&rtype);
        // At a delegation the parent knows of DS alone, and the child of everything else (RFC 6840 section 4.1).
        let is_parents = has(RecordType::NS) && !has(RecordType::SOA);
        let is_of_other_side = match self.rtype {
            RecordType::DS => has(RecordType::SOA) && !self.name.is_root(),
            _ => is_parents,
        };
        // A CNAME would answer for all types.
        !is_of_other_side && !has(self.rtype) && !has(RecordType::CNAME)
    }
}

/// Whether NSEC or NSEC3 records prove that only a wildcard can answer for a name: that the name does not exist, and that no
/// longer wildcard would match it (RFC 4035 section 5.3.4, RFC 5155 section 8.8). `labels`: those of the wildcard's
/// signature, which are the labels of the closest encloser. Says nothing of the records' signatures.
pub fn proves_expansion(zone: &Name, name: &Name, labels: u8, records: &[Record]) -> bool {
    let mut nsec = records.iter().filter_map(|record| nsec_of(zone, record));
    let is_proven = nsec.any(|(owner, nsec)| {
        let next = nsec.next_domain_name();
        // A name above another exists, so that no wildcard answers for it (RFC 4592 section 2.2.2).
        let is_empty_name = name.zone_of(next);
        covers(zone, owner, nsec, name) && !is_empty_name && closest_encloser(name, owner, next).num_labels() == labels
    });
    is_proven || Nsec3Set::of(zone, records).is_some_and(|set| set.proves_expansion(name, labels))
}

/// The records of a proof by their names, with their signatures.
pub fn proofs(records: &[Record]) -> BTreeMap<&Name, Vec<Record>> {
    let mut proofs = BTreeMap::<&Name, Vec<Record>>::new();
    for record in records.iter().filter(|record| is_proof(record)) {
        proofs.entry(&record.name).or_default();
    }
    for record in records {
        if let Some(set) = proofs.get_mut(&record.name) {
            set.push(record.clone());
        }
    }
    proofs
}

fn is_proof(record: &Record) -> bool {
    matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
}

/// The NSEC record that this is, if it is of the zone.
fn nsec_of<'r>(zone: &Name, record: &'r Record) -> Option<(&'r Name, &'r NSEC)> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) if zone.zone_of(&record.name) => Some((&record.name, nsec)),
        _ => None,
    }
}

/// Whether a name lies in the gap behind the owner of an NSEC record.
fn covers(zone: &Name, owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    // At a delegation, and at a DNAME, the record says nothing of the names below.
    if nsec.is_ancestor_delegation() && owner.zone_of(name) {
        return false;
    }
    let next = nsec.next_domain_name();
    owner < name && (name < next || next == zone)
}

/// The longest name above a name that exists by the two ends of the gap in which the name lies.
fn closest_encloser(name: &Name, owner: &Name, next: &Name) -> Name {
    let mut above = name.base_name();
    while !above.is_root() && !above.zone_of(owner) && !above.zone_of(next) {
        above = above.base_name();
    }
    above
}

/// The wildcard right below a name; `None` where it would be too long, so that there is none.
fn wildcard_below(name: &Name) -> Option<Name> {
    name.prepend_label("*").ok()
}

/// The NSEC3 records of an answer, which all have one set of parameters.
struct Nsec3Set<'a> {
    /// One of the records.
    parameters: &'a NSEC3,
    /// Each by its hash.
    records: Vec<(Vec<u8>, &'a NSEC3)>,
}

impl<'a> Nsec3Set<'a> {
    /// `None` if there are none, or if they have different parameters (RFC 5155 section 8.2).
    fn of(zone: &Name, records: &'a [Record]) -> Option<Self> {
        let all = records.iter().filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) if record.name.base_name() == *zone => {
                let label = record.name.iter().next()?.to_ascii_uppercase();
                Some((BASE32HEX_NOPAD.decode(&label).ok()?, nsec3))
            }
            _ => None,
        });
        let records: Vec<(Vec<u8>, &NSEC3)> = all.collect();
        let (_, parameters) = *records.first()?;
        let of_one = |nsec3: &NSEC3| {
            (nsec3.iterations(), nsec3.salt()) == (parameters.iterations(), parameters.salt())
                && nsec3.hash_algorithm() == parameters.hash_algorithm()
        };
        records.iter().all(|(_, nsec3)| of_one(nsec3)).then_some(Self { parameters, records })
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        let Self { parameters, .. } = self;
        let digest = parameters.hash_algorithm().hash(parameters.salt(), name, parameters.iterations());
        digest.ok().map(|digest| digest.as_ref().to_vec())
    }

    /// The record of a name that exists.
    fn matching(&self, name: &Name) -> Option<&'a NSEC3> {
        let hash = self.hash(name)?;
        self.records.iter().find(|(owner, _)| *owner == hash).map(|(_, nsec3)| *nsec3)
    }

    /// The record of the gap in which a name lies that does not exist.
    fn covering(&self, name: &Name) -> Option<&'a NSEC3> {
        let hash = self.hash(name)?;
        let covers = |(owner, nsec3): &&(Vec<u8>, &'a NSEC3)| {
            let next = nsec3.next_hashed_owner_name();
            let is_behind = *owner < hash;
            let is_before = hash.as_slice() < next;
            // The last gap goes on from the lowest hash.
            if owner.as_slice() < next { is_behind && is_before } else { is_behind || is_before }
        };
        self.records.iter().find(covers).map(|(_, nsec3)| *nsec3)
    }

    /// Whether the name one label longer than the closest encloser, which has so many labels, does not exist.
    fn proves_expansion(&self, name: &Name, labels: u8) -> bool {
        if self.parameters.iterations() > MAX_ITERATIONS {
            return true;
        }
        let next_closer = name.trim_to(usize::from(labels) + 1);
        self.covering(&next_closer).is_some()
    }

    /// The closest encloser of a name, and the name one label longer on the way (RFC 5155 section 8.3). `None` if no record
    /// proves one, and below a delegation or a DNAME, where this zone has no say.
    fn closest_encloser(&self, zone: &Name, name: &Name) -> Option<(Name, Name)> {
        let mut next_closer = name.clone();
        while next_closer != *zone && !next_closer.is_root() {
            let above = next_closer.base_name();
            if let Some(nsec3) = self.matching(&above) {
                let types: Vec<RecordType> = nsec3.type_bit_maps().collect();
                let has = |rtype| types.contains(&rtype);
                let is_end = has(RecordType::DNAME) || has(RecordType::NS) && !has(RecordType::SOA);
                return (!is_end).then_some((above, next_closer));
            }
            next_closer = above;
        }
        None
    }
}

#[cfg(test)]
mod tests;
