//! A query event as a line of JSON.

use hickory_proto::op::{OpCode, ResponseCode};

use crate::dns::query_event::QueryEvent;
use crate::model::network::QueryNetwork;

use super::super::types::watch::{WatchedEde, WatchedMessage};

/// The event as one line. `is_private`: with the sender's network in place of its address.
pub fn line(event: &QueryEvent, is_private: bool) -> String {
    // invariant: a struct of texts, numbers and lists always becomes JSON
    serde_json::to_string(&message(event, is_private)).unwrap_or_default()
}

fn message(event: &QueryEvent, is_private: bool) -> WatchedMessage {
    let address = event.source.address;
    let source = if is_private { QueryNetwork::of(address).address() } else { address };
    let question = event.question.as_ref();
    let name = question.and_then(|question| question.name.canonical());
    let key = event.key.as_ref();
    WatchedMessage {
        time: event.at.to_string(),
        source: source.to_string(),
        transport: event.source.transport.as_str().to_owned(),
        opcode: opcode_text(event.opcode),
        name: name.map(|name| name.to_string()),
        name_as_sent: question.map(|question| question.name.to_string()),
        rtype: question.map(|question| question.rtype.to_string()),
        edns_size: event.edns.map(|edns| edns.udp_size),
        dnssec_ok: event.edns.is_some_and(|edns| edns.dnssec_ok),
        cookie: event.cookie.as_str().to_owned(),
        key: key.map(|key| key.name.to_string()),
        key_error: key.and_then(|key| key.error).map(|error| error.as_str().to_owned()),
        updated: event.updated.iter().map(ToString::to_string).collect(),
        outcome: event.outcome.as_str().to_owned(),
        limited: event.outcome.is_limited(),
        rcode: rcode_text(event.rcode),
        ede: event.ede.map(|ede| WatchedEde { code: ede.code, text: ede.text.to_string() }),
        truncated: event.is_truncated,
        size: event.size,
        values: event.values.clone(),
    }
}

fn opcode_text(opcode: u8) -> String {
    match OpCode::from_u8(opcode) {
        OpCode::Unknown(number) => format!("OPCODE{number}"),
        known => format!("{known:?}").to_ascii_uppercase(),
    }
}

/// The response code as dig prints it: `NoError` reads NOERROR.
fn rcode_text(rcode: ResponseCode) -> String {
    format!("{rcode:?}").to_ascii_uppercase()
}
