//! What holds for every reply, whatever was asked; and for every message that gets none.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::DNSClass;

use crate::dns::Transport;

/// Checks a reply against its query, as another decoder reads both.
pub fn assert_invariants(packet: &[u8], transport: Transport, reply: &[u8]) {
    assert!(may_have_a_reply(packet), "{packet:02x?} -> {reply:02x?}");
    let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{error}: {packet:02x?} -> {reply:02x?}"));
    assert_eq!(reply[..2], packet[..2], "the id");
    assert_eq!(reply[2] & 0x78, packet[2] & 0x78, "the opcode");
    assert_ne!(reply[2] & 0x80, 0);
    assert_eq!(reply[3] & 0xf0, 0, "RA, Z, AD and CD are clear");
    let question = &reply[12..];
    let length = if message.queries.is_empty() { 0 } else { question_length(question) };
    assert!(packet[12..].starts_with(&question[..length]), "the question is an echo");
    let query = Message::from_vec(packet).ok();
    let limit = limit(transport, &message, query.as_ref());
    let size = reply.len();
    assert!(size <= limit, "{size} bytes of {limit}: {packet:02x?} -> {reply:02x?}");
    let is_format_error = message.metadata.response_code == ResponseCode::FormErr;
    if let (Some(query), false) = (query, is_format_error) {
        assert_eq!(message.edns.is_some(), query.edns.is_some(), "OPT where the query has one: {packet:02x?}");
    }
    // BADVERS, which has the number of BADSIG.
    let is_other_version = u16::from(message.metadata.response_code) == 16;
    if !is_format_error && !is_other_version && reply[2] & 0x78 == 0 && packet[4..6] != [0, 0] {
        assert_eq!(message.queries.len(), 1);
    }
    let is_statement = !message.answers.is_empty() || !message.authorities.is_empty();
    // The server is not authoritative for other classes (RFC 1035 section 6.2).
    let is_any = message.queries.iter().any(|asked| asked.query_class() == DNSClass::ANY);
    assert!(!is_statement || message.metadata.authoritative != is_any, "{packet:02x?} -> {reply:02x?}");
    assert!(!message.metadata.truncation || !is_statement);
}

/// Not a response, and no shorter than a header.
pub fn may_have_a_reply(packet: &[u8]) -> bool {
    packet.len() >= 12 && packet[2] & 0x80 == 0
}

/// What the client takes. Where the other decoder cannot read the query, only the largest size is sure.
fn limit(transport: Transport, reply: &Message, query: Option<&Message>) -> usize {
    let asked = query.and_then(|query| query.edns.as_ref()).map(|edns| usize::from(edns.max_payload()));
    match (transport, &reply.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Quic, _) => 65_535,
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some(_)) => asked.map_or(1_232, |size| size.clamp(512, 1_232)),
    }
}

fn question_length(question: &[u8]) -> usize {
    let mut at = 0;
    while question[at] != 0 {
        at += 1 + usize::from(question[at]);
    }
    at + 5
}
