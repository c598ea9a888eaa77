//! Bytes of any content to a reply: the invariants hold, for unsigned and signed zones, in datagrams and streams, and
//! past the rate limit no reply is worth having sent to somebody else.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use txtgate::dns::limits::ReplyLimits;
use txtgate::dns::{MessageSource, Responder, ResponsePolicy, Transport};
use txtgate::zone::Zone;
use txtgate_fuzz::fixture::responder_with;
use txtgate_fuzz::invariants::{assert_invariants, may_have_a_reply};
use txtgate_fuzz::{only, sources, zones};

/// What a COOKIE option grows by: the server's part.
const SERVER_COOKIE: usize = 16;
/// Live values that are exempt from limits, and the bytes of one.
const FEW: usize = 4;
const VALUE: usize = 56;

struct Server {
    is_signed: bool,
    free: Responder,
    /// One answer a second.
    limited: Responder,
}

static SERVERS: LazyLock<[Server; 2]> = LazyLock::new(|| zones().map(Server::new));

fuzz_target!(|packet: &[u8]| {
    for server in &*SERVERS {
        for source in sources() {
            server.replies(packet, source);
        }
        server.keeps_to_its_limit(packet);
    }
});

impl Server {
    fn new(zone: Zone) -> Self {
        let is_signed = zone.signing.is_some();
        let limited = ResponsePolicy { limits: ReplyLimits::new(1), ..plain() };
        let zones = only(zone);
        Self { is_signed, free: responder_with(zones.clone(), plain()), limited: responder_with(zones, limited) }
    }

    fn replies(&self, packet: &[u8], source: MessageSource) {
        match ask(&self.free, packet, source) {
            Some(reply) => assert_invariants(packet, source.transport, &reply),
            None => {
                // A denial whose turn is too far away is the one query over a stream without an answer.
                let waits_too_long = self.is_signed && source.transport != Transport::Udp;
                assert!(!may_have_a_reply(packet) || waits_too_long, "no reply: {packet:02x?}");
            }
        }
    }

    /// Of two replies within a second, one is past the limit: it is no larger than its query but for a cookie, or it is
    /// what everybody may have, a few live values.
    fn keeps_to_its_limit(&self, packet: &[u8]) {
        let [datagram, ..] = sources();
        let replies = [(); 2].map(|()| ask(&self.limited, packet, datagram).unwrap_or_default());
        for reply in replies.iter().filter(|reply| !reply.is_empty()) {
            assert_invariants(packet, datagram.transport, reply);
        }
        let [first, second] = replies;
        let smaller = if first.len() < second.len() { first } else { second };
        let values = if smaller.is_empty() { 0 } else { usize::from(u16::from_be_bytes([smaller[6], smaller[7]])) };
        let bound = packet.len() + SERVER_COOKIE + values.min(FEW) * VALUE;
        assert!(smaller.len() <= bound, "{} bytes of {bound} for {packet:02x?}", smaller.len());
    }
}

fn plain() -> ResponsePolicy {
    ResponsePolicy::plain().expect("random numbers")
}

fn ask(responder: &Responder, packet: &[u8], source: MessageSource) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    responder.respond(packet, source, &mut out).replied().map(|_| out)
}
