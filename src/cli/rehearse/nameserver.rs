//! Nameservers of the simulated internet: hickory-server's listeners in front of small zones.
//!
//! hickory-server's own catalog of zones sends a referral without the addresses of nameservers below it, so that nobody
//! could follow it; the answers come from here.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Header, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{NULL, SOA};
use hickory_proto::rr::{self, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use crate::model::name::Name;

/// Seconds that records of the simulation may be kept. Nobody keeps them.
const TTL: u32 = 3_600;
/// Timers of the simulated SOA records, in seconds.
const REFRESH_RETRY_EXPIRE: (i32, i32, i32) = (3_600, 600, 86_400);
/// Seconds that a denial may be kept.
const NEGATIVE_TTL: u32 = 60;
/// How long a TCP connection may stay open without a query.
const IDLE: Duration = Duration::from_secs(5);
/// The most replies that wait on one TCP connection.
const REPLIES: usize = 16;
/// The most attempts to find a port that is free for both UDP and TCP.
const PORT_TRIES: usize = 16;

/// A zone of somebody else, as far as the rehearsal needs it.
#[derive(Debug)]
pub struct SimulatedZone {
    apex: Name,
    records: BTreeMap<Name, Vec<Record>>,
}

/// A reply to a question.
#[derive(Default)]
struct Reply {
    rcode: Option<ResponseCode>,
    is_authoritative: bool,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
}

impl SimulatedZone {
    /// A zone with a SOA record and nothing else.
    pub fn new(apex: &Name, nameserver: &Name) -> Self {
        let mut zone = Self { apex: apex.clone(), records: BTreeMap::new() };
        let (refresh, retry, expire) = REFRESH_RETRY_EXPIRE;
        let (mname, rname) = (to_library(nameserver), to_library(nameserver));
        zone.add(apex, RData::SOA(SOA::new(mname, rname, 1, refresh, retry, expire, NEGATIVE_TTL)));
        zone
    }

    /// Adds a record.
    pub fn add(&mut self, owner: &Name, data: RData) {
        let record = Record::from_rdata(to_library(owner), TTL, data);
        let at_owner = self.records.entry(owner.clone()).or_default();
        if !at_owner.iter().any(|other| other.data == record.data) {
            at_owner.push(record);
        }
    }

    /// Adds a DS record of a zone below.
    pub fn add_ds(&mut self, owner: &Name, rdata: &[u8]) {
        self.add(owner, RData::Unknown { code: RecordType::DS, rdata: NULL::with(rdata.to_vec()) });
    }

    /// The algorithm of RFC 1034 section 4.3.2, without wildcards.
    fn reply(&self, name: &Name, rtype: RecordType) -> Reply {
        if let Some(referral) = self.referral(name, rtype) {
            return referral;
        }
        let mut answers = self.of_type(name, rtype);
        if answers.is_empty() {
            answers = self.of_type(name, RecordType::CNAME);
        }
        let exists = self.records.keys().any(|owner| owner.is_in(name));
        let authorities = if answers.is_empty() { self.of_type(&self.apex, RecordType::SOA) } else { Vec::new() };
        let rcode = (!exists).then_some(ResponseCode::NXDomain);
        Reply { rcode, is_authoritative: true, answers, authorities, ..Reply::default() }
    }

    /// The referral to the zone below that `name` is in. The DS records of that zone are this one's own.
    fn referral(&self, name: &Name, rtype: RecordType) -> Option<Reply> {
        let mut cut = name.clone();
        while cut != self.apex {
            let mut authorities = self.of_type(&cut, RecordType::NS);
            let is_own = rtype == RecordType::DS && cut == *name;
            if !authorities.is_empty() && !is_own {
                let hosts: Vec<Name> = authorities.iter().filter_map(nameserver_in).collect();
                let mut additionals = Vec::new();
                for rtype in [RecordType::A, RecordType::AAAA] {
                    additionals.extend(hosts.iter().flat_map(|host| self.of_type(host, rtype)));
                }
                authorities.extend(self.of_type(&cut, RecordType::DS));
                return Some(Reply { authorities, additionals, ..Reply::default() });
            }
            cut = cut.parent()?;
        }
        None
    }

    fn of_type(&self, name: &Name, rtype: RecordType) -> Vec<Record> {
        let at_name = self.records.get(name).into_iter().flatten();
        at_name.filter(|record| record.record_type() == rtype).cloned().collect()
    }
}

/// The zones of one nameserver.
struct Zones(Vec<SimulatedZone>);

impl Zones {
    fn reply(&self, name: &Name, rtype: RecordType) -> Reply {
        let around = self.0.iter().filter(|zone| name.is_in(&zone.apex));
        match around.max_by_key(|zone| zone.apex.as_wire().len()) {
            Some(zone) => zone.reply(name, rtype),
            None => Reply { rcode: Some(ResponseCode::Refused), ..Reply::default() },
        }
    }
}

#[async_trait]
impl RequestHandler for Zones {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let asked = request.request_info().ok().and_then(|info| {
            let wire = info.query.name().to_bytes().ok()?;
            Some((Name::from_wire(&wire).ok()?, info.query.query_type()))
        });
        let reply = asked.map(|(name, rtype)| self.reply(&name, rtype)).unwrap_or_default();
        metadata.authoritative = reply.is_authoritative;
        metadata.response_code = reply.rcode.unwrap_or(ResponseCode::NoError);
        let edns = request.edns.as_ref().map(|_| Edns::new());
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref());
        let Reply { answers, authorities, additionals, .. } = &reply;
        let response = response.build(metadata, answers, authorities, [], additionals);
        let sent = handle.send_response(response).await;
        // A reply that cannot be sent is a question without an answer, which the walk reports.
        sent.unwrap_or_else(|_| ResponseInfo::from(failed_header(request)))
    }
}

fn failed_header(request: &Request) -> Header {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    Header { metadata, counts: Default::default() }
}

/// A running nameserver. Dropping it closes its sockets.
pub struct SimulatedNameserver {
    /// Its UDP and TCP sockets.
    pub socket: SocketAddr,
    _server: Server<Zones>,
}

impl SimulatedNameserver {
    /// Serves zones on a free port of an address of the loopback.
    pub async fn start(address: Ipv4Addr, zones: Vec<SimulatedZone>) -> std::io::Result<Self> {
        let (udp, tcp) = bind(address).await?;
        let socket = udp.local_addr()?;
        let mut server = Server::new(Zones(zones));
        server.register_socket(udp);
        server.register_listener(tcp, IDLE, REPLIES);
        Ok(Self { socket, _server: server })
    }
}

async fn bind(address: Ipv4Addr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut tries = PORT_TRIES;
    loop {
        let tcp = TcpListener::bind((address, 0)).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if tries <= 1 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

fn nameserver_in(record: &Record) -> Option<Name> {
    match &record.data {
        RData::NS(name) => Name::from_wire(&name.0.to_bytes().ok()?).ok(),
        _ => None,
    }
}

/// A name for hickory, which takes every [`Name`].
pub fn to_library(name: &Name) -> rr::Name {
    rr::Name::from_bytes(name.as_wire()).unwrap_or_else(|_| rr::Name::root())
}
