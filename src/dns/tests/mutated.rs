//! Pseudo-random damage to good messages: whatever comes in, the invariants hold.

use super::invariants::assert_invariants;
use super::*;
use crate::zone::signing::key::Algorithm;
use crate::zone::signing::phase::Phase;

const ROUNDS: usize = 200_000;

/// xorshift64*: the same messages on every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for name in ["shop", "many", "nothing", "alias2", "c1", "out", "down", ""] {
        for rtype in [1, 6, 16, 255] {
            let plain = query(&format!("{name}.{APEX}"), rtype);
            seeds.push(edns(plain.clone()));
            seeds.push(with_opt(plain.clone(), 600, 0, 0x8000, b"\x00\x0a\x00\x08clientck\x00\x0b\x00\x00"));
            seeds.push(plain);
        }
    }
    seeds
}

pub fn mutate(packet: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..1 + dice.roll(4) {
        let at = dice.roll(packet.len().max(1));
        match dice.roll(6) {
            0 => packet.truncate(at),
            1 => packet.insert(at.min(packet.len()), dice.roll(256) as u8),
            2 => packet.extend_from_within(at.min(packet.len())..),
            3 if at < packet.len() => packet[at] ^= 1 << dice.roll(8),
            // The header's counts and flags are where most decisions are.
            4 if packet.len() >= 12 => packet[2 + dice.roll(10)] = dice.roll(4) as u8,
            _ if at < packet.len() => packet[at] = dice.roll(256) as u8,
            _ => {}
        }
    }
    packet.truncate(4_096);
}

#[test]
fn whatever_comes_in_the_invariants_hold() {
    assert_unbroken(&responder(), ROUNDS, false);
}

#[test]
fn whatever_comes_in_they_hold_for_a_signed_zone() {
    let zone = signed_by(Phase::Doubled, vec![key(Algorithm::EcdsaP256), key(Algorithm::EcdsaP256)]);
    assert_unbroken(&responder_of(Zones::new(vec![zone])), ROUNDS / 2, true);
}

fn assert_unbroken(responder: &Responder, rounds: usize, is_signed: bool) {
    let seeds = seeds();
    let mut dice = Dice(0x7874_6761_7465);
    let mut out = Vec::new();
    let mut rcodes = [0; 16];
    for round in 0..rounds {
        let mut packet = seeds[dice.roll(seeds.len())].clone();
        mutate(&mut packet, &mut dice);
        let transport = if round % 4 == 0 { Transport::Tcp } else { Transport::Udp };
        out.clear();
        // Not through the net that turns a panic into SERVFAIL: here it must fail the test.
        match responder.respond_or_panic(&packet, source(transport), &mut out).replied() {
            None => {
                // A denial whose turn is too far away is the one query over a stream without an answer.
                let waits_too_long = is_signed && transport == Transport::Tcp;
                let is_silent = packet.len() < 12 || packet[2] & 0x80 != 0 || waits_too_long;
                assert!(out.is_empty() && is_silent, "{packet:02x?}");
            }
            Some(responded) => {
                assert!(packet.len() >= 12 && packet[2] & 0x80 == 0, "{packet:02x?}");
                assert_invariants(&packet, transport, &out);
                rcodes[usize::from(responded.rcode.low())] += 1;
            }
        }
    }
    // The mutations reach every road: NOERROR (and BADVERS), FORMERR, NXDOMAIN, NOTIMP, REFUSED, and no SERVFAIL.
    let [no_error, format_error, fault, name_error, not_implemented, refused, ..] = rcodes;
    assert!(
        [no_error, format_error, name_error, not_implemented, refused].iter().all(|count| *count > rounds / 200),
        "{rcodes:?}"
    );
    assert_eq!(fault, 0);
}
