//! UPDATEs out of the hat, signed and broken in every way: nobody's values change but those of whose key has signed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use super::account_with_key;
use crate::harness::dns::{Change, Tcp, txts};
use crate::harness::tsig::{FUDGE, Key, now};
use crate::harness::update::{ANY_CLASS, IN, NONE, Update, record, string};
use crate::harness::{Account, Process, Settings, ZONE, value};

const MESSAGES: usize = 10_000;
const SENDERS: usize = 4;
const ALIAS: &str = "_acme-challenge.example.com";

/// xorshift64*: the same messages on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

struct Party {
    account: Account,
    key: Key,
}

/// A message of somebody's, and what it is worth: whether it may change anything at all.
fn message(dice: &mut Dice, own: &Party, others: &[Party]) -> Vec<u8> {
    let names = [&own.account.fulldomain, ALIAS, &others[0].account.fulldomain, &others[1].account.fulldomain, ZONE];
    let zones = [ZONE, ZONE, ZONE, ALIAS, "example.com", &own.account.fulldomain];
    let mut update = Update::of(zones[dice.roll(zones.len())]).id(dice.roll(65_536) as u16);
    for _ in 0..dice.roll(2) {
        let (name, class) = (*dice.one(&names), *dice.one(&[NONE, ANY_CLASS]));
        update = update.when(record(name, *dice.one(&[16, 255]), class, 0, &[]));
    }
    for _ in 0..1 + dice.roll(3) {
        // Mostly its own name, or hardly any message would be right as a whole.
        let name = if dice.roll(3) > 0 { names[0] } else { *dice.one(&names) };
        let txt = value(1_000 + dice.roll(20) as u64);
        update = match dice.roll(6) {
            0 | 1 => update.add(name, &txt),
            2 => update.delete(name, &txt),
            3 => update.clear(name, *dice.one(&[16, 255])),
            4 => update.then(record(name, dice.roll(260) as u16, IN, 60, &string(&txt))),
            _ => update.then(record(name, 16, *dice.one(&[1, 3, 254, 255]), dice.roll(2) as u32, &string(&txt))),
        };
    }
    let bytes = update.bytes();
    if dice.roll(4) == 0 { bytes.edns(1_232) } else { bytes }
}

/// Signs it, well or badly, and breaks some.
fn signed(dice: &mut Dice, message: &[u8], own: &Party, others: &[Party]) -> Vec<u8> {
    let stranger = &dice.one(others).key;
    let mut bytes = match dice.roll(8) {
        0 => Key { secret: own.key.secret.clone(), ..stranger.clone() }.sign(message).bytes,
        1 => own.key.sign_at(message, now() - 400, FUDGE).bytes,
        2 => own.key.with_mac(message, now(), FUDGE, &[7; 32]).bytes,
        3 => message.to_vec(),
        _ => own.key.sign(message).bytes,
    };
    if dice.roll(3) == 0 {
        for _ in 0..1 + dice.roll(3) {
            let at = dice.roll(bytes.len());
            match dice.roll(4) {
                0 => bytes.truncate(at.max(12)),
                1 => bytes.insert(at, dice.roll(256) as u8),
                2 => bytes[at] ^= 1 << dice.roll(8),
                _ => bytes[at] = dice.roll(256) as u8,
            }
        }
    }
    bytes
}

/// Sends them one by one; counts replies by rcode. What gets no reply is followed by a question that does.
fn send(dns: SocketAddr, messages: &[Vec<u8>]) -> BTreeMap<u8, usize> {
    let mut rcodes = BTreeMap::new();
    let mut stream = Tcp::to(dns);
    for message in messages {
        let mut probe = crate::harness::dns::query(ZONE, 6);
        // An id that no message here begins with, unless by the one chance in 65,536, which is then no harm.
        probe = probe.id(0xfffe);
        stream.send(message);
        stream.send(&probe);
        loop {
            let reply = stream.receive();
            if reply[..2] == [0xff, 0xfe] && reply[2] & 0x78 == 0 {
                break;
            }
            *rcodes.entry(reply[3] & 0xf).or_insert(0) += 1;
        }
    }
    rcodes
}

#[test]
fn ten_thousand_random_updates_leave_others_values_untouched() {
    let daemon = Process::start(&Settings::default().with("log", "level = \"warn\""));
    let party = |number: u64| {
        let (account, key) = account_with_key(daemon.home(), "hmac-sha256");
        daemon.home().run_ok(&["account", "alias", "add", &account.username, ALIAS]);
        account.publish(daemon.api(), &value(number));
        Party { account, key }
    };
    let own: Vec<Party> = (0..SENDERS as u64).map(party).collect();
    let others: Vec<Party> = (10..12).map(party).collect();
    let rcodes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for (number, own) in own.iter().enumerate() {
            let (others, rcodes, dns) = (&others, &rcodes, daemon.dns());
            scope.spawn(move || {
                let mut dice = Dice(0x7570_6461_7465 + number as u64);
                let make = |dice: &mut Dice| {
                    let plain = message(dice, own, others);
                    signed(dice, &plain, own, others)
                };
                for _ in 0..10 {
                    // Signed just before they are sent: they must not grow too old meanwhile.
                    let messages: Vec<_> = (0..MESSAGES / SENDERS / 10).map(|_| make(&mut dice)).collect();
                    for (rcode, count) in send(dns, &messages) {
                        *rcodes.lock().unwrap().entry(rcode).or_insert(0) += count;
                    }
                }
            });
        }
    });
    let rcodes = rcodes.into_inner().unwrap();
    println!("{MESSAGES} random updates by rcode: {rcodes:?}");
    for rcode in [0, 1, 5, 9, 10] {
        assert!(rcodes.get(&rcode).is_some_and(|count| *count > 50), "rcode {rcode}: {rcodes:?}");
    }
    assert_eq!(rcodes.get(&2), None, "no SERVFAIL: {rcodes:?}");
    for (party, number) in others.iter().zip(10..) {
        assert_eq!(txts(daemon.dns(), &party.account.fulldomain), [value(number)]);
    }
    let changed = own.iter().zip(0..).filter(|(own, number)| {
        let served = txts(daemon.dns(), &own.account.fulldomain);
        served != [value(*number)]
    });
    assert!(changed.count() > 0, "the senders' own values have changed");
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
