//! Sizes and truncation of replies.

use super::*;
use crate::model::name::MAX_NAME;
use crate::model::txt::persist::MAX_PERSIST_VALUE;
use crate::publisher::MAX_PERSISTENT;
use crate::zone::signing::key::Algorithm;
use crate::zone::signing::phase::Phase;

const MANY: &str = "many.auth.example.org";
/// 52 values of 56 bytes each behind the question.
const WHOLE: usize = 12 + 27 + 52 * 56;

fn sized(size: u16) -> Vec<u8> {
    raw(&with_opt(query(MANY, 16), size, 0, 0, &[]), Transport::Udp).unwrap()
}

/// A name with just so many live values.
fn reply_with(values: usize, packet: &[u8]) -> Vec<u8> {
    let zone = zone();
    let letters = ('A'..='Z').chain('a'..='z').take(values);
    let values: Vec<LiveValue> = letters.map(|letter| value(letter, true)).collect();
    zone.live.put("many", Some(OwnerState::of(&values)));
    let mut out = Vec::new();
    responder_of(Zones::new(vec![zone])).respond(packet, source(Transport::Udp), &mut out).replied().unwrap();
    out
}

#[test]
fn what_does_not_fit_is_header_question_opt_and_tc() {
    let packet = edns(query(MANY, 16));
    let reply = raw(&packet, Transport::Udp).unwrap();
    let mut expected = packet;
    expected[2..12].copy_from_slice(b"\x87\x00\x00\x01\x00\x00\x00\x00\x00\x01");
    assert_eq!(reply, expected);
    let plain = raw(&query(MANY, 16), Transport::Udp).unwrap();
    assert_eq!((plain.len(), plain[2], plain[11]), (query(MANY, 16).len(), 0x87, 0));
}

#[test]
fn every_size_that_a_client_names_is_kept() {
    for size in (0..1_500).chain([4_096, 65_535]) {
        let reply = sized(size);
        let limit = usize::from(size).clamp(512, 1_232);
        assert!(reply.len() <= limit, "{size}: {}", reply.len());
        let message = Message::from_vec(&reply).unwrap();
        assert!(message.edns.is_some() && message.metadata.truncation && message.answers.is_empty(), "{size}");
    }
}

#[test]
fn the_limits_are_exact() {
    // 8 values and the question make 487 bytes, 9 make 543.
    let question = query(MANY, 16).len();
    assert_eq!(question, 39);
    let packet = |size| with_opt(query(MANY, 16), size, 0, 0, &[]);
    assert_eq!(reply_with(8, &query(MANY, 16)).len(), 487);
    assert_eq!(reply_with(9, &query(MANY, 16))[2], 0x87);
    assert_eq!(reply_with(9, &packet(554)).len(), 554);
    assert_eq!(reply_with(9, &packet(553)).len(), question + 11);
    // 21 values with OPT: 1226 of 1232.
    assert_eq!(reply_with(21, &packet(65_535)).len(), 1_226);
    assert_eq!(reply_with(22, &packet(65_535)).len(), question + 11);
}

#[test]
fn tcp_takes_everything() {
    let reply = raw(&query(MANY, 16), Transport::Tcp).unwrap();
    assert_eq!(reply.len(), WHOLE);
    assert_eq!(txts(&Message::from_vec(&reply).unwrap().answers).len(), 52);
}

/// A persistent value of 257 bytes is two character-strings, and fits or is left out like any other record.
#[test]
fn persistent_values_are_cut_into_strings_of_at_most_255_bytes() {
    let sizes = [[60, 254], [255, 256], [257, 512]];
    for [one, other] in sizes {
        let zone = zone();
        let both = vec![persistent(one), persistent(other)];
        zone.live.put("many", Some(OwnerState::of(&[value('n', true)]).with(both.clone())));
        let responder = responder_of(Zones::new(vec![zone]));
        let ask = |packet: &[u8], transport| {
            let mut out = Vec::new();
            responder.respond(packet, source(transport), &mut out).replied().unwrap();
            out
        };
        let reply = ask(&query(MANY, 16), Transport::Tcp);
        let message = Message::from_vec(&reply).unwrap();
        let expected = ["n".repeat(43), both[0].value.to_string(), both[1].value.to_string()];
        assert_eq!(txts(&message.answers), expected);
        let length = 39 + 56 + 24 + one + one.div_ceil(255) + other + other.div_ceil(255);
        assert_eq!(reply.len(), length, "{one} {other}");
        assert_eq!(ask(&query(MANY, 16), Transport::Udp)[2] & 2 != 0, length > 512, "{length}");
        let packet = |size| with_opt(query(MANY, 16), size, 0, 0, &[]);
        assert_eq!(ask(&packet(length as u16 + 11), Transport::Udp).len(), length + 11);
        assert_eq!(ask(&packet(length as u16 + 10), Transport::Udp)[2] & 2 != 0, length > 502, "{length}");
    }
}

/// As many values of each kind as an owner may have, signed by two keys, at the longest name: one message over TCP.
#[test]
fn the_most_that_a_name_can_hold_fits_a_message() {
    let keys = [(); 2].map(|()| key(Algorithm::EcdsaP256));
    let zone = signed_by(Phase::Switching, keys.into());
    let challenges: Vec<LiveValue> = (0..1_000).map(numbered).collect();
    let persistent = (0..MAX_PERSISTENT).map(|_| persistent(MAX_PERSIST_VALUE)).collect();
    let label = "x".repeat(63);
    zone.live.put(&label, Some(OwnerState::of(&challenges).with(persistent)));
    let packet = with_opt(query(&format!("{label}.{APEX}"), 16), 1_232, 0, 0x8000, &[]);
    let mut out = Vec::new();
    responder_of(Zones::new(vec![zone])).respond(&packet, source(Transport::Tcp), &mut out).replied().unwrap();
    let message = Message::from_vec(&out).unwrap();
    assert_eq!((out[2] & 2, message.answers.len()), (0, 1_000 + MAX_PERSISTENT + 2));
    // With the longest name, which the signatures hold as well, and every option: keepalive, cookie and NSID.
    let apex = name(APEX).as_wire().len();
    let longest = (MAX_NAME - (1 + label.len() + apex)) + 2 * (MAX_NAME - apex) + 6 + 28 + 68;
    assert!(out.len() + longest <= 65_535, "{}", out.len());
}

fn numbered(number: usize) -> LiveValue {
    LiveValue { txt: format!("{number:_>43}").parse().unwrap(), ..value('n', true) }
}

#[test]
fn keepalive_is_told_over_tcp_to_who_asks() {
    let packet = with_opt(query(APEX, 6), 1_232, 0, 0, b"\x00\x0b\x00\x00");
    let tcp = raw(&packet, Transport::Tcp).unwrap();
    assert_eq!(tcp[tcp.len() - 8..], *b"\x00\x06\x00\x0b\x00\x02\x00\x64");
    let udp = raw(&packet, Transport::Udp).unwrap();
    assert_eq!(udp[udp.len() - 2..], [0, 0]);
}

#[test]
fn truncation_is_counted() {
    let responder = responder();
    responder.respond(&query(MANY, 16), source(Transport::Udp), &mut Vec::new()).replied().unwrap();
    assert_eq!(responder.replies.metrics.truncated.value(), 1);
}
