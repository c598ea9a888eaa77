//! What a signed zone answers, message by message.

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::*;
use crate::dns::answer::answer;
use crate::dns::dnssec::sign_answer;
use crate::dns::encode::{Extras, encode};
use crate::dns::question::Request;
use crate::model::name::MAX_NAME;
use crate::model::time::RunningTime;
use crate::model::wire::Walk;
use crate::zone::signing::Carrier;
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::Phase;
use crate::zone::signing::{Keys, Signing};

const DO: u16 = 0x8000;
const CO: u16 = 0x4000;
const SOA: u16 = 6;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;

fn responder() -> Responder {
    responder_of(Zones::new(vec![signed_by(Phase::Offered, vec![key(Algorithm::EcdsaP256)])]))
}

fn ask_with(responder: &Responder, label: &str, rtype: u16, flags: u16, transport: Transport) -> Option<Vec<u8>> {
    let name = if label.is_empty() { APEX.to_owned() } else { format!("{label}.{APEX}") };
    let mut out = Vec::new();
    let packet = with_opt(query(&name, rtype), 1_232, 0, flags, &[]);
    responder.respond(&packet, source(transport), &mut out).replied().map(|_| out)
}

fn ask(label: &str, rtype: u16, flags: u16) -> Message {
    Message::from_vec(&ask_with(&responder(), label, rtype, flags, Transport::Udp).unwrap()).unwrap()
}

fn types(records: &[Record]) -> Vec<u16> {
    records.iter().map(|record| record.record_type().into()).collect()
}

/// Type and RDATA of each record, as bytes.
fn records_in(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut walk = Walk::behind_header(bytes);
    walk.name().unwrap();
    walk.take(4).unwrap();
    std::iter::from_fn(move || walk.record()).map(|record| (record.rtype, record.rdata))
}

/// The RDATA of the NSEC, as bytes.
fn nsec_in(bytes: &[u8]) -> Vec<u8> {
    records_in(bytes).find(|(rtype, _)| *rtype == NSEC).map(|(_, rdata)| rdata.to_vec()).unwrap()
}

/// Whether the SOA's signature is one of this very SOA (RFC 4034 section 3.1.8.1).
fn is_soa_signed_by(bytes: &[u8], key: &ZoneKey) -> bool {
    let apex = name(APEX);
    let (_, soa) = records_in(bytes).find(|(rtype, _)| *rtype == SOA).unwrap();
    let covers_soa = |(rtype, rdata): &(u16, &[u8])| *rtype == RRSIG && rdata.starts_with(&SOA.to_be_bytes());
    let (_, rrsig) = records_in(bytes).find(covers_soa).unwrap();
    let (head, signature) = rrsig.split_at(18 + apex.as_wire().len());
    let ttl = &head[4..8];
    let length = (soa.len() as u16).to_be_bytes();
    let signed = [head, apex.as_wire(), &[0, 6, 0, 1], ttl, &length, soa].concat();
    let public = [&[4][..], &key.dnskey()[4..]].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(&signed, signature).is_ok()
}

fn bits(label: &str, rtype: u16) -> Vec<u8> {
    let rdata = nsec_in(&ask_with(&responder(), label, rtype, DO, Transport::Udp).unwrap());
    let next = [&b"\x01\0"[..], name(&format!("{label}.{APEX}")).as_wire()].concat();
    rdata.strip_prefix(&next[..]).expect("the name right behind").to_vec()
}

#[test]
fn without_do_a_signed_zone_answers_like_any_other() {
    let missing = ask("nothing", 16, 0);
    assert_eq!((rcode(&missing), types(&missing.authorities)), (ResponseCode::NXDomain, vec![6]));
    assert_eq!(types(&ask("shop", 16, 0).answers), [16, 16]);
    assert_eq!(types(&ask("", 48, 0).answers), [48]);
    assert_eq!(rcode(&ask("nothing", 128, DO)), ResponseCode::FormErr);
}

#[test]
fn each_set_has_its_signature_beside_it() {
    assert_eq!(types(&ask("shop", 16, DO).answers), [16, 16, 46]);
    assert_eq!(types(&ask("alias2", 1, DO).answers), [5, 46, 5, 46, 1, 46]);
    assert_eq!(types(&ask("", 6, DO).answers), [6, 46]);
    assert_eq!(types(&ask("", 255, DO).answers), [6, 46]);
    let negative = ask("shop", 1, DO);
    assert_eq!((types(&negative.answers), types(&negative.authorities)), (vec![], vec![6, 46, 47, 46]));
    // RFC 9077: as long as the SOA says, each of them.
    assert!(negative.authorities.iter().all(|record| record.ttl == 30));
    assert_eq!(types(&ask("to-empty", 16, DO).answers), [5, 46]);
    let ds = ask("", 43, DO);
    assert_eq!((types(&ds.answers), types(&ds.authorities)), (vec![], vec![6, 46, 47, 46]));
}

