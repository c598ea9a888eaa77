use hickory_proto::dnssec::Nsec3HashAlgorithm;

use super::*;

use RecordType::{A, CAA, CNAME, DNAME, DS, MX, NS, SOA, TXT};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn nsec(owner: &str, next: &str, types: &[RecordType]) -> Record {
    let data = NSEC::new(name(next), types.iter().copied());
    Record::from_rdata(name(owner), 60, RData::DNSSEC(DNSSECRData::NSEC(data)))
}

/// Whether the records prove that a name of `a.test` has no records of a type.
fn proven_of(asked: &str, rtype: RecordType, records: &[Record]) -> bool {
    let (zone, name) = (name("a.test."), name(asked));
    Denial { zone: &zone, name: &name, rtype, is_name_error: true }.is_proven_by(records)
}

fn proven(asked: &str, records: &[Record]) -> bool {
    proven_of(asked, TXT, records)
}

#[test]
fn nsec_records_deny_types_at_their_name() {
    assert!(proven("a.test.", &[nsec("a.test.", "w.a.test.", &[SOA, NS])]));
    assert!(!proven("a.test.", &[nsec("a.test.", "w.a.test.", &[SOA, NS, TXT])]));
    assert!(!proven("a.test.", &[nsec("a.test.", "w.a.test.", &[CNAME])]));
    assert!(!proven("x.a.test.", &[]));
    // A denial that is made for the question (RFC 9824).
    assert!(proven("x.a.test.", &[nsec("x.a.test.", "0.x.a.test.", &[CAA])]));
}

#[test]
fn each_side_of_a_delegation_denies_its_own_types_alone() {
    let parents = [nsec("sub.a.test.", "w.a.test.", &[NS])];
    assert!(proven_of("sub.a.test.", DS, &parents));
    assert!(!proven_of("sub.a.test.", TXT, &parents));
    let childs = [nsec("a.test.", "w.a.test.", &[SOA, NS])];
    assert!(!proven_of("a.test.", DS, &childs));
}

#[test]
fn a_name_error_by_nsec_takes_the_denial_of_the_wildcard_as_well() {
    let gap = nsec("m.a.test.", "w.a.test.", &[A]);
    let wildcard_gap = nsec("a.test.", "m.a.test.", &[SOA]);
    assert!(proven("x.a.test.", &[nsec("w.a.test.", "a.test.", &[A]), wildcard_gap.clone()]), "the last name");
    assert!(proven("p.a.test.", &[gap.clone(), wildcard_gap.clone()]));
    assert!(!proven("p.a.test.", std::slice::from_ref(&gap)), "half of a proof");
    assert!(!proven("p.a.test.", std::slice::from_ref(&wildcard_gap)), "the other half");
    // The wildcard exists, and has no TXT, or has.
    let wildcard = |types: &[RecordType]| [gap.clone(), nsec("*.a.test.", "m.a.test.", types)];
    assert!(proven("p.a.test.", &wildcard(&[A])));
    assert!(!proven("p.a.test.", &wildcard(&[TXT])));
    assert!(!proven("p.a.test.", &wildcard(&[CNAME])));
    // One record can be the gap of both names.
    assert!(proven("c.a.test.", &[nsec("a.test.", "w.a.test.", &[SOA])]));
}

#[test]
fn the_wildcard_of_a_name_error_is_that_of_the_closest_encloser() {
    // `deep.a.test` exists, since a name below it does.
    let gap = nsec("b.deep.a.test.", "m.a.test.", &[A]);
    let apex_gap = nsec("a.test.", "b.deep.a.test.", &[SOA]);
    assert!(proven("x.deep.a.test.", &[gap.clone(), apex_gap]), "`*.deep` is between the apex and `b.deep`");
    assert!(!proven("x.deep.a.test.", &[gap, nsec("a.test.", "a.a.test.", &[SOA])]), "only `*.a.test` is denied");
}

#[test]
fn empty_names_exist_and_have_no_wildcard() {
    assert!(proven("m.a.test.", &[nsec("a.test.", "x.m.a.test.", &[SOA])]));
    assert!(proven("m.a.test.", &[nsec("k.a.test.", "x.m.a.test.", &[A])]), "RFC 8020");
}

#[test]
fn nsec_records_of_other_zones_and_of_delegations_prove_nothing() {
    let apex_gap = nsec("a.test.", "b.a.test.", &[SOA]);
    assert!(!proven("x.w.a.test.", &[nsec("w.a.test.", "a.test.", &[NS]), apex_gap.clone()]), "a delegation");
    assert!(!proven("x.w.a.test.", &[nsec("w.a.test.", "a.test.", &[DNAME]), apex_gap]), "a DNAME");
    assert!(!proven("c.a.test.", &[nsec("test.", "z.test.", &[SOA])]), "the parent");
}

