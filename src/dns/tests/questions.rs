//! Well-formed and malformed queries.

use super::*;
use crate::dns::encode::UDP_SIZE;
use crate::zone::zonefile::StaticRecords;

/// The rcode, whether the question came back, whether there is an OPT, and the EDE code.
fn summary(packet: &[u8]) -> (ResponseCode, bool, bool, Option<u16>) {
    let reply = reply(packet);
    assert_eq!(reply.metadata.id, 0xabcd);
    assert!(!reply.metadata.authoritative && reply.answers.is_empty() && reply.authorities.is_empty());
    (rcode(&reply), reply.queries.len() == 1, reply.edns.is_some(), ede(packet))
}

/// The EDE code in the reply, read from its last option.
fn ede(packet: &[u8]) -> Option<u16> {
    let raw = raw(packet, Transport::Udp)?;
    let message = Message::from_vec(&raw).unwrap();
    let options = &message.edns.as_ref()?.options().options;
    options.iter().find(|(code, _)| u16::from(*code) == 15).map(|(_, option)| {
        let data = Vec::<u8>::try_from(option).unwrap();
        u16::from_be_bytes([data[0], data[1]])
    })
}

fn shop() -> Vec<u8> {
    query("shop.auth.example.org", 16)
}

fn changed(mut packet: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    packet[at] = byte;
    packet
}

fn class(class: u8) -> Vec<u8> {
    let mut packet = shop();
    let end = packet.len();
    packet[end - 1] = class;
    packet
}

const FORMERR: ResponseCode = ResponseCode::FormErr;
/// The decoder takes it for BADSIG, which has the same number.
const BADVERS: u16 = 16;

#[test]
fn responses_and_short_messages_get_nothing() {
    assert!(raw(&changed(shop(), 2, 0x80), Transport::Udp).is_none());
    assert!(raw(&changed(edns(shop()), 2, 0xa8), Transport::Udp).is_none());
    assert!(raw(&shop()[..11], Transport::Udp).is_none());
    assert!(raw(&[], Transport::Tcp).is_none());
    let responder = responder();
    responder.respond(&[], source(Transport::Udp), &mut Vec::new());
    assert_eq!(responder.replies.metrics.dropped.value(), 1);
}

