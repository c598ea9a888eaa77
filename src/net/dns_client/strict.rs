//! Direct questions as the strict resolvers of CAs ask them.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;

use super::client::DnsClient;
use super::direct::Protocol;
use super::error::AskError;
use super::exchange::{any_source, over_tcp, over_udp, query};
use super::reply::DnsReply;

/// A question as it was sent, and what came back.
#[derive(Debug)]
pub struct StrictReply {
    /// The name with the letters as they were sent.
    pub sent: String,
    /// How the reply arrived: [`Protocol::Udp`] or [`Protocol::Tcp`].
    pub protocol: Protocol,
    /// The time until the reply.
    pub elapsed: Duration,
    /// The reply, whatever its response code.
    pub reply: Result<DnsReply, AskError>,
}

impl DnsClient {
    /// Asks one server as a CA's resolver does: in letters of random case that must come back unchanged
    /// (draft-vixie-dnsext-dns0x20), with EDNS, 1,232 bytes and the DO bit.
    ///
    /// The question leaves from the first of `sources` of the server's family; the kernel chooses an address if there is
    /// none. Takes as long as [`DnsClient::ask`] at most.
    pub async fn ask_strictly(
        &self,
        sources: &[IpAddr],
        server: SocketAddr,
        protocol: Protocol,
        name: &Name,
        rtype: RecordType,
    ) -> StrictReply {
        let server = self.way_to(server);
        let own = sources.iter().copied().find(|source| source.is_ipv4() == server.is_ipv4());
        let source = own.unwrap_or_else(|| any_source(server));
        let start = Instant::now();
        let question = match strict_query(name, rtype) {
            Ok(question) => question,
            Err(error) => return failed(name.to_string(), protocol, error),
        };
        let sent = question.queries.first().map(|query| query.name().to_ascii()).unwrap_or_default();
        let Some(_permit) = self.permit().await else { return failed(sent, protocol, AskError::Busy) };
        let (protocol, answer) = exchange(source, server, protocol, &question).await;
        let reply = answer.and_then(|answer| in_same_case(&question, answer));
        StrictReply { sent, protocol, elapsed: start.elapsed(), reply: reply.map(DnsReply::from) }
    }
}

/// A query in letters of random case, with the DO bit.
fn strict_query(name: &Name, rtype: RecordType) -> Result<Message, AskError> {
    let mut question = query(name, rtype)?;
    if let Some(asked) = question.queries.first_mut() {
        let mut name = asked.name().clone();
        name.randomize_label_case();
        asked.set_name(name);
    }
    if let Some(edns) = &mut question.edns {
        edns.set_dnssec_ok(true);
    }
    Ok(question)
}

async fn exchange(
    source: IpAddr,
    server: SocketAddr,
    protocol: Protocol,
    question: &Message,
) -> (Protocol, Result<Message, AskError>) {
    if protocol == Protocol::Tcp {
        return (Protocol::Tcp, over_tcp(source, server, question).await);
    }
    let answer = over_udp(source, server, question).await;
    let is_truncated = answer.as_ref().is_ok_and(|answer| answer.metadata.truncation);
    if protocol == Protocol::UdpThenTcp && is_truncated {
        return (Protocol::Tcp, over_tcp(source, server, question).await);
    }
    (Protocol::Udp, answer)
}

/// The answer, if it repeats the question's letters one by one. Names are equal whatever the case of their letters, so the
/// exchange has not compared it.
fn in_same_case(question: &Message, answer: Message) -> Result<Message, AskError> {
    let same = question.queries.iter().zip(&answer.queries).all(|(sent, back)| sent.name().eq_case(back.name()));
    if same { Ok(answer) } else { Err(AskError::CaseChanged) }
}

fn failed(sent: String, protocol: Protocol, error: AskError) -> StrictReply {
    StrictReply { sent, protocol, elapsed: Duration::ZERO, reply: Err(error) }
}
