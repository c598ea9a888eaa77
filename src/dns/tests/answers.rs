//! Answers from every kind of name.

use super::*;
use hickory_proto::rr::DNSClass;

fn soa_of(message: &Message) -> (&RData, u32) {
    let [record] = &message.authorities[..] else { panic!("one SOA: {message:?}") };
    assert_eq!(record.name.to_string(), "auth.example.org.");
    (&record.data, record.ttl)
}

fn assert_negative(message: &Message, expected: ResponseCode) {
    assert_eq!(rcode(message), expected);
    assert!(message.metadata.authoritative && txts(&message.answers).is_empty());
    let (RData::SOA(soa), ttl) = soa_of(message) else { panic!("{message:?}") };
    assert_eq!((soa.serial, soa.minimum, ttl), (7, 30, 30));
}

fn types(message: &Message) -> Vec<(String, RecordType)> {
    message.answers.iter().map(|record| (record.name.to_string(), record.data.record_type())).collect()
}

const NO_DATA: ResponseCode = ResponseCode::NoError;

#[test]
fn live_values_are_served_newest_first() {
    let reply = ask("shop.auth.example.org", RecordType::TXT);
    assert_eq!(rcode(&reply), ResponseCode::NoError);
    assert!(reply.metadata.authoritative && reply.authorities.is_empty() && reply.additionals.is_empty());
    assert_eq!(txts(&reply.answers), ["n".repeat(43), "o".repeat(43)]);
    assert!(reply.answers.iter().all(|record| record.ttl == 1 && record.dns_class == DNSClass::IN));
}

