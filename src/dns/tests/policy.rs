//! The policy around the answer: cookies, rate limits, and the server's identity.

use super::*;
use crate::crypto::cookie::{CookieSecret, CookieSecrets, Cookies};
use crate::dns::identity::ServerIdentity;
use crate::dns::limits::ReplyLimits;

const CLIENT: &[u8; 8] = b"clientck";

fn policy(per_second: u32, identity: ServerIdentity) -> ResponsePolicy {
    ResponsePolicy {
        limits: ReplyLimits::new(per_second),
        identity: identity.into(),
        ..ResponsePolicy::plain().unwrap()
    }
}

fn limited() -> Responder {
    responder_with(Zones::new(vec![zone()]), policy(3, ServerIdentity::default()))
}

fn from(address: &str, transport: Transport) -> MessageSource {
    MessageSource::of(address.parse().unwrap(), transport)
}

fn ask_of(responder: &Responder, packet: &[u8], source: MessageSource) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    responder.respond(packet, source, &mut out).replied().map(|_| out)
}

fn options(reply: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let message = Message::from_vec(reply).unwrap();
    let options = &message.edns.as_ref().unwrap().options().options;
    options.iter().map(|(code, option)| (u16::from(*code), Vec::try_from(option).unwrap())).collect()
}

fn option(code: u8, data: &[u8]) -> Vec<u8> {
    [&[0, code, 0, data.len() as u8], data].concat()
}

fn with_cookie(name: &str, cookie: &[u8]) -> Vec<u8> {
    with_opt(query(name, 16), 1_232, 0, 0, &option(10, cookie))
}

/// The cookie that a client gets with its first answer.
fn learn(responder: &Responder, source: MessageSource) -> Vec<u8> {
    let reply = ask_of(responder, &with_cookie("shop.auth.example.org", CLIENT), source).unwrap();
    let [(10, cookie)] = &options(&reply)[..] else { panic!("{reply:02x?}") };
    assert_eq!((&cookie[..8], cookie.len()), (&CLIENT[..], 24));
    cookie.clone()
}

#[test]
fn a_client_learns_a_cookie_and_is_known_by_it() {
    let responder = responder();
    let here = from("192.0.2.1", Transport::Udp);
    let cookie = learn(&responder, here);
    let again = ask_of(&responder, &with_cookie("nothing.auth.example.org", &cookie), here).unwrap();
    assert_eq!(options(&again), [(10, cookie)]);
    assert!(responder.replies.metrics.render(&[]).contains("cookies_total{valid=\"yes\"} 1\n"));
    let tcp = ask_of(&responder, &with_cookie(APEX, CLIENT), from("192.0.2.1", Transport::Tcp)).unwrap();
    assert_eq!(options(&tcp)[0].0, 10);
}

#[test]
fn cookies_of_a_wrong_length_are_format_errors_and_a_second_one_is_ignored() {
    for length in (0..48).filter(|length| !matches!(length, 8 | 16..=40)) {
        let reply = raw(&with_cookie("shop.auth.example.org", &vec![1; length]), Transport::Udp).unwrap();
        assert_eq!((reply[3] & 0xf, options(&reply).len()), (1, 0), "{length}");
    }
    let two = [option(10, CLIENT), option(10, b"short")].concat();
    let reply = raw(&with_opt(query(APEX, 6), 1_232, 0, 0, &two), Transport::Udp).unwrap();
    assert_eq!((reply[3] & 0xf, options(&reply).len()), (0, 1));
}

#[test]
fn a_cookie_may_be_asked_for_without_a_question() {
    let none = b"\xab\xcd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
    let reply = raw(&with_opt(none.clone(), 1_232, 0, 0, &option(10, CLIENT)), Transport::Udp).unwrap();
    assert_eq!((reply[3] & 0xf, reply[5], options(&reply)[0].0), (0, 0, 10));
    let reply = raw(&with_opt(none, 1_232, 1, 0, &option(10, CLIENT)), Transport::Udp).unwrap();
    let opt = &reply[reply.len() - 11 - 28..];
    assert_eq!((reply[3] & 0xf, opt[5]), (0, 1), "BADVERS: a version that we do not speak");
}

