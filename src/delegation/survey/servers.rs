//! What one address of a nameserver answers.

use std::net::SocketAddr;

use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use crate::delegation::parent::Nameserver;
use crate::delegation::signatures::dnskeys;
use crate::model::name::Name;
use crate::model::serial::Serial;
use crate::net::dns_client::{AskError, DnsReply, Protocol};

use super::Surveyor;

/// One address, and its answers for the zone.
#[derive(Debug)]
pub struct ServerSurvey {
    /// The nameserver and the address.
    pub server: Nameserver,
    /// The SOA over UDP, asked as strictly as a CA does: EDNS, letters of random case.
    pub udp: Result<DnsReply, AskError>,
    /// The SOA over TCP.
    pub tcp: Result<DnsReply, AskError>,
    /// The SOA over UDP without EDNS; asked where the strict question gave no usable answer.
    pub plain: Option<Result<DnsReply, AskError>>,
    /// Whether an answer with signatures is lost on its way, and one without them arrives.
    pub loses_large: bool,
    /// The NS records of the apex.
    pub names: Vec<Name>,
    /// The DNSKEY records of the apex.
    pub keys: Vec<DNSKEY>,
}

/// What tells a zone from another one of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoaView {
    /// The first nameserver.
    pub mname: String,
    /// The contact.
    pub rname: String,
    /// The serial.
    pub serial: Serial,
}

impl Surveyor {
    pub(super) async fn server(self, server: Nameserver, apex: Name) -> ServerSurvey {
        let at = self.at(&server);
        let client = &self.client;
        let (udp, tcp, names, keys) = tokio::join!(
            client.ask_strictly(&[], at, Protocol::Udp, &apex, RecordType::SOA),
            client.ask(at, Protocol::Tcp, &apex, RecordType::SOA),
            client.ask(at, Protocol::UdpThenTcp, &apex, RecordType::NS),
            client.ask_with_signatures(at, &apex, RecordType::DNSKEY)
        );
        let udp = udp.reply;
        let names = names.map(|reply| reply.nameservers_of(&apex)).unwrap_or_default();
        let keys = keys.map(|reply| dnskeys(&reply)).unwrap_or_default();
        let is_usable = udp.as_ref().is_ok_and(|reply| reply.rcode() == ResponseCode::NoError);
        let (plain, loses_large) = match is_usable {
            true => (None, !keys.is_empty() && self.loses_denial(at, &apex).await),
            false => {
                let (plain, small) = tokio::join!(
                    client.ask_without_edns(at, &apex, RecordType::SOA),
                    client.ask(at, Protocol::Udp, &apex, RecordType::SOA)
                );
                (Some(plain), matches!(udp, Err(AskError::TimedOut(_))) && small.is_ok())
            }
        };
        ServerSurvey { server, udp, tcp, plain, loses_large, names, keys }
    }

    /// Whether the denial of a name gets lost. With the signatures of a signed zone it is longer than 512 bytes.
    async fn loses_denial(&self, at: SocketAddr, apex: &Name) -> bool {
        let Ok(name) = apex.child("_txtgate-doctor") else { return false };
        let denied = self.client.ask_strictly(&[], at, Protocol::Udp, &name, RecordType::TXT).await;
        matches!(denied.reply, Err(AskError::TimedOut(_)))
    }
}

impl ServerSurvey {
    /// A reply of this address, by whichever transport one has come.
    pub fn reply(&self) -> Option<&DnsReply> {
        let plain = self.plain.as_ref().and_then(|reply| reply.as_ref().ok());
        self.udp.as_ref().ok().or(self.tcp.as_ref().ok()).or(plain)
    }

    /// The SOA that it answers with authority.
    pub fn soa(&self) -> Option<SoaView> {
        let reply = self.reply().filter(|reply| reply.is_authoritative())?;
        reply.answers().iter().find_map(|record| match &record.data {
            RData::SOA(soa) => {
                Some(SoaView { mname: shown(&soa.mname), rname: shown(&soa.rname), serial: Serial(soa.serial) })
            }
            _ => None,
        })
    }

    /// Whether it answers with authority for the zone.
    pub fn serves(&self) -> bool {
        self.soa().is_some()
    }
}

/// A name in lower case and without the final dot, as the configuration has it.
fn shown(name: &hickory_proto::rr::Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}
