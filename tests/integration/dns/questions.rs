//! Messages that are no ordinary question.

use hickory_proto::op::ResponseCode;

use crate::harness::dns::{Change, ID, Reply, SOA, TXT, Tcp, Udp, ask, query, question, wire_name};
use crate::harness::{Process, Settings, ZONE};

const FORMERR: ResponseCode = ResponseCode::FormErr;

/// Sends what must get no reply, and a query behind it on the same socket: the first thing that comes is its reply.
fn assert_dropped(daemon: &Process, message: &[u8]) {
    let socket = Udp::to(daemon.dns());
    socket.send(message);
    let reply = Reply::of(socket.ask(&query(ZONE, SOA).id(0x7777)));
    assert_eq!(reply.message.metadata.id, 0x7777, "a reply to {message:02x?}");
}

#[test]
fn responses_and_stumps_get_no_reply() {
    let daemon = Process::start(&Settings::default());
    for flags in [0x8000, 0x8400, 0x8180, 0xa800] {
        assert_dropped(&daemon, &query(ZONE, SOA).flags(flags));
    }
    assert_dropped(&daemon, &query(ZONE, SOA).flags(0x8000).count(0, 7));
    for length in 0..12 {
        assert_dropped(&daemon, &query(ZONE, SOA)[..length]);
    }
}

#[test]
fn a_response_over_tcp_gets_no_reply_and_what_follows_does() {
    let daemon = Process::start(&Settings::default());
    let mut stream = Tcp::to(daemon.dns());
    stream.send(&query(ZONE, SOA).flags(0x8000));
    stream.send(&query(ZONE, SOA).id(9));
    assert_eq!(Reply::of(stream.receive()).message.metadata.id, 9);
}

#[test]
fn other_opcodes_are_not_implemented() {
    let daemon = Process::start(&Settings::default());
    // IQUERY, STATUS, NOTIFY, UPDATE, DSO, and one that nobody has.
    for opcode in [1, 2, 4, 5, 6, 15] {
        let asked = query(ZONE, SOA).flags(opcode << 11);
        for (message, opt) in [(asked.clone(), 0), (asked.edns(1_232), 1)] {
            let reply = ask(daemon.dns(), &message);
            assert_eq!(reply.bytes[..4], [0x5a, 0x17, 0x80 | (opcode << 3) as u8, 4], "opcode {opcode}");
            assert_eq!(reply.counts(), [1, 0, 0, opt], "the question and OPT come back");
        }
    }
}

#[test]
fn exactly_one_question() {
    let daemon = Process::start(&Settings::default());
    let none = query(ZONE, SOA)[..12].to_vec().count(0, 0);
    let two = query(ZONE, SOA).count(0, 2).and(&question(ZONE, TXT, 1));
    let promised = query(ZONE, SOA).count(0, 2);
    for message in [none, two, promised] {
        let reply = ask(daemon.dns(), &message);
        assert_eq!((reply.rcode(), reply.counts()), (FORMERR, [0, 0, 0, 0]), "{message:02x?}");
    }
    let none = query(ZONE, SOA)[..12].to_vec().count(0, 0).edns(1_232);
    assert_eq!(ask(daemon.dns(), &none).counts(), [0, 0, 0, 1]);
}