const SALT: [u8; 4] = [0xaa, 0xbb, 0xcc, 0xdd];

/// As in the zone of RFC 5155, appendix A.
fn nsec3(owner: &str, next: &str, types: &[RecordType]) -> Record {
    let next = BASE32HEX_NOPAD.decode(next.to_ascii_uppercase().as_bytes()).unwrap();
    record(owner, next, Parameters { opt_out: true, ..PLAIN }, types)
}

#[derive(Clone, Copy)]
struct Parameters {
    opt_out: bool,
    iterations: u16,
}

const PLAIN: Parameters = Parameters { opt_out: false, iterations: 12 };

fn record(owner: &str, next: Vec<u8>, parameters: Parameters, types: &[RecordType]) -> Record {
    let Parameters { opt_out, iterations } = parameters;
    let types = types.iter().copied();
    let data = NSEC3::new(Nsec3HashAlgorithm::SHA1, opt_out, iterations, SALT.to_vec(), next, types);
    Record::from_rdata(name(&format!("{owner}.example.")), 60, RData::DNSSEC(DNSSECRData::NSEC3(data)))
}

/// The hash of a name, moved by so much.
fn hash(of: &str, by: i8) -> Vec<u8> {
    let digest = Nsec3HashAlgorithm::SHA1.hash(&SALT, &name(of), PLAIN.iterations).unwrap();
    let mut hash = digest.as_ref().to_vec();
    *hash.last_mut().unwrap() = hash.last().unwrap().wrapping_add_signed(by);
    hash
}

/// The record of a name that exists.
fn at(name: &str, types: &[RecordType]) -> Record {
    record(&BASE32HEX_NOPAD.encode(&hash(name, 0)), hash(name, 1), PLAIN, types)
}

/// A record of the gap in which a name lies.
fn around(name: &str, parameters: Parameters) -> Record {
    record(&BASE32HEX_NOPAD.encode(&hash(name, -1)), hash(name, 1), parameters, &[A])
}

fn gap(name: &str) -> Record {
    around(name, PLAIN)
}

/// Whether the records prove that a name of `example` has no records of a type.
fn proven3(asked: &str, rtype: RecordType, is_name_error: bool, records: &[Record]) -> bool {
    let (zone, name) = (name("example."), name(asked));
    Denial { zone: &zone, name: &name, rtype, is_name_error }.is_proven_by(records)
}

/// Whether each of the records is needed to prove that a name has no TXT records, and all of them do.
#[track_caller]
fn assert_all_needed(asked: &str, records: &[Record]) {
    assert!(proven3(asked, TXT, true, records), "all of them");
    for without in 0..records.len() {
        let mut partial = records.to_vec();
        partial.remove(without);
        assert!(!proven3(asked, TXT, true, &partial), "without the record {without}");
    }
}

/// RFC 5155 appendix B.1.
#[test]
fn the_name_error_of_rfc_5155_is_proven_by_three_records_and_by_no_two_of_them() {
    let next_closer = nsec3("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr", &[MX, NS, SOA]);
    let closest = nsec3("b4um86eghhds6nea196smvmlo4ors995", "gjeqe526plbf1g8mklp59enfd789njgi", &[MX]);
    let wildcard = nsec3("35mthgpgcu1qg68fab165klnsnk3dpvl", "b4um86eghhds6nea196smvmlo4ors995", &[NS, DS]);
    assert_all_needed("a.c.x.w.example.", &[next_closer, closest.clone(), wildcard]);
    assert!(proven3("x.w.example.", A, false, std::slice::from_ref(&closest)), "appendix B.2: no data");
    assert!(!proven3("x.w.example.", MX, false, &[closest]));
}

#[test]
fn a_name_error_by_nsec3_takes_the_closest_encloser_the_next_closer_name_and_the_wildcard() {
    assert_all_needed(
        "x.y.shop.example.",
        &[at("shop.example.", &[A]), gap("y.shop.example."), gap("*.shop.example.")],
    );
    let of_apex = [at("example.", &[SOA, NS]), gap("shop.example."), gap("*.example.")];
    assert_all_needed("y.shop.example.", &of_apex);
    // The apex exists as well as `shop`, so it is not the closest encloser, and its wildcard is not the one.
    let other_wildcard = [at("shop.example.", &[A]), gap("y.shop.example."), gap("*.example."), at("example.", &[SOA])];
    assert!(!proven3("y.shop.example.", TXT, true, &other_wildcard));
    let covered_name = [at("shop.example.", &[A]), gap("x.y.shop.example."), gap("*.shop.example.")];
    assert!(!proven3("x.y.shop.example.", TXT, true, &covered_name), "the name's own gap is not the next closer's");
}

