use super::key::Algorithm;
use super::*;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const APEX: &str = "auth.example.org";

fn apex() -> Name {
    APEX.parse().unwrap()
}

fn signing(phase: Phase, keys: usize) -> Signing {
    let key = |_| Arc::new(ZoneKey::generate(Algorithm::EcdsaP256).unwrap());
    let keys = Keys { apex: apex(), phase, keys: (0..keys).map(key).collect(), ttl: 60 };
    Signing::new(keys, Clock::start(None)).unwrap()
}

fn txt<'a>(owner: &'a Name, values: &'a [&'a [u8]]) -> Unsigned<'a, std::slice::Iter<'a, &'a [u8]>> {
    Unsigned { owner: owner.as_ref(), rtype: RecordType::TXT, ttl: 1, rdatas: values.iter() }
}

/// An NSEC without TXT and one with it are asked for in turn: each is signed once.
#[test]
fn two_sets_of_one_name_and_type_are_signed_once_each() {
    let (signing, owner) = (signing(Phase::Offered, 1), "a.auth.example.org".parse().unwrap());
    let (one, other) = (txt(&owner, &[b"one"]), txt(&owner, &[b"other"]));
    let first = (signing.sign(&one).unwrap(), signing.sign_variant(&other).unwrap());
    let second = (signing.sign(&one).unwrap(), signing.sign_variant(&other).unwrap());
    assert!(Arc::ptr_eq(&first.0, &second.0) && Arc::ptr_eq(&first.1, &second.1));
}

/// RFC 8080 section 6.1: Ed25519 signs the same data with the same bytes always.
#[test]
fn the_example_of_rfc_8080_byte_for_byte() {
    let seed = STANDARD.decode("ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=").unwrap();
    let public = STANDARD.decode("l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=").unwrap();
    let start = b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let pkcs8 = [&start[..], &seed, b"\x81\x21\x00", &public].concat();
    let key = ZoneKey::from_pkcs8(Algorithm::Ed25519, &pkcs8).unwrap();
    let apex: Name = "example.com".parse().unwrap();
    let ds = key.ds(&apex);
    let digest: String = ds[4..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&ds[..4], key.tag()), (&[0x0e, 0x1d, 15, 2][..], 3_613));
    assert_eq!(digest, "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b");
    let head = RrsigHead {
        covered: RecordType::MX,
        algorithm: 15,
        labels: 2,
        ttl: 3_600,
        expires: Timestamp::from_unix(1_440_021_600),
        inception: Timestamp::from_unix(1_438_207_200),
        tag: key.tag(),
        signer: &apex,
    };
    let rdata = b"\x00\x0a\x04Mail\x07Example\x03com\x00";
    let signature = key.sign(&signed_data(&head, apex.as_ref(), std::iter::once(rdata))).unwrap();
    let expected = "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==";
    assert_eq!(STANDARD.encode(signature.as_ref()), expected);
}

#[test]
fn a_signature_is_made_once_and_again_when_its_set_changes() {
    let signing = signing(Phase::Offered, 1);
    let owner: Name = "shop.auth.example.org".parse().unwrap();
    let first = signing.sign(&txt(&owner, &[b"\x01a", b"\x01b"])).unwrap();
    assert!(Arc::ptr_eq(&first, &signing.sign(&txt(&owner, &[b"\x01a", b"\x01b"])).unwrap()));
    for other in [&[&b"\x01a"[..]][..], &[b"\x01a", b"\x01c"], &[b"\x01a\x01b"]] {
        assert!(!Arc::ptr_eq(&first, &signing.sign(&txt(&owner, other)).unwrap()));
    }
}

#[test]
fn signatures_begin_in_the_past_and_are_made_anew_long_before_their_end() {
    let signing = signing(Phase::Offered, 1);
    let owner: Name = "x.shop.auth.example.org".parse().unwrap();
    let signed = signing.sign(&txt(&owner, &[b"\x01a"])).unwrap();
    let rdata = signed.rdatas().next().unwrap();
    let number = |at: usize| u64::from(u32::from_be_bytes(rdata[at..at + 4].try_into().unwrap()));
    let (labels, ttl, expires, inception) = (rdata[3], number(4), number(8), number(12));
    assert_eq!((labels, ttl, &rdata[18..18 + 18]), (5, 1, apex().as_wire()));
    assert_eq!(rdata.len(), 18 + 18 + 64);
    assert_eq!(expires - inception, 14 * 86_400 + 2 * 3_600);
    let behind = Clock::start(None).after(Some(Timestamp::from_unix(4_200_000_000))).wall();
    let hours = |hours: u64| Ok(Timestamp::from_unix(inception + hours * 3_600));
    assert!(signed.is_fresh(hours(2)) && signed.is_fresh(hours(2 + 7 * 24 - 1)) && signed.is_fresh(behind));
    assert!(!signed.is_fresh(hours(2 + 7 * 24)));
    assert!(signed.is_fresh(hours(1)) && !signed.is_fresh(hours(0)), "a clock that was set back");
}