#[test]
fn malformed_messages_are_format_errors() {
    let daemon = Process::start(&Settings::default());
    let header = query(ZONE, SOA)[..12].to_vec();
    for (what, message) in [
        ("an byte too many", query(ZONE, SOA).and(&[0])),
        ("a name without an end", header.clone().and(&[3, b'a', b'b'])),
        ("a pointer to itself", header.clone().and(&[0xc0, 12, 0, 6, 0, 1])),
        ("a label type of no meaning", header.clone().and(&[0x40, 0, 6, 0, 1])),
        ("a name of 256 bytes", header.and(&wire_name(&"a.".repeat(128))).and(&[0, 6, 0, 1])),
        ("an answer in a query", query(ZONE, SOA).count(1, 1).and(&[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])),
        ("a promised record", query(ZONE, SOA).count(3, 1)),
        ("two OPTs", query(ZONE, SOA).edns(1_232).edns(1_232)),
        ("an OPT that is not at the root", {
            let mut message = query(ZONE, SOA).count(3, 1).and(&[1, b'a', 0]);
            message.extend([0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
            message
        }),
        ("an option that runs out", query(ZONE, SOA).opt(1_232, 0, 0, &[0, 10, 0, 9, 1])),
    ] {
        let reply = ask(daemon.dns(), &message);
        assert_eq!((reply.rcode(), reply.answers().len()), (FORMERR, 0), "{what}");
        assert!(!reply.is_authoritative(), "{what}");
    }
    assert!(ask(daemon.dns(), &query(ZONE, SOA).edns(1_232).edns(1_232)).has_opt(), "two OPTs get one");
}

#[test]
fn a_newer_edns_version_is_badvers_with_version_0() {
    let daemon = Process::start(&Settings::default());
    let reply = ask(daemon.dns(), &query(ZONE, SOA).opt(1_232, 1, 0x8000, &[]));
    // 16 is BADVERS and BADSIG; the decoder says the latter.
    assert_eq!((u16::from(reply.rcode()), reply.answers().len()), (16, 0));
    // The high bits of BADVERS (16), and version 0.
    assert!(reply.bytes.ends_with(&[0, 0, 41, 4, 0xd0, 1, 0, 0x80, 0, 0, 0]), "{:02x?}", reply.bytes);
}

#[test]
fn opt_comes_back_exactly_where_one_was_sent() {
    let daemon = Process::start(&Settings::default());
    for name in [ZONE, "nothing.auth.example.org", "example.com"] {
        assert!(!ask(daemon.dns(), &query(name, SOA)).has_opt(), "{name}");
        assert!(ask(daemon.dns(), &query(name, SOA).edns(0)).has_opt(), "{name}");
    }
}

#[test]
fn unknown_options_and_flags_are_ignored_and_do_is_copied() {
    let daemon = Process::start(&Settings::default());
    let options = [0xfd, 0xe9, 0, 3, 1, 2, 3, 0, 3, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0];
    for (sent, back) in [(0x0000, [0, 0]), (0x8000, [0x80, 0]), (0x7fff, [0, 0]), (0xffff, [0x80, 0])] {
        let reply = ask(daemon.dns(), &query(ZONE, SOA).opt(1_232, 0, sent, &options));
        assert_eq!((reply.rcode(), reply.answers().len()), (ResponseCode::NoError, 1));
        let length = reply.bytes.len();
        assert_eq!(reply.bytes[length - 4..length - 2], back, "flags {sent:04x}");
        assert_eq!(reply.bytes[length - 2..], [0, 0], "no option comes back");
    }
}

#[test]
fn header_flags_of_a_query_do_not_come_back_but_for_rd() {
    let daemon = Process::start(&Settings::default());
    // RD, AD, CD and Z set: AA and RD in the reply, nothing else.
    for (sent, back) in [(0x0000, [0x84, 0]), (0x0100, [0x85, 0]), (0x01f0, [0x85, 0]), (0x0680, [0x84, 0])] {
        assert_eq!(ask(daemon.dns(), &query(ZONE, SOA).flags(sent)).bytes[2..4], back, "{sent:04x}");
    }
    assert_eq!(ask(daemon.dns(), &query(ZONE, SOA)).bytes[..2], ID.to_be_bytes());
}

#[test]
fn zone_transfers_and_types_of_messages_are_refused() {
    let daemon = Process::start(&Settings::default());
    for rtype in [251, 252] {
        let reply = ask(daemon.dns(), &query(ZONE, rtype).edns(1_232));
        assert_eq!((reply.rcode(), reply.ede()), (ResponseCode::Refused, Some(18)), "type {rtype}");
    }
    for rtype in [41, 128, 249, 250] {
        assert_eq!(ask(daemon.dns(), &query(ZONE, rtype)).rcode(), FORMERR, "type {rtype}");
    }
}

#[test]
fn every_address_of_a_wildcard_socket_answers_from_itself() {
    let daemon = Process::start(&Settings::default().with("dns", "listen = [\"0.0.0.0:0\"]"));
    for address in ["127.0.0.1", "127.0.0.2", "127.3.2.1"] {
        // A connected socket hears nothing from any other address.
        let server = std::net::SocketAddr::new(address.parse().unwrap(), daemon.dns().port());
        assert_eq!(ask(server, &query(ZONE, SOA)).of_type(SOA), 1, "{address}");
    }
}
