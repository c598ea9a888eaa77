//! Direct questions to one server, without recursion.

use std::fmt;
use std::net::SocketAddr;

use hickory_proto::rr::RecordType;

use crate::model::name::Name;

use super::client::DnsClient;
use super::error::AskError;
use super::exchange::{over_tcp, over_udp, query};
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
    /// code. Takes at most 2 seconds over UDP and 3 over TCP, plus 10 in the queue.
    pub async fn ask(
        &self,
        server: SocketAddr,
        protocol: Protocol,
        name: &Name,
        rtype: RecordType,
    ) -> Result<DnsReply, AskError> {
        let _permit = self.permit().await.ok_or(AskError::Busy)?;
        let query = query(name, rtype)?;
        if protocol == Protocol::Tcp {
            return Ok(over_tcp(server, &query).await?.into());
        }
        let reply = DnsReply::from(over_udp(server, &query).await?);
        if protocol == Protocol::UdpThenTcp && reply.is_truncated() {
            return Ok(over_tcp(server, &query).await?.into());
        }
        Ok(reply)
    }
}