#[test]
fn a_clock_before_the_last_change_signs_nothing() {
    let keys = vec![Arc::new(ZoneKey::generate(Algorithm::EcdsaP256).unwrap())];
    let keys = Keys { apex: apex(), phase: Phase::Offered, keys, ttl: 60 };
    let signing = Signing::new(keys, Clock::start(None).after(Some(Timestamp::from_unix(4_200_000_000)))).unwrap();
    assert_eq!(signing.sign(&txt(&apex(), &[b"\x01a"])).unwrap_err(), Refused::Clock);
}

#[test]
fn each_phase_has_its_keys_and_its_word_for_the_parent() {
    for (phase, keys, cds) in [
        (Phase::Fresh, 1, None),
        (Phase::Offered, 1, Some(0)),
        (Phase::Doubled, 2, Some(0)),
        (Phase::Switching, 2, Some(1)),
        (Phase::Switched, 2, Some(1)),
    ] {
        let signing = signing(phase, keys);
        let set = |rtype| signing.sets().iter().find(|set| set.rtype == rtype).map(|set| &set.rdatas[..]);
        assert_eq!((set(RecordType::DNSKEY).unwrap().len(), keys), (keys, phase.keys()));
        let ds = |at: usize| signing.keys.keys[at].ds(&apex()).into();
        assert_eq!(set(RecordType::CDS).map(|set| set[0].clone()), cds.map(ds), "{phase:?}");
        let dnskey = |at: usize| signing.keys.keys[at].dnskey().into();
        assert_eq!(set(RecordType::CDNSKEY).map(|set| set[0].clone()), cds.map(dnskey), "{phase:?}");
        assert_eq!(signing.sign(&txt(&apex(), &[b"\x01a"])).unwrap().rdatas().count(), keys);
    }
    for phase in [Phase::Withdrawing, Phase::Withdrawn] {
        let signing = signing(phase, 1);
        // RFC 8078 section 4: `CDS 0 0 0 00` and `CDNSKEY 0 3 0 AA==`.
        assert_eq!(&*signing.sets()[1].rdatas[0], &[0, 0, 0, 0, 0]);
        assert_eq!(&*signing.sets()[2].rdatas[0], &[0, 0, 3, 0, 0]);
    }
}

#[test]
fn denials_of_new_names_are_limited_and_those_seen_are_not() {
    let signing = signing(Phase::Offered, 1).with_denials(10);
    let name = |number: u32| -> Name { format!("n{number}.{APEX}").parse().unwrap() };
    let deny = |number: u32, carrier| signing.sign_denial(&txt(&name(number), &[b"\x01a"]), carrier);
    let refused = (0..2_000).find(|number| deny(*number, Carrier::Datagram) == Err(Refused::Busy)).expect("a limit");
    assert!(refused >= 3, "{refused}");
    assert!(deny(0, Carrier::Datagram).is_ok());
    // Streams have a limit of their own, and wait for it.
    let waits = (10_000..12_000).map_while(|number| deny(number, Carrier::Stream).ok()).map(|(_, wait)| wait);
    let waits: Vec<Duration> = waits.collect();
    assert!(waits[0].is_zero() && waits.iter().all(|wait| *wait <= STREAM_WAIT), "{waits:?}");
    assert!((11..2_000).contains(&waits.len()), "{waits:?}");
    assert!(signing.sign(&txt(&name(1), &[b"\x01b"])).is_ok());
}

#[test]
fn a_thousand_denials_a_second_are_signed_and_a_quarter_of_them_at_once() {
    let signing = signing(Phase::Offered, 1);
    let at_once = |limit: &RateLimit| (0..10_000).map_while(|_| limit.take_at(0)).count();
    assert_eq!(at_once(&signing.datagrams), 251);
    assert_eq!(at_once(&signing.streams), 1_001);
}

impl PartialEq for Signed {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