#[test]
fn servers_with_one_secret_know_each_others_clients() {
    let secrets = CookieSecrets { current: CookieSecret::random().unwrap(), previous: None };
    let server = || ResponsePolicy { cookies: Cookies::new(secrets), ..ResponsePolicy::plain().unwrap() };
    let [one, other] = [server(), server()].map(|policy| responder_with(Zones::new(vec![zone()]), policy));
    let here = from("2001:db8::1", Transport::Udp);
    let cookie = learn(&one, here);
    ask_of(&other, &with_cookie(APEX, &cookie), here).unwrap();
    assert!(other.replies.metrics.render(&[]).contains("cookies_total{valid=\"yes\"} 1\n"));
}

/// Rcode, TC and whether there are records, of the last of ten.
fn tenth(responder: &Responder, packet: &[u8], source: MessageSource) -> Option<(u8, bool, bool)> {
    let mut replies: Vec<_> = (0..10).map(|_| ask_of(responder, packet, source)).collect();
    let reply = replies.pop()??;
    let message = Message::from_vec(&reply).unwrap();
    // A new cookie's 16 bytes are all that a truncated reply may add.
    assert!(reply.len() <= packet.len() + 16 || !message.metadata.truncation, "nothing is amplified");
    let has_records = !message.answers.is_empty() || !message.authorities.is_empty();
    Some((reply[3] & 0xf, message.metadata.truncation, has_records))
}

#[test]
fn past_the_limit_a_network_gets_tc_and_never_silence() {
    for name in ["nothing.auth.example.org", "empty.auth.example.org", APEX] {
        for packet in [query(name, 16), edns(query(name, 16))] {
            let responder = limited();
            let there = from("192.0.2.9", Transport::Udp);
            assert_eq!(tenth(&responder, &packet, there), Some((0, true, false)), "{name}");
            assert_eq!(responder.replies.metrics.slipped.value(), 7);
            let neighbour = from("192.0.2.10", Transport::Udp);
            assert!(tenth(&responder, &packet, neighbour).unwrap().1, "the same network");
        }
    }
}

#[test]
fn past_the_limit_errors_are_dropped_and_leave_the_answers_their_own() {
    let responder = limited();
    let there = from("2001:db8::9", Transport::Udp);
    let mut not_implemented = edns(query(APEX, 6));
    not_implemented[2] |= 0x20;
    for packet in [query("example.com", 1), not_implemented, query(APEX, 252)] {
        assert_eq!(tenth(&responder, &packet, there), None);
    }
    assert_eq!(responder.replies.metrics.withheld.value(), 27);
    let first = ask_of(&responder, &query("nothing.auth.example.org", 16), there).unwrap();
    assert_eq!((first[2] & 2, first[3] & 0xf), (0, 3));
}

#[test]
fn live_values_tcp_loopback_and_cookies_are_not_limited() {
    let responder = limited();
    let there = from("192.0.2.9", Transport::Udp);
    let packet = edns(query("nothing.auth.example.org", 16));
    assert!(tenth(&responder, &packet, there).unwrap().1);
    let whole = Some((3, false, true));
    assert_eq!(tenth(&responder, &packet, from("192.0.2.9", Transport::Tcp)), whole);
    assert_eq!(tenth(&responder, &packet, from("127.0.0.1", Transport::Udp)), whole);
    assert_eq!(tenth(&responder, &packet, from("::1", Transport::Udp)), whole);
    assert_eq!(tenth(&responder, &query("shop.auth.example.org", 16), there), Some((0, false, true)));
    let cookie = learn(&responder, there);
    assert_eq!(tenth(&responder, &with_cookie("nothing.auth.example.org", &cookie), there), whole);
    let elsewhere = from("192.0.2.10", Transport::Udp);
    assert!(tenth(&responder, &with_cookie("nothing.auth.example.org", &cookie), elsewhere).unwrap().1, "not its own");
}