/// No bitmap lists them, so that their absence is proven by any NSEC of the name.
#[test]
fn the_absence_of_mail_records_is_proven() {
    for rtype in [253, 254] {
        let denial = ask("shop", rtype, DO);
        assert_eq!((rcode(&denial), types(&denial.authorities)), (ResponseCode::NoError, vec![6, 46, 47, 46]));
        assert_eq!(bits("shop", rtype), b"\x00\x06\0\0\x80\0\0\x03");
        assert_eq!(types(&ask("alias", rtype, DO).answers), [5, 46]);
    }
}

#[test]
fn nsec_and_rrsig_are_at_every_name_and_never_denied() {
    let responder = responder();
    let ask = |label, rtype, flags| {
        Message::from_vec(&ask_with(&responder, label, rtype, flags, Transport::Udp).unwrap()).unwrap()
    };
    for label in ["shop", "empty", "down", "nothing", "", "alias", "gone", "ns1"] {
        for flags in [DO, DO | CO] {
            let nsec = ask(label, NSEC, flags);
            assert_eq!((rcode(&nsec), types(&nsec.answers)), (ResponseCode::NoError, vec![47, 46]), "{label}");
            let rrsig = ask(label, RRSIG, flags);
            assert_eq!((rcode(&rrsig), types(&rrsig.answers)), (ResponseCode::NoError, vec![46]), "{label}");
            assert!(nsec.authorities.is_empty() && rrsig.authorities.is_empty());
            assert_eq!(rrsig.answers[0], nsec.answers[1], "{label}");
        }
    }
}

#[test]
fn a_missing_name_is_denied_by_nxname_and_restored_where_wanted() {
    let compact = ask("nothing", 16, DO);
    assert_eq!((rcode(&compact), types(&compact.authorities)), (ResponseCode::NoError, vec![6, 46, 47, 46]));
    assert_eq!(bits("nothing", 16), b"\x00\x11\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\x80");
    let restored = ask_with(&responder(), "nothing", 16, DO | CO, Transport::Udp).unwrap();
    assert_eq!(restored[3] & 0xf, 3);
    assert!(restored.ends_with(b"\x00\x00\x29\x04\xd0\x00\x00\xc0\x00\x00\x00"), "DO and CO: {restored:?}");
    let unsigned = with_opt(query("nothing.auth.example.org", 16), 1_232, 0, DO | CO, &[]);
    assert!(raw(&unsigned, Transport::Udp).unwrap().ends_with(b"\x80\x00\x00\x00"), "CO is not echoed");
    assert_eq!(rcode(&ask("gone", 16, DO)), ResponseCode::NoError);
}

/// RFC 4034 section 3.1.3. unbound and Knot Resolver took an RRSIG whose Labels field counts the asterisk for bogus.
#[test]
fn an_asterisk_in_front_of_the_question_does_not_count_in_the_labels_field() {
    for (label, expected) in
        [("*", 3), ("x.*", 5), ("*.*", 4), ("*.shop", 4), ("**", 4), ("nothing", 4), ("to-star", 3)]
    {
        for rtype in [16, NSEC, RRSIG].into_iter().filter(|rtype| label != "to-star" || *rtype == 16) {
            let reply = ask_with(&responder(), label, rtype, DO, Transport::Udp).unwrap();
            let covers_nsec = |(found, rdata): &(u16, &[u8])| *found == RRSIG && rdata.starts_with(&NSEC.to_be_bytes());
            let (_, rrsig) = records_in(&reply).find(covers_nsec).unwrap();
            assert_eq!(rrsig[3], expected, "{label} {rtype}");
        }
    }
}

#[test]
fn bitmaps_hold_the_types_that_are_there() {
    const RRSIG_AND_NSEC: &[u8] = b"\x00\x06\0\0\0\0\0\x03";
    assert_eq!(bits("down", 16), RRSIG_AND_NSEC, "an empty non-terminal has no NXNAME");
    // Where accounts publish TXT is always there for whoever asks for something else.
    for (label, rtype) in [("shop", 1), ("empty", 28), ("past", 1), ("off", NSEC), ("_acme-challenge", 257)] {
        assert_eq!(bits(label, rtype), b"\x00\x06\0\0\x80\0\0\x03", "{label}");
    }
    for (label, rtype) in [("empty", 16), ("past", 16), ("off", 16), ("_acme-challenge", 16), ("empty", 255)] {
        assert_eq!(bits(label, rtype), RRSIG_AND_NSEC, "{label}");
    }
    let apex = nsec_in(&ask_with(&responder(), "", 16, DO, Transport::Udp).unwrap());
    // NS SOA RRSIG NSEC DNSKEY CDS CDNSKEY, and CAA in the second block.
    assert!(apex.ends_with(b"\x00\x08\x22\0\0\0\0\x03\x80\x18\x01\x01\x40"), "{apex:?}");
}