#[test]
fn other_opcodes_are_not_implemented() {
    for opcode in 1..16_u8 {
        assert_eq!(
            summary(&changed(shop(), 2, opcode << 3)),
            (ResponseCode::NotImp, true, false, None),
            "opcode {opcode}"
        );
        assert_eq!(
            summary(&changed(edns(shop()), 2, opcode << 3)),
            (ResponseCode::NotImp, true, true, None),
            "opcode {opcode}"
        );
    }
    // An UPDATE has records before its OPT.
    let mut update = changed(changed(shop(), 2, 5 << 3), 9, 1);
    update.extend_from_slice(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01a");
    assert_eq!(summary(&edns(update.clone())), (ResponseCode::NotImp, true, true, None));
    let raw = raw(&update, Transport::Udp).unwrap();
    assert_eq!(raw[2] >> 3 & 0xf, 5, "the opcode comes back");
}

#[test]
fn anything_but_one_question_is_a_format_error_without_a_question() {
    let none = b"\xab\xcd\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
    assert_eq!(summary(&none), (FORMERR, false, false, None));
    assert_eq!(summary(&edns(none)), (FORMERR, false, true, None));
    let mut two = changed(shop(), 5, 2);
    two.extend_from_within(12..);
    assert_eq!(summary(&two), (FORMERR, false, false, None));
    assert_eq!(summary(&edns(two)), (FORMERR, false, true, None));
}

#[test]
fn malformed_messages_are_format_errors() {
    let trailing = |packet: Vec<u8>| [packet, b"x".to_vec()].concat();
    assert_eq!(summary(&trailing(shop())), (FORMERR, true, false, None));
    assert_eq!(summary(&trailing(edns(shop()))), (FORMERR, true, true, None));
    for end in 12..shop().len() {
        assert_eq!(summary(&shop()[..end]), (FORMERR, false, false, None), "cut at {end}");
    }
    for end in shop().len()..edns(shop()).len() {
        assert_eq!(summary(&edns(shop())[..end]), (FORMERR, true, false, None), "cut at {end}");
    }
    // A pointer in the question: to itself, and to the header.
    for target in [0x0c, 0x04] {
        let mut pointer = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0".to_vec();
        pointer.extend_from_slice(&[target, 0, 16, 0, 1]);
        assert_eq!(summary(&pointer), (FORMERR, false, false, None));
        assert_eq!(summary(&edns(pointer)), (FORMERR, false, true, None));
    }
    let record = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01a";
    for count in [7, 9] {
        let packet = [changed(shop(), count, 1), record.to_vec()].concat();
        assert_eq!(summary(&packet), (FORMERR, true, false, None), "a record in the section at {count}");
        assert_eq!(summary(&edns(packet)), (FORMERR, true, true, None));
        // Announced, and not there.
        assert_eq!(summary(&changed(shop(), count, 1)), (FORMERR, true, false, None));
    }
}

#[test]
fn other_classes_are_refused_and_any_is_in_without_authority() {
    for other in [0, 2, 3, 4, 254] {
        assert_eq!(summary(&class(other)), (ResponseCode::Refused, true, false, None), "class {other}");
    }
    let any = reply(&class(255));
    assert!(txts(&any.answers).len() == 2 && !any.metadata.authoritative && reply(&class(1)).metadata.authoritative);
    let mut version = query("version.bind", 16);
    let end = version.len();
    version[end - 1] = 3;
    assert_eq!(summary(&edns(version)), (ResponseCode::Refused, true, true, None));
}

#[test]
fn transfers_are_refused_and_meta_types_are_format_errors() {
    for transfer in [251, 252] {
        let packet = query(APEX, transfer);
        assert_eq!(summary(&packet), (ResponseCode::Refused, true, false, None));
        assert_eq!(summary(&edns(packet)), (ResponseCode::Refused, true, true, Some(18)));
    }
    // IXFR brings a SOA in its authority section (RFC 1995 section 3).
    let mut ixfr = changed(query(APEX, 251), 9, 1);
    ixfr.extend_from_slice(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x00");
    assert_eq!(summary(&edns(ixfr)), (ResponseCode::Refused, true, true, Some(18)));
    for meta in [41, 128, 249, 250] {
        assert_eq!(summary(&edns(query("shop.auth.example.org", meta))), (FORMERR, true, true, Some(30)));
    }
}

/// RFC 1035 section 3.2.3: they ask for the mail records of a name, which are hardly ever there.
#[test]
fn mailb_and_maila_are_questions_like_others() {
    for rtype in [253, 254] {
        let no_data = reply(&edns(query("shop.auth.example.org", rtype)));
        assert_eq!((rcode(&no_data), no_data.answers.len(), no_data.authorities.len()), (ResponseCode::NoError, 0, 1));
        assert!(no_data.metadata.authoritative);
        assert_eq!(rcode(&reply(&query("nothing.auth.example.org", rtype))), ResponseCode::NXDomain);
        assert_eq!(rcode(&reply(&query("example.net", rtype))), ResponseCode::Refused);
    }
    let records = "box MB host.example.com.\nbox MX 5 host.example.com.\n";
    let statics = StaticRecords::parse(&APEX.parse().unwrap(), &[name("ns.example.net")], records).unwrap();
    let responder = responder_of(Zones::new(vec![Zone { statics, ..zone() }]));
    for (rtype, count) in [(253, 1), (254, 0)] {
        let mut out = Vec::new();
        responder.respond(&query("box.auth.example.org", rtype), source(Transport::Udp), &mut out).replied().unwrap();
        assert_eq!(out[7], count, "{rtype}");
    }
}

/// RFC 6891 section 6.1.3. The version was looked at last, behind what else there was to refuse.
#[test]
fn an_edns_version_above_0_is_badvers_whatever_else_is_wrong() {
    let version_1 = |packet: Vec<u8>| with_opt(packet, 1_232, 1, 0, &[]);
    let mut packets = vec![class(254), changed(shop(), 5, 0)[..12].to_vec(), query("example.net", 16)];
    packets.extend([41, 128, 249, 250, 251, 252, 253, 254, 255].map(|rtype| query(APEX, rtype)));
    packets.extend((0..16_u8).map(|opcode| changed(shop(), 2, opcode << 3)));
    let mut record_in_answer = changed(shop(), 7, 1);
    record_in_answer.extend_from_slice(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01a");
    packets.push(record_in_answer);
    for packet in packets {
        let message = reply(&version_1(packet.clone()));
        assert_eq!(u16::from(rcode(&message)), BADVERS, "{packet:02x?}");
        assert_eq!(message.edns.as_ref().map(|edns| edns.version()), Some(0));
    }
    // Two of them are none (section 6.1.1), and it has to be a request.
    for opcode in [0, 4, 5] {
        let twice = version_1(version_1(changed(shop(), 2, opcode << 3)));
        assert_eq!(raw(&twice, Transport::Udp).unwrap()[3] & 0xf, 1, "opcode {opcode}");
    }
    assert!(raw(&version_1(changed(shop(), 2, 0x80)), Transport::Udp).is_none());
}

/// One message for each pair of neighbours in the table of `Request::read`: it fails both checks.
#[test]
fn the_checks_have_the_order_of_their_table() {
    let version_1 = |packet: Vec<u8>| with_opt(packet, 1_232, 1, 0, &[]);
    let cut_update = changed(changed(shop(), 2, 5 << 3), 11, 1);
    let two_questions = |packet: Vec<u8>| [&changed(packet, 5, 2)[..], &shop()[12..]].concat();
    let trailing = |packet: Vec<u8>| [packet, b"x".to_vec()].concat();
    let of_class_3 = |packet: Vec<u8>| {
        let end = packet.len();
        changed(packet, end - 1, 3)
    };
    for (packet, expected, why) in [
        (edns(version_1(shop())), 1, "3 before 4: two OPT records, one of version 1"),
        (version_1(changed(shop(), 2, 4 << 3)), BADVERS, "4 before 5: version and opcode"),
        (changed(two_questions(shop()), 2, 4 << 3), 4, "5 before 6: opcode and questions"),
        (cut_update, 1, "5: an UPDATE whose records cannot be told apart"),
        (two_questions(query(APEX, 252)), 1, "6 before 7: questions and a transfer"),
        (trailing(query(APEX, 252)), 5, "7 before 8: a transfer with a byte behind it"),
        (trailing(query(APEX, 41)), 1, "8 before 9: a byte behind, and a type"),
        (of_class_3(query(APEX, 41)), 1, "9 before 10: type and class"),
        (of_class_3(query(APEX, 16)), 5, "10: a class that the zones do not have"),
    ] {
        assert_eq!(u16::from(rcode(&reply(&packet))), expected, "{why}");
    }
}

#[test]
fn edns_versions_above_0_are_badvers_with_version_0() {
    let packet = with_opt(shop(), 4_096, 1, 0x8000, b"not an option list");
    let raw = raw(&packet, Transport::Udp).unwrap();
    let opt = &raw[raw.len() - 11..];
    assert_eq!(raw[3] & 0xf, 0);
    // Root, OPT, 1232, upper byte of 16, version 0, DO copied, no options.
    assert_eq!(opt, b"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x00");
}

#[test]
fn opt_records_are_strict() {
    let twice = edns(edns(shop()));
    let raw = raw(&twice, Transport::Udp).unwrap();
    assert_eq!((raw[3] & 0xf, raw[11]), (1, 1), "a format error with one OPT");
    assert_eq!(summary(&with_opt(shop(), 1_232, 0, 0, b"\x00\x0a\x00\x09cut")), (FORMERR, true, true, None));
    assert_eq!(summary(&with_opt(shop(), 1_232, 0, 0, b"\x00\x0a\x00")), (FORMERR, true, true, None));
    let mut named = changed(shop(), 11, 1);
    named.extend_from_slice(b"\x01a\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    assert_eq!(summary(&named), (FORMERR, true, true, None));
}

#[test]
fn unknown_options_and_flags_are_ignored_and_do_is_copied() {
    let options = b"\xff\x00\x00\x03abc\x00\x0c\x00\x00";
    for (asked, answered) in [(0x0000, 0x0000), (0xffff, 0x8000), (0x7fff, 0x0000), (0x8000, 0x8000)] {
        let reply = raw(&with_opt(shop(), 4_096, 0, asked, options), Transport::Udp).unwrap();
        let opt = &reply[reply.len() - 11..];
        assert_eq!(opt[3..5], UDP_SIZE.to_be_bytes());
        assert_eq!(u16::from_be_bytes([opt[7], opt[8]]), answered);
        assert_eq!(opt[9..], [0, 0]);
    }
}

#[test]
fn other_additional_records_mean_nothing() {
    let mut packet = changed(shop(), 11, 1);
    packet.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01");
    assert_eq!(txts(&reply(&packet).answers).len(), 2);
    assert_eq!(txts(&reply(&edns(packet)).answers).len(), 2);
}

#[test]
fn the_header_repeats_rd_and_clears_the_rest() {
    // All flags set: AA TC RD, RA Z AD CD and an rcode.
    let packet = changed(changed(shop(), 2, 0x07), 3, 0xff);
    let raw1 = raw(&packet, Transport::Udp).unwrap();
    assert_eq!(raw1[2..4], [0x85, 0x00]);
    let raw0 = raw(&changed(shop(), 2, 0), Transport::Udp).unwrap();
    assert_eq!(raw0[2..4], [0x84, 0x00]);
}
