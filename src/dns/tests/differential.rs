//! Our codec against the [`Reference`]: the same bytes for the same question.

use super::mutated::Dice;
use super::reference::{Reference, Said};
use super::*;
use crate::zone::signing::key::Algorithm;
use crate::zone::signing::phase::Phase;

const ORDINARY: usize = 50_000;
const MANY: usize = 1_000_000;
/// Names with 0 to 25 values: 8 fill a datagram without EDNS, 21 the largest one.
const NUMBERED: usize = 26;

const NAMES: [&str; 21] = [
    "shop",
    "past",
    "over",
    "empty",
    "off",
    "many",
    "nothing",
    "ns1",
    "down",
    "deep.down",
    "x.shop",
    "alias",
    "alias2",
    "out",
    "gone",
    "to-shop",
    "to-empty",
    "c1",
    "c8",
    "_acme-challenge",
    "",
];
const TYPES: [u16; 17] = [16, 16, 16, 16, 1, 28, 2, 5, 6, 257, 255, 128, 251, 252, 253, 65_280, 43];

/// Half of all queries come in datagrams.
const TRANSPORTS: [Transport; 6] =
    [Transport::Udp, Transport::Tcp, Transport::Udp, Transport::Tls, Transport::Udp, Transport::Quic];

/// A query as resolvers and others send them, now and then with something wrong. Both codecs can read all of them.
fn generated(dice: &mut Dice) -> Vec<u8> {
    let name = match dice.roll(16) {
        0 => ["example.org", "org", "", "xauth.example.org"][dice.roll(4)].to_owned(),
        1..4 => format!("n{}.{APEX}", dice.roll(NUMBERED)),
        _ => format!("{}.{APEX}", NAMES[dice.roll(NAMES.len())]),
    };
    let cased = name.chars().map(|c| if dice.roll(4) == 0 { c.to_ascii_uppercase() } else { c });
    let cased: String = cased.collect();
    let mut packet = query(&cased, TYPES[dice.roll(TYPES.len())]);
    packet[0] = dice.roll(256) as u8;
    packet[2] = dice.roll(2) as u8;
    let end = packet.len();
    match dice.roll(100) {
        0 => packet[2] |= 0x80,
        1 => packet[2] |= [1, 2, 4, 5][dice.roll(4)] << 3,
        2 => packet[end - 1] = [3, 4, 255][dice.roll(3)],
        3 => {
            packet[5] = 2;
            packet.extend_from_within(12..);
        }
        4 => {
            packet[[7, 9][dice.roll(2)]] = 1;
            packet.extend_from_slice(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01a");
        }
        _ => {}
    }
    if dice.roll(4) > 0 {
        // Every size from 0 to 1,500, and those beyond.
        let size = match dice.roll(20) {
            0 => [4_096, 65_535][dice.roll(2)],
            _ => dice.roll(1_501) as u16,
        };
        let options: [&[u8]; 6] = [
            b"",
            b"",
            b"\x00\x0c\x00\x02\0\0",
            b"\x00\x0b\x00\x00",
            b"\x00\x0a\x00\x08clientck",
            b"\x00\x0a\x00\x07clientc\x00\x0a\x00\x08clientck",
        ];
        let version = u8::from(dice.roll(50) == 0);
        let flags = [0, 0x8000, 0xc000, 0x4000][dice.roll(4)];
        packet = with_opt(packet, size, version, flags, options[dice.roll(options.len())]);
    }
    if dice.roll(100) == 0 {
        packet.push(0);
    }
    packet
}

/// The zone of the other tests, and a name for each number of values up to those that fit no datagram.
fn numbered() -> Zone {
    let zone = zone();
    let values: Vec<LiveValue> = ('a'..='z').map(|letter| value(letter, true)).collect();
    for count in 0..NUMBERED {
        // Every third with persistent values of one and of two character-strings.
        let persistent = if count % 3 == 0 { vec![persistent(60), persistent(400)] } else { Vec::new() };
        zone.live.put(&format!("n{count}"), Some(OwnerState::of(&values[..count]).with(persistent)));
    }
    zone
}

/// The zone with signatures, of one key and of two.
fn signed(phase: Phase, keys: usize) -> Zone {
    let keys = (0..keys).map(|_| key(Algorithm::EcdsaP256)).collect();
    Zone { signing: signed_by(phase, keys).signing, ..numbered() }
}

/// The first difference in `rounds` generated queries. `spoil` may change what we reply.
fn difference(zone: Zone, rounds: usize, mut spoil: impl FnMut(usize, &mut Said)) -> Option<String> {
    let (responder, reference) = Reference::beside(Zones::new(vec![zone]));
    let mut dice = Dice(0x6469_6666);
    let mut unclear = 0;
    for round in 0..rounds {
        let packet = generated(&mut dice);
        let transport = TRANSPORTS[round % TRANSPORTS.len()];
        let (mut ours, theirs) = reference.both(&responder, &packet, source(transport));
        spoil(round, &mut ours);
        unclear += usize::from(theirs == Said::Unclear);
        if theirs != Said::Unclear && ours != theirs {
            return Some(format!("{transport:?} {packet:02x?}\nours   {ours:02x?}\ntheirs {theirs:02x?}"));
        }
    }
    assert!(unclear <= rounds / 1_000, "{unclear} of {rounds} could not be compared");
    None
}

#[test]
fn both_codecs_write_the_same_bytes() {
    assert_eq!(difference(numbered(), ORDINARY, |_, _| {}), None);
}

#[test]
fn both_codecs_write_the_same_bytes_for_signed_zones() {
    assert_eq!(difference(signed(Phase::Offered, 1), ORDINARY, |_, _| {}), None);
    assert_eq!(difference(signed(Phase::Doubled, 2), ORDINARY, |_, _| {}), None);
}

#[test]
#[ignore = "a minute: `cargo test --release -- --ignored codecs`"]
fn both_codecs_write_the_same_bytes_for_a_million_queries() {
    assert_eq!(difference(numbered(), MANY, |_, _| {}), None);
    assert_eq!(difference(signed(Phase::Offered, 1), MANY, |_, _| {}), None);
}

#[test]
fn a_planted_difference_is_found() {
    // One bit of one byte in one reply of a thousand.
    let planted = |round: usize, ours: &mut Said| {
        if let (777, Said::Reply(reply)) = (round, ours) {
            *reply.last_mut().unwrap() ^= 1;
        }
    };
    assert!(difference(numbered(), 1_000, planted).is_some());
}