#[test]
fn past_the_limit_datagrams_are_truncated_and_live_answers_go_on() {
    let responder = seldom_denying();
    let flood = |number: u32, transport| ask_with(&responder, &format!("f{number}"), 16, DO, transport);
    let is_truncated = |bytes: &[u8]| bytes[2] & 2 != 0;
    let first = (0..3_000).find(|number| is_truncated(&flood(*number, Transport::Udp).unwrap())).expect("a limit");
    for flags in [DO, DO | CO] {
        let denied = |number| ask_with(&responder, &format!("f{number}"), 16, flags, Transport::Udp).unwrap();
        let limited = (4_000..9_000).map(denied).find(|reply| is_truncated(reply)).expect("the same limit");
        assert_eq!((limited[3] & 0xf, &limited[6..12]), (0, &[0, 0, 0, 0, 0, 1][..]), "after {first}");
    }
    for (label, rtype) in [("shop", 16), ("", 6), ("", 257), ("empty", 16)] {
        let reply = ask_with(&responder, label, rtype, DO, Transport::Udp).unwrap();
        assert!(!is_truncated(&reply), "{label} {rtype}");
    }
    assert!(!is_truncated(&flood(6_000, Transport::Tcp).unwrap()));
}

#[test]
fn over_tcp_a_denial_waits_its_turn_and_never_truncates() {
    let responder = seldom_denying();
    let mut longest = std::time::Duration::ZERO;
    for number in 0..3_000 {
        let mut out = Vec::new();
        let packet = with_opt(query(&format!("t{number}.{APEX}"), 16), 1_232, 0, DO, &[]);
        match responder.respond(&packet, source(Transport::Tcp), &mut out).replied() {
            Some(responded) => longest = longest.max(responded.pause),
            None => return assert!(longest >= std::time::Duration::from_millis(900), "{longest:?} at {number}"),
        }
        assert!(out[2] & 2 == 0);
    }
    panic!("no limit");
}

#[test]
fn a_wrong_clock_is_servfail_for_those_who_would_check() {
    let last_commit = Timestamp::from_unix(4_200_000_000);
    let keys = Keys { apex: name(APEX), phase: Phase::Offered, keys: vec![key(Algorithm::EcdsaP256)], ttl: 60 };
    let signing = Signing::new(keys, Clock::start(None).after(Some(last_commit))).map(Arc::new);
    let responder = responder_of(Zones::new(vec![Zone { signing, ..zone() }]));
    let reply = ask_with(&responder, "shop", 16, DO, Transport::Udp).unwrap();
    assert_eq!((reply[3] & 0xf, reply[2] & 4), (2, 0));
    let reply = ask_with(&responder, "shop", 16, 0, Transport::Udp).unwrap();
    assert_eq!((reply[3] & 0xf, reply[7]), (0, 2));
}

#[test]
fn a_commit_while_an_answer_is_made_does_not_part_its_soa_from_the_signature() {
    let key = key(Algorithm::EcdsaP256);
    let zones = [signed_by(Phase::Offered, vec![key.clone()])];
    for (label, rtype) in [("shop.", 1), ("nothing.", 16), ("", 6)] {
        let packet = with_opt(query(&format!("{label}{APEX}"), rtype), 1_232, 0, DO, &[]);
        let mut lower = [0; MAX_NAME];
        let mut out = Vec::new();
        let now = Timestamp::from_unix(20);
        let Ok(Request::Query(question)) = Request::read(&packet, &mut lower) else { panic!("{label} {rtype}") };
        let mut answer = answer(&zones, &question, |_| false, RunningTime::START);
        let raise = || zones[0].live.raise_serial(zones[0].serial().next(now));
        raise();
        sign_answer(&zones, &question, Carrier::Datagram, &mut answer);
        raise();
        assert!(encode(&question.echo, &answer, Extras::default(), Carrier::Datagram, &mut out));
        assert!(is_soa_signed_by(&out, &key), "{label}{APEX} {rtype}");
    }
}
