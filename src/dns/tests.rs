//! Raw messages in, raw messages out, judged by another decoder.
//!
//! [`fixture`], [`invariants`] and [`reference`] name all that they use from the crate's root, because the fuzz targets
//! take them in as well (`fuzz/src/lib.rs`).

mod answers;
mod differential;
mod fixture;
mod invariants;
mod logging;
pub mod mutated;
mod padding;
mod policy;
mod proofs;
mod questions;
mod quic;
mod reference;
mod signed;
mod sizes;
mod store_fixture;
mod tcp;
mod transfers;
mod tsig;
mod udp;
mod updates;
mod watching;

use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use crate::model::time::{Clock, Timestamp};
use crate::model::txt::LiveValue;
use crate::zone::owner_state::OwnerState;
use crate::zone::signing::key::Algorithm;
use crate::zone::signing::phase::Phase;
use crate::zone::signing::{Keys, Signing};
use crate::zone::{Zone, Zones};

use super::{MessageSource, Responder, ResponsePolicy, Transport};

use fixture::*;

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
    let responded = responder().respond(packet, source(transport), &mut out).replied();
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

/// Denials that [`seldom_denying`] signs each second.
const FEW_DENIALS: u32 = 10;

/// A signed zone whose limit of denials is reached on a slow machine as well.
fn seldom_denying() -> Responder {
    let keys = Keys { apex: name(APEX), phase: Phase::Offered, keys: vec![key(Algorithm::EcdsaP256)], ttl: 60 };
    let signing = Signing::new(keys, Clock::start(None)).map(|signing| Arc::new(signing.with_denials(FEW_DENIALS)));
    responder_of(Zones::new(vec![Zone { signing, ..zone() }]))
}
