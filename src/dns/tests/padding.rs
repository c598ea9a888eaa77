//! Padding of replies (RFC 7830, RFC 8467), where others cannot read along.

use super::*;

/// A Padding option without bytes.
const ASKED: &[u8] = b"\x00\x0c\x00\x00";

fn respond(responder: &Responder, packet: &[u8], transport: Transport) -> Vec<u8> {
    let mut out = Vec::new();
    responder.respond(packet, source(transport), &mut out).replied().unwrap();
    out
}

/// The length of the Padding option, which must be the last one and hold zeros.
fn padding(reply: &[u8]) -> Option<usize> {
    let message = Message::from_vec(reply).unwrap();
    let options = &message.edns.as_ref()?.options().options;
    let at = options.iter().position(|(code, _)| u16::from(*code) == 12)?;
    assert_eq!(at, options.len() - 1, "behind all other options (RFC 8467 section 3)");
    let data = Vec::<u8>::try_from(&options[at].1).unwrap();
    assert!(data.iter().all(|byte| *byte == 0), "RFC 7830 section 3");
    Some(data.len())
}

/// RFC 7830 section 4: who sends the option over TLS gets it back; section 6: never in the clear. RFC 9250 section 5.4:
/// always over QUIC, as far as there is an OPT record.
#[test]
fn replies_are_padded_where_the_content_is_hidden() {
    let responder = responder();
    let question = query("shop.auth.example.org", 16);
    let cookie = b"\x00\x0c\x00\x04abcd\x00\x0a\x00\x08clientck";
    for (packet, over_tls, over_quic) in [
        (question.clone(), false, false),
        (edns(question.clone()), false, true),
        (with_opt(question.clone(), 1_232, 0, 0, ASKED), true, true),
        (with_opt(question.clone(), 512, 0, 0x8000, cookie), true, true),
        (with_opt(question, 512, 1, 0, ASKED), true, true),
        (with_opt(query("example.net", 16), 512, 0, 0, ASKED), true, true),
        (with_opt(query(APEX, 252), 512, 0, 0, ASKED), true, true),
        (with_opt(query(&format!("{}.{APEX}", "x".repeat(63)), 16), 512, 0, 0, ASKED), true, true),
    ] {
        for (transport, is_padded) in
            [(Transport::Udp, false), (Transport::Tcp, false), (Transport::Tls, over_tls), (Transport::Quic, over_quic)]
        {
            let reply = respond(&responder, &packet, transport);
            assert_eq!(padding(&reply).is_some(), is_padded, "{transport:?} {packet:02x?}");
            assert!(!is_padded || reply.len() == 468, "{transport:?} {packet:02x?}: {}", reply.len());
        }
    }
    let many = respond(&responder, &with_opt(query("many.auth.example.org", 16), 512, 0, 0, ASKED), Transport::Tls);
    assert_eq!((many.len(), Message::from_vec(&many).unwrap().answers.len()), (7 * 468, 52));
}

/// A responder with a name whose answer with an OPT record has just so many bytes.
fn answering_with(length: usize) -> Responder {
    let zone = zone();
    let question = query("big.auth.example.org", 16).len();
    let values: Vec<LiveValue> = (0..1_000)
        .map(|number| LiveValue { txt: format!("{number:_>43}").parse().unwrap(), ..value('n', true) })
        .collect();
    let mut rest = length - question - 11 - values.len() * 56;
    let mut long = Vec::new();
    // Each record has 12 bytes, and one more for each of its character-strings.
    while rest > 600 {
        long.push(persistent(400));
        rest -= 414;
    }
    long.push(persistent(if rest > 268 { rest - 14 } else { rest - 13 }));
    zone.live.put("big", Some(OwnerState::of(&values).with(long)));
    responder_of(Zones::new(vec![zone]))
}

#[test]
fn padding_ends_with_the_longest_message() {
    let packet = with_opt(query("big.auth.example.org", 16), 1_232, 0, 0, ASKED);
    for (length, padded) in [
        (65_515, Some(65_520)),
        (65_516, Some(65_520)),
        (65_517, Some(65_535)),
        (65_531, Some(65_535)),
        (65_532, None),
        (65_535, None),
    ] {
        let responder = answering_with(length);
        assert_eq!(respond(&responder, &packet, Transport::Tcp).len(), length);
        let reply = respond(&responder, &packet, Transport::Tls);
        assert_eq!((reply[2] & 2, reply.len()), (0, padded.unwrap_or(length)), "{length}");
        assert_eq!(padding(&reply), padded.map(|padded| padded - length - 4), "{length}");
    }
    // What does not even fit without padding is truncated, and has the length of any short reply.
    let reply = respond(&answering_with(65_536), &packet, Transport::Tls);
    assert_eq!((reply[2] & 2, reply.len()), (2, 468));
}