#[test]
fn a_live_answer_byte_for_byte() {
    let packet = query("sHoP.aUtH.eXaMpLe.oRg", 16);
    let mut expected = packet.clone();
    expected[2] = 0x85;
    expected[7] = 2;
    for letter in [b'n', b'o'] {
        expected.extend_from_slice(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x01\x00\x2c\x2b");
        expected.extend_from_slice(&[letter; 43]);
    }
    assert_eq!(raw(&packet, Transport::Udp).unwrap(), expected);
}

#[test]
fn a_negative_answer_byte_for_byte() {
    let packet = edns(query("nothing.Auth.Example.Org", 16));
    let mut expected = packet[..packet.len() - 11].to_vec();
    expected[2..12].copy_from_slice(b"\x85\x03\x00\x01\x00\x00\x00\x01\x00\x01");
    // The owner points at `Auth` in the question: 12 bytes of header, then 1 + 7 of `nothing`.
    expected.extend_from_slice(b"\xc0\x14\x00\x06\x00\x01\x00\x00\x00\x1e\x00\x42");
    expected.extend_from_slice(b"\x03ns1\x04auth\x07example\x03org\x00\x0ahostmaster\x07example\x03org\x00");
    expected.extend_from_slice(b"\0\0\0\x07\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x1e");
    expected.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    assert_eq!(raw(&packet, Transport::Udp).unwrap(), expected);
}

#[test]
fn registered_names_are_never_name_errors() {
    for name in ["shop", "past", "empty", "off", "_acme-challenge"] {
        for rtype in
            [RecordType::A, RecordType::CNAME, RecordType::SOA, RecordType::NS, RecordType::CAA, RecordType::DS]
        {
            assert_negative(&ask(&format!("{name}.{APEX}"), rtype), NO_DATA);
        }
    }
    for name in ["past", "empty", "off", "_Acme-Challenge"] {
        assert_negative(&ask(&format!("{name}.{APEX}"), RecordType::TXT), NO_DATA);
        assert_negative(&ask(&format!("{name}.{APEX}"), RecordType::ANY), NO_DATA);
    }
}

#[test]
fn name_errors_only_where_nothing_is_at_or_below() {
    for name in ["nothing", "x.shop", "x.y.z", "x.deep.down", "x._acme-challenge"] {
        assert_negative(&ask(&format!("{name}.{APEX}"), RecordType::TXT), ResponseCode::NXDomain);
    }
    assert_negative(&ask("down.auth.example.org", RecordType::TXT), NO_DATA);
    assert_negative(&ask("deep.DOWN.auth.example.org", RecordType::TXT), NO_DATA);
    assert_eq!(ask("deep.DOWN.auth.example.org", RecordType::A).answers.len(), 1);
}

#[test]
fn names_elsewhere_are_refused() {
    for name in ["example.org", "auth.example.com", "xauth.example.org", "org", "", "auth.example.org.example"] {
        let reply = ask(name, RecordType::TXT);
        assert_eq!(rcode(&reply), ResponseCode::Refused, "{name}");
        assert!(!reply.metadata.authoritative && reply.answers.is_empty() && reply.authorities.is_empty());
        let raw = raw(&edns(query(name, 16)), Transport::Udp).unwrap();
        assert!(raw.windows(6).any(|bytes| bytes == b"\x00\x0f\x00\x1e\x00\x14"), "EDE 20: {raw:?}");
    }
}

#[test]
fn the_apex_has_soa_ns_and_its_static_sets() {
    let soa = ask(APEX, RecordType::SOA);
    let [RData::SOA(data)] = [&soa.answers[0].data] else { panic!("{soa:?}") };
    assert_eq!((data.serial, soa.answers[0].ttl, soa.authorities.len()), (7, 30, 0));
    assert_eq!(ask(APEX, RecordType::NS).answers.len(), 2);
    assert_eq!(ask(APEX, RecordType::CAA).answers.len(), 1);
    assert_negative(&ask(APEX, RecordType::TXT), NO_DATA);
    assert_negative(&ask(APEX, RecordType::DNSKEY), NO_DATA);
}

#[test]
fn every_data_type_is_answered() {
    let responder = responder();
    let mut out = Vec::new();
    for rtype in (0..=65_535_u16).filter(|rtype| !matches!(rtype, 16 | 41 | 128 | 249..=255)) {
        out.clear();
        responder.respond(&query("shop.auth.example.org", rtype), source(Transport::Udp), &mut out).replied().unwrap();
        let [rcode, authorities] = [out[3], out[9]];
        assert_eq!((rcode, authorities), (0, 1), "type {rtype}");
    }
}

#[test]
fn any_gets_one_record_set() {
    assert_eq!(types(&ask(APEX, RecordType::ANY)), [("auth.example.org.".into(), RecordType::SOA)]);
    assert_eq!(types(&ask("alias.auth.example.org", RecordType::ANY)).len(), 1, "the CNAME, not followed");
    assert_eq!(txts(&ask("shop.auth.example.org", RecordType::ANY).answers).len(), 2);
    assert_negative(&ask("down.auth.example.org", RecordType::ANY), NO_DATA);
}

#[test]
fn aliases_are_followed_within_the_zone() {
    let reply = ask("alias2.auth.example.org", RecordType::A);
    let chain = ["alias2", "alias", "Ns1"].map(|label| format!("{label}.auth.example.org."));
    let expected = [RecordType::CNAME, RecordType::CNAME, RecordType::A];
    assert_eq!(types(&reply), chain.into_iter().zip(expected).collect::<Vec<_>>());
    assert_eq!(types(&ask("alias2.auth.example.org", RecordType::CNAME)).len(), 1);
    assert_eq!(txts(&ask("to-shop.auth.example.org", RecordType::TXT).answers).len(), 2);
    let longest = ask("c1.auth.example.org", RecordType::TXT);
    assert_eq!((longest.answers.len(), txts(&longest.answers).len()), (10, 2));
}

#[test]
fn the_end_of_a_chain_decides_on_the_rcode() {
    let out = ask("out.auth.example.org", RecordType::TXT);
    assert_eq!((rcode(&out), types(&out).len(), out.authorities.len()), (ResponseCode::NoError, 1, 0));
    let RData::CNAME(target) = &out.answers[0].data else { panic!("{out:?}") };
    assert!(target.0.to_string() == "www.Example.COM." && out.metadata.authoritative);
    assert_negative(&ask("gone.auth.example.org", RecordType::TXT), ResponseCode::NXDomain);
    let empty = ask("to-empty.auth.example.org", RecordType::TXT);
    assert_negative(&empty, NO_DATA);
    assert_eq!(empty.answers.len(), 1);
}

#[test]
fn our_faults_are_servfail_and_never_a_statement() {
    let mut out = Vec::new();
    let empty = responder_of(Zones::default());
    empty.respond(&edns(query(APEX, 6)), source(Transport::Udp), &mut out).replied().unwrap();
    let reply = Message::from_vec(&out).unwrap();
    assert_eq!((rcode(&reply), reply.metadata.authoritative), (ResponseCode::ServFail, false));
    assert!(out.windows(2).any(|bytes| bytes == [0, 14]) && reply.authorities.is_empty());
}

#[test]
fn a_panic_is_servfail_for_this_query_only() {
    let mut out = b"before".to_vec();
    let packet = query(APEX, 6);
    let responder = responder();
    let responded = responder.caught(&packet, source(Transport::Udp), &mut out, |out| {
        out.extend_from_slice(b"half a reply");
        panic!("on purpose")
    });
    assert_eq!(responded.replied().unwrap().rcode, ResponseCode::ServFail);
    assert_eq!(&out, b"before\xab\xcd\x81\x02\x00\x00\x00\x00\x00\x00\x00\x00");
    assert!(responder.replies.metrics.render(&[]).contains("rcode=\"SERVFAIL\",type=\"other\"} 1"));
}