/// Found by the fuzz target `respond`: such replies had no limit, and were 16 times as large as their queries.
#[test]
fn many_live_values_and_chains_of_aliases_are_limited() {
    let responder = limited();
    let there = from("192.0.2.9", Transport::Udp);
    for name in ["many.auth.example.org", "c1.auth.example.org", "to-shop.auth.example.org"] {
        assert!(tenth(&responder, &query(name, 16), there).unwrap().1, "{name}");
    }
    for values in 1..=5 {
        let zone = zone();
        let letters = ('a'..='z').take(values).map(|letter| value(letter, true));
        zone.live.put("few", Some(OwnerState::of(&letters.collect::<Vec<_>>())));
        let responder = responder_with(Zones::new(vec![zone]), policy(3, ServerIdentity::default()));
        assert_eq!(tenth(&responder, &query("few.auth.example.org", 16), there).unwrap().1, values > 4, "{values}");
    }
    for (length, is_limited) in [(172, false), (173, true)] {
        let zone = zone();
        zone.live.put("long", Some(OwnerState::Empty.with(vec![persistent(length)])));
        let responder = responder_with(Zones::new(vec![zone]), policy(3, ServerIdentity::default()));
        assert_eq!(tenth(&responder, &query("long.auth.example.org", 16), there).unwrap().1, is_limited, "{length}");
    }
}

#[test]
fn a_truncated_answer_over_the_limit_still_gives_a_cookie() {
    let responder = limited();
    let there = from("192.0.2.9", Transport::Udp);
    let packet = with_cookie("nothing.auth.example.org", CLIENT);
    let replies: Vec<_> = (0..10).map(|_| ask_of(&responder, &packet, there).unwrap()).collect();
    assert_eq!((replies[9][2] & 2, options(&replies[9])[0].1.len()), (2, 24));
}

fn chaos(name: &str, rtype: u16) -> Vec<u8> {
    let mut packet = query(name, rtype);
    let end = packet.len();
    packet[end - 1] = 3;
    packet
}

#[test]
fn nothing_is_said_of_ourselves_unless_configured() {
    let nsid = with_opt(query(APEX, 6), 1_232, 0, 0, &option(3, b""));
    for name in ["version.bind", "version.server", "id.server", "hostname.bind"] {
        assert_eq!(raw(&chaos(name, 16), Transport::Udp).unwrap()[3], 5);
    }
    assert_eq!(options(&raw(&nsid, Transport::Udp).unwrap()), []);
    let identity = ServerIdentity { nsid: "ns1 a".into(), version: "txtgate 1".into() };
    let responder = responder_with(Zones::new(vec![zone()]), policy(0, identity));
    let here = source(Transport::Udp);
    for (name, told) in [
        ("version.BIND", "txtgate 1"),
        ("version.server", "txtgate 1"),
        ("id.server", "ns1 a"),
        ("hostname.bind", "ns1 a"),
    ] {
        let message = Message::from_vec(&ask_of(&responder, &chaos(name, 16), here).unwrap()).unwrap();
        assert_eq!(txts(&message.answers), [told]);
        assert_eq!(u16::from(message.answers[0].dns_class), 3);
    }
    assert_eq!(ask_of(&responder, &chaos("version.bind", 1), here).unwrap()[3], 5);
    assert_eq!(ask_of(&responder, &chaos(APEX, 16), here).unwrap()[3], 5, "our zones are of class IN");
    assert_eq!(options(&ask_of(&responder, &nsid, here).unwrap()), [(3, b"ns1 a".to_vec())]);
    assert_eq!(options(&ask_of(&responder, &edns(query(APEX, 6)), here).unwrap()), [], "only to who asks");
}

#[test]
fn registered_names_without_a_value_say_why() {
    let told = |name: &str, rtype| -> Option<String> {
        let reply = raw(&edns(query(&format!("{name}.{APEX}"), rtype)), Transport::Udp).unwrap();
        let [(15, data)] = &options(&reply)[..] else { return None };
        Some(String::from_utf8_lossy(&data[2..]).into_owned())
    };
    assert_eq!(told("empty", 16).unwrap(), "no value published");
    assert_eq!(told("off", 16).unwrap(), "account disabled");
    assert_eq!(told("off", 1).unwrap(), "account disabled");
    for over in ["past", "over"] {
        let text = told(over, 16).unwrap();
        assert!(text.starts_with("last value expired ") && text.ends_with(" d ago"), "{text}");
    }
    assert_eq!(told("empty", 1), None, "an address was never to be had");
    for unregistered in ["nothing", "down", "deep.down", "ns1"] {
        assert_eq!(told(unregistered, 16), None, "{unregistered}");
    }
}
