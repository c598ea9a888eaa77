//! Direct questions to one server, without recursion.

use std::fmt;
use std::net::SocketAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;

#[cfg(doc)]
use super::client::Detours;
use super::client::DnsClient;
use super::error::AskError;
use super::exchange::{any_source, over_tcp, over_udp, query, signed_query};
use super::reply::DnsReply;

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// By datagrams alone: a truncated reply is returned as it is.
    Udp,
    /// Over a connection.
    Tcp,
    /// By datagrams, and over a connection if the reply is truncated: it is long, or the server limits its rate.
    UdpThenTcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::UdpThenTcp => "UDP and TCP",
        })
    }
}

impl DnsClient {
    /// Asks one server for the records of a name and type. Any reply to the question is a success, whatever its response
    /// code. Takes at most 2 seconds over UDP and 3 over TCP, plus 10 in the queue. A [detour](Detours) leads elsewhere.
    pub async fn ask(
        &self,
        server: SocketAddr,
        protocol: Protocol,
        name: &Name,
        rtype: RecordType,
    ) -> Result<DnsReply, AskError> {
        self.exchange(server, protocol, &query(name, rtype)?).await
    }

    /// The same with the signatures of the records (DO), by UDP, and by TCP if the reply is truncated.
    pub async fn ask_with_signatures(
        &self,
        server: SocketAddr,
        name: &Name,
        rtype: RecordType,
    ) -> Result<DnsReply, AskError> {
        self.exchange(server, Protocol::UdpThenTcp, &signed_query(name, rtype)?).await
    }

    /// Asks over UDP as a program from before EDNS does: what a server that knows no EDNS, or a firewall that drops it,
    /// lets through.
    pub async fn ask_without_edns(
        &self,
        server: SocketAddr,
        name: &Name,
        rtype: RecordType,
    ) -> Result<DnsReply, AskError> {
        let mut query = query(name, rtype)?;
        query.edns = None;
        self.exchange(server, Protocol::Udp, &query).await
    }

    async fn exchange(&self, server: SocketAddr, protocol: Protocol, query: &Message) -> Result<DnsReply, AskError> {
        let _permit = self.permit().await.ok_or(AskError::Busy)?;
        let server = self.way_to(server);
        let source = any_source(server);
        if protocol == Protocol::Tcp {
            return Ok(over_tcp(source, server, query).await?.into());
        }
        let reply = DnsReply::from(over_udp(source, server, query).await?);
        if protocol == Protocol::UdpThenTcp && reply.is_truncated() {
            return Ok(over_tcp(source, server, query).await?.into());
        }
        Ok(reply)
    }
}
