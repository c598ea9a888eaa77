//! Proofs that a name or a record set does not exist: NSEC (RFC 4035 section 5.4) and NSEC3 (RFC 5155 section 8).
//!
//! Looks for the record that is about the name itself, or for the gap that the name lies in. Whether a wildcard could have
//! answered in its place is not checked.

use std::collections::BTreeMap;

use data_encoding::BASE32HEX_NOPAD;
use hickory_proto::dnssec::Nsec3HashAlgorithm;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Validators take a zone with more iterations of NSEC3 for one without signatures (RFC 9276 section 3.2); each costs a
/// hash of every name on the way.
const MAX_ITERATIONS: u16 = 150;

/// Whether NSEC or NSEC3 records in an answer of `zone` prove that `name` has no records of a type. Says nothing of
/// their signatures.
pub fn is_proven(zone: &Name, name: &Name, rtype: RecordType, records: &[Record]) -> bool {
    let by_nsec = records.iter().filter_map(nsec_of).any(|(owner, nsec)| denies(zone, owner, nsec, name, rtype));
    by_nsec || Nsec3Set::of(records).is_some_and(|set| set.denies(zone, name, rtype))
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

fn nsec_of(record: &Record) -> Option<(&Name, &NSEC)> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
        _ => None,
    }
}

/// Whether a record set is absent by the types of its name. A CNAME would answer for all of them.
fn is_absent(mut types: impl Iterator<Item = RecordType>, rtype: RecordType) -> bool {
    !types.any(|there| there == rtype || there == RecordType::CNAME)
}

fn denies(zone: &Name, owner: &Name, nsec: &NSEC, name: &Name, rtype: RecordType) -> bool {
    if owner == name {
        return is_absent(nsec.type_bit_maps(), rtype);
    }
    // At a delegation the parent's record says nothing of the names below.
    if nsec.is_ancestor_delegation() && owner.zone_of(name) {
        return false;
    }
    let next = nsec.next_domain_name();
    owner < name && (name < next || next == zone)
}

/// The NSEC3 records of an answer, which all have one set of parameters.
struct Nsec3Set<'a> {
    records: Vec<(Vec<u8>, &'a NSEC3)>,
}

impl<'a> Nsec3Set<'a> {
    fn of(records: &'a [Record]) -> Option<Self> {
        let all = records.iter().filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => {
                let label = record.name.iter().next()?.to_ascii_uppercase();
                Some((BASE32HEX_NOPAD.decode(&label).ok()?, nsec3))
            }
            _ => None,
        });
        let records: Vec<_> = all.collect();
        (!records.is_empty()).then_some(Self { records })
    }

    fn denies(&self, zone: &Name, name: &Name, rtype: RecordType) -> bool {
        let Some((_, first)) = self.records.first() else { return false };
        if first.iterations() > MAX_ITERATIONS {
            return true;
        }
        let hash = |name: &Name| {
            let digest = Nsec3HashAlgorithm::SHA1.hash(first.salt(), name, first.iterations());
            digest.map(|digest| digest.as_ref().to_vec()).unwrap_or_default()
        };
        let matching = |hash: &[u8]| self.records.iter().find(|(owner, _)| owner == hash).map(|(_, nsec3)| *nsec3);
        if let Some(own) = matching(&hash(name)) {
            return is_absent(own.type_bit_maps(), rtype);
        }
        // The closest encloser exists, and the name below it on the way does not (RFC 5155 section 8.3).
        let mut next_closer = name.clone();
        while next_closer != *zone && !next_closer.is_root() {
            let above = next_closer.base_name();
            if matching(&hash(&above)).is_some() {
                return self.covers(&hash(&next_closer));
            }
            next_closer = above;
        }
        false
    }

    fn covers(&self, hash: &[u8]) -> bool {
        self.records.iter().any(|(owner, nsec3)| {
            let (owner, next) = (owner.as_slice(), nsec3.next_hashed_owner_name());
            if owner < next { owner < hash && hash < next } else { owner < hash || hash < next }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn nsec(owner: &str, next: &str, types: &[RecordType]) -> Record {
        let data = NSEC::new(name(next), types.iter().copied());
        Record::from_rdata(name(owner), 60, RData::DNSSEC(DNSSECRData::NSEC(data)))
    }

    /// As in the zone of RFC 5155, appendix A.
    fn nsec3(owner: &str, next: &str, types: &[RecordType]) -> Record {
        let next = BASE32HEX_NOPAD.decode(next.to_ascii_uppercase().as_bytes()).unwrap();
        let salt = vec![0xaa, 0xbb, 0xcc, 0xdd];
        let data = NSEC3::new(Nsec3HashAlgorithm::SHA1, true, 12, salt, next, types.iter().copied());
        Record::from_rdata(name(&format!("{owner}.example.")), 60, RData::DNSSEC(DNSSECRData::NSEC3(data)))
    }

    #[test]
    fn nsec_records_deny_types_at_their_name_and_names_behind_it() {
        use RecordType::{A, CAA, CNAME, NS, SOA, TXT};
        let proven = |asked: &str, records: &[Record]| is_proven(&name("a.test."), &name(asked), TXT, records);
        assert!(proven("a.test.", &[nsec("a.test.", "w.a.test.", &[SOA, NS])]));
        assert!(!proven("a.test.", &[nsec("a.test.", "w.a.test.", &[SOA, NS, TXT])]));
        assert!(!proven("a.test.", &[nsec("a.test.", "w.a.test.", &[CNAME])]));
        assert!(proven("c.a.test.", &[nsec("a.test.", "w.a.test.", &[SOA])]));
        assert!(!proven("x.a.test.", &[nsec("a.test.", "w.a.test.", &[SOA])]));
        assert!(proven("x.a.test.", &[nsec("w.a.test.", "a.test.", &[A])]), "the last name of the zone");
        assert!(!proven("x.a.test.", &[]));
        assert!(!proven("x.w.a.test.", &[nsec("w.a.test.", "a.test.", &[NS])]), "a delegation");
        // An empty name between others (RFC 8020), and a denial that is made for the question (RFC 9824).
        assert!(proven("m.a.test.", &[nsec("a.test.", "x.m.a.test.", &[SOA])]));
        assert!(proven("x.a.test.", &[nsec("x.a.test.", "0.x.a.test.", &[CAA])]));
    }

    /// Appendix B.1: a name error.
    #[test]
    fn nsec3_records_deny_the_name_below_the_closest_that_exists() {
        let zone = name("example.");
        let covering = nsec3("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr", &[]);
        let closest = nsec3("b4um86eghhds6nea196smvmlo4ors995", "gjeqe526plbf1g8mklp59enfd789njgi", &[RecordType::MX]);
        let (asked, mail) = (name("a.c.x.w.example."), name("x.w.example."));
        let both = [covering.clone(), closest.clone()];
        assert!(is_proven(&zone, &asked, RecordType::A, &both));
        assert!(!is_proven(&zone, &asked, RecordType::A, &[covering]));
        assert!(!is_proven(&zone, &asked, RecordType::A, std::slice::from_ref(&closest)));
        assert!(is_proven(&zone, &mail, RecordType::A, std::slice::from_ref(&closest)));
        assert!(!is_proven(&zone, &mail, RecordType::MX, &[closest]));
    }
}
