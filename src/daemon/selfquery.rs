//! A query to this daemon itself, every ten seconds. A listener that runs but no longer answers shows in the log.
//!
//! The check only warns. A flood drops this query like any other, and a restart for that would complete the flood's work.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::time::interval;
use tracing::{debug, warn};

use crate::net::dns_client::{AskError, DnsClient, DnsReply, Protocol};
use crate::net::interfaces;
use crate::zone::Zones;

/// The time between two queries.
const ROUND: Duration = Duration::from_secs(10);

/// Asks `address` for the SOA of the first zone, for as long as the daemon runs.
pub async fn keep_asking(address: SocketAddr, zones: Zones, client: DnsClient) {
    let address = interfaces::reachable(address);
    let mut rounds = interval(ROUND);
    loop {
        rounds.tick().await;
        // invariant: a configuration has at least one zone
        let apex = zones.load()[0].name.apex().clone();
        match client.ask(address, Protocol::Udp, &apex, RecordType::SOA).await {
            Ok(reply) if is_ours(&reply) => {}
            Ok(reply) => warn!(%address, rcode = %reply.rcode(), "the daemon's query to itself got a wrong answer"),
            // Other questions fill the queue, so this round says nothing about the listener.
            Err(AskError::Busy) => {
                debug!(%address, "the daemon's query to itself was not sent: many others are under way")
            }
            Err(error) => warn!(%address, %error, "the daemon's query to itself got no answer"),
        }
    }
}

/// Whether the reply has the SOA alone and no error, or is truncated: a network over its limit gets that, our own as well.
fn is_ours(reply: &DnsReply) -> bool {
    reply.rcode() == ResponseCode::NoError && (reply.answer_count() == 1 || reply.is_truncated())
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, OpCode};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, RData, Record};

    use super::*;

    fn reply(rcode: ResponseCode, is_truncated: bool, answers: usize) -> DnsReply {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.response_code = rcode;
        message.metadata.truncation = is_truncated;
        for _ in 0..answers {
            message.add_answer(Record::from_rdata(Name::root(), 1, RData::A(A::new(192, 0, 2, 1))));
        }
        DnsReply::from(message)
    }

    #[test]
    fn an_answer_over_the_limit_of_our_own_network_is_no_wrong_one() {
        assert!(is_ours(&reply(ResponseCode::NoError, false, 1)));
        assert!(is_ours(&reply(ResponseCode::NoError, true, 0)));
        for wrong in [
            reply(ResponseCode::NoError, false, 0),
            reply(ResponseCode::NoError, false, 2),
            reply(ResponseCode::ServFail, false, 1),
            reply(ResponseCode::Refused, true, 0),
        ] {
            assert!(!is_ours(&wrong), "{wrong:?}");
        }
    }
}
