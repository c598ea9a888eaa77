//! Raw messages in, raw messages out, judged by another decoder.

mod answers;
mod differential;
mod manners;
mod mutated;
mod proofs;
mod questions;
mod quic;
mod signed;
mod sizes;
mod tcp;
mod tsig;
mod udp;
mod watching;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use crate::metrics::Metrics;
use crate::name::Name;
use crate::serial::Serial;
use crate::time::{Clock, Timestamp};
use crate::txt::LiveValue;
use crate::zone::live::{Live, Slot};
use crate::zone::snippet::StaticRecords;
use crate::zone::soa::Soa;
use crate::zone::{Zone, Zones};

use super::watch::Watchers;
use super::{Manners, Responder, Source, Transport};

pub const APEX: &str = "auth.example.org";
const SNIPPET: &str = "\
ns1 A 192.0.2.1
ns2 A 192.0.2.2
@ CAA 0 issue \"letsencrypt.org\"
deep.down A 192.0.2.3
alias CNAME Ns1
alias2 CNAME alias
out CNAME www.Example.COM.
gone CNAME nothing
to-shop CNAME shop
to-empty CNAME empty
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME c6
c6 CNAME c7
c7 CNAME c8
c8 CNAME shop
";

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn value(letter: char, is_live: bool) -> LiveValue {
    let expires = Timestamp::from_unix(if is_live { 4_000_000_000 } else { 10 });
    let txt = letter.to_string().repeat(43).parse().unwrap();
    LiveValue { txt, published: Timestamp::from_unix(5), expires }
}

pub fn zone() -> Zone {
    let soa = Soa {
        mname: name("ns1.auth.example.org"),
        rname: name("hostmaster.example.org"),
        refresh: 1,
        retry: 2,
        expire: 3,
        negative_ttl: 30,
    };
    let ns = [name("ns1.auth.example.org"), name("ns2.auth.example.org")];
    let statics = StaticRecords::parse(&APEX.parse().unwrap(), &ns, SNIPPET).unwrap();
    let live = Live::new(Serial(7));
    live.put("shop", Some(Slot::of(&[value('n', true), value('x', false), value('o', true)])));
    live.put("past", Some(Slot::of(&[value('x', false)])));
    live.put("empty", Some(Slot::Empty));
    live.put("off", Some(Slot::Disabled));
    live.put("over", Some(Slot::Expired(Timestamp::from_unix(10))));
    let many: Vec<LiveValue> = ('A'..='Z').chain('a'..='z').map(|letter| value(letter, true)).collect();
    live.put("many", Some(Slot::of(&many)));
    Zone { name: APEX.parse().unwrap(), soa, txt_ttl: 1, statics, live: Arc::new(live), dnssec: None, signing: None }
}

pub fn responder() -> Responder {
    responder_of(Zones::new(vec![zone()]))
}

pub fn responder_of(zones: Zones) -> Responder {
    responder_with(zones, Manners::plain().unwrap())
}

pub fn responder_with(zones: Zones, manners: Manners) -> Responder {
    Responder::new(zones, Clock::start(None), Arc::new(Metrics::default()), Watchers::default(), manners)
}

pub fn source(transport: Transport) -> Source {
    Source { address: IpAddr::V4(Ipv4Addr::LOCALHOST), transport }
}

/// A query without EDNS; `name` keeps its case.
pub fn query(name: &str, rtype: u16) -> Vec<u8> {
    let mut packet = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(b"\x00\x01");
    packet
}

/// Adds an OPT record.
pub fn with_opt(mut packet: Vec<u8>, size: u16, version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    packet[11] += 1;
    packet.extend_from_slice(b"\x00\x00\x29");
    packet.extend_from_slice(&size.to_be_bytes());
    packet.extend_from_slice(&[0, version]);
    packet.extend_from_slice(&flags.to_be_bytes());
    packet.extend_from_slice(&(options.len() as u16).to_be_bytes());
    packet.extend_from_slice(options);
    packet
}

pub fn edns(packet: Vec<u8>) -> Vec<u8> {
    with_opt(packet, 1_232, 0, 0, &[])
}

pub fn raw(packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut out = b"before".to_vec();
    let responded = responder().respond(packet, source(transport), &mut out);
    assert_eq!(&out[..6], b"before");
    assert_eq!(responded.is_none(), out.len() == 6);
    responded.map(|_| out[6..].to_vec())
}

pub fn reply(packet: &[u8]) -> Message {
    Message::from_vec(&raw(packet, Transport::Udp).expect("a reply")).expect("a message")
}

pub fn ask(name: &str, rtype: RecordType) -> Message {
    reply(&edns(query(name, rtype.into())))
}

pub fn rcode(message: &Message) -> ResponseCode {
    message.metadata.response_code
}

pub fn txts(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.to_string()),
            _ => None,
        })
        .collect()
}