#[test]
fn a_wildcard_without_the_type_denies_it_by_nsec3() {
    let proof = |types: &[RecordType]| [at("example.", &[SOA]), gap("x.example."), at("*.example.", types)];
    assert_all_needed("x.example.", &proof(&[A]));
    assert!(!proven3("x.example.", TXT, false, &proof(&[TXT])));
    assert!(!proven3("x.example.", TXT, false, &proof(&[CNAME])));
}

#[test]
fn a_closest_encloser_at_a_delegation_or_a_dname_proves_nothing() {
    for types in [&[NS][..], &[DNAME]] {
        let proof = [at("sub.example.", types), gap("x.sub.example."), gap("*.sub.example.")];
        assert!(!proven3("x.sub.example.", TXT, true, &proof), "{types:?}");
    }
    assert!(proven3("sub.example.", DS, false, &[at("sub.example.", &[NS])]), "an insecure delegation");
}

/// RFC 5155 section 8.6, and its erratum 3441 on empty names above insecure delegations.
#[test]
fn an_opted_out_gap_is_enough_for_ds_and_for_no_data_and_not_for_a_name_error() {
    let out = Parameters { opt_out: true, ..PLAIN };
    let opted_out = [at("example.", &[SOA]), around("sub.example.", out)];
    assert!(proven3("sub.example.", DS, false, &opted_out));
    assert!(proven3("sub.example.", TXT, false, &opted_out));
    assert!(!proven3("sub.example.", TXT, true, &opted_out));
    let not_out = [at("example.", &[SOA]), gap("sub.example.")];
    assert!(!proven3("sub.example.", DS, false, &not_out));
}

#[test]
fn nsec3_records_of_other_zones_or_with_other_parameters_prove_nothing() {
    let mut elsewhere = at("shop.example.", &[A]);
    assert!(proven3("shop.example.", TXT, false, std::slice::from_ref(&elsewhere)));
    let mixed = [elsewhere.clone(), around("other.example.", Parameters { iterations: 1, ..PLAIN })];
    assert!(!proven3("shop.example.", TXT, false, &mixed));
    elsewhere.name = name(&elsewhere.name.to_ascii().replace("example.", "sub.example."));
    assert!(!proven3("shop.example.", TXT, false, &[elsewhere]));
}

/// RFC 9276 section 3.2.
#[test]
fn too_many_iterations_make_a_zone_insecure_for_validators() {
    let many = |iterations| [around("other.example.", Parameters { iterations, ..PLAIN })];
    assert!(proven3("shop.example.", TXT, true, &many(MAX_ITERATIONS + 1)));
    assert!(!proven3("shop.example.", TXT, true, &many(MAX_ITERATIONS)));
}

fn expanded(asked: &str, labels: u8, records: &[Record]) -> bool {
    proves_expansion(&name("a.test."), &name(asked), labels, records)
}

/// RFC 4035 section 5.3.4 and its appendix B.6.
#[test]
fn the_answer_of_a_wildcard_takes_the_nsec_record_of_the_gap_around_the_name() {
    let gap = nsec("m.a.test.", "w.a.test.", &[A]);
    assert!(expanded("p.a.test.", 2, std::slice::from_ref(&gap)));
    assert!(expanded("x.p.a.test.", 2, std::slice::from_ref(&gap)), "several labels in place of one");
    assert!(!expanded("p.a.test.", 2, &[]));
    assert!(!expanded("x.a.test.", 2, std::slice::from_ref(&gap)), "another gap");
    assert!(!expanded("p.a.test.", 2, &[nsec("p.a.test.", "w.a.test.", &[A])]), "the name exists");
    assert!(!expanded("p.a.test.", 2, &[nsec("m.a.test.", "x.p.a.test.", &[A])]), "the name exists, and is empty");
    assert!(!expanded("x.m.a.test.", 2, &[gap]), "a wildcard below `m` would be the closer one");
}

/// RFC 5155 section 8.8.
#[test]
fn the_answer_of_a_wildcard_takes_the_nsec3_record_of_the_next_closer_name() {
    let expanded =
        |asked: &str, labels, records: &[Record]| proves_expansion(&name("example."), &name(asked), labels, records);
    assert!(expanded("x.example.", 1, &[gap("x.example.")]));
    assert!(expanded("y.x.example.", 1, &[gap("x.example.")]));
    assert!(!expanded("y.x.example.", 1, &[gap("y.x.example.")]), "`x` may have a wildcard of its own");
    assert!(!expanded("x.example.", 1, &[at("x.example.", &[A])]), "the name exists");
    assert!(!expanded("x.example.", 1, &[]));
}
