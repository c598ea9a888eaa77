//! Nameservers of others: hickory-server's listeners in front of zones that fit into a test.
//!
//! Not its own catalog of zones: what that says where a zone is delegated comes without the addresses of nameservers
//! whose names lie below, so that nobody could go on from there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Metadata, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType, RrKey};
use hickory_proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

/// A running nameserver, on one port of the loopback for both UDP and TCP. Lives in the runtime that it was started in.
pub struct Nameserver {
    pub address: SocketAddr,
    _server: Server<Zones>,
}

impl Nameserver {
    /// Serves zones: an apex and records, to which a SOA is added.
    pub async fn start(zones: &[(&str, &str)]) -> Self {
        let zones = Zones(zones.iter().map(|(apex, records)| Zone::new(apex, records)).collect());
        let (udp, tcp) = both_sockets().await;
        let address = udp.local_addr().unwrap();
        let mut server = Server::new(zones);
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 64);
        Self { address, _server: server }
    }
}

struct Zones(Vec<Zone>);

struct Zone {
    apex: LowerName,
    sets: BTreeMap<RrKey, RecordSet>,
}

/// What is said to a question.
#[derive(Default)]
struct Answer {
    rcode: Option<ResponseCode>,
    is_authoritative: bool,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
}

impl Zones {
    fn answer(&self, name: &LowerName, rtype: RecordType) -> Answer {
        let around = self.0.iter().filter(|zone| zone.apex.zone_of(name));
        match around.max_by_key(|zone| zone.apex.num_labels()) {
            Some(zone) => zone.answer(name, rtype),
            None => Answer { rcode: Some(ResponseCode::Refused), ..Answer::default() },
        }
    }
}

impl Zone {
    fn new(apex: &str, records: &str) -> Self {
        let apex = Name::from_ascii(apex).unwrap();
        let text = format!("$TTL 60\n@ SOA ns.test. hostmaster.test. 1 3600 600 86400 10\n{records}\n");
        let (_, sets) = Parser::new(text, None, Some(apex.clone())).parse().unwrap();
        Self { apex: apex.into(), sets }
    }

    /// RFC 1034 section 4.3.2, without wildcards.
    fn answer(&self, name: &LowerName, rtype: RecordType) -> Answer {
        let mut cut = name.clone();
        while cut != self.apex {
            let nameservers = self.records(&cut, RecordType::NS);
            if !nameservers.is_empty() {
                let names = nameservers.iter().filter_map(named_in).map(LowerName::from);
                let additionals = names.flat_map(|name| self.records(&name, RecordType::A)).collect();
                return Answer { authorities: nameservers, additionals, ..Answer::default() };
            }
            cut = cut.base_name();
        }
        let mut answers = self.records(name, rtype);
        if answers.is_empty() {
            answers = self.records(name, RecordType::CNAME);
        }
        let is_there = self.sets.keys().any(|key| name.zone_of(&key.name));
        let soa = self.records(&self.apex, RecordType::SOA);
        let authorities = if answers.is_empty() { soa } else { Vec::new() };
        let rcode = (!is_there).then_some(ResponseCode::NXDomain);
        Answer { rcode, is_authoritative: true, answers, authorities, ..Answer::default() }
    }

    fn records(&self, name: &LowerName, rtype: RecordType) -> Vec<Record> {
        let set = self.sets.get(&RrKey::new(name.clone(), rtype));
        set.into_iter().flat_map(|set| set.records_without_rrsigs()).cloned().collect()
    }
}

#[async_trait]
impl RequestHandler for Zones {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let query = request.request_info().unwrap().query;
        let answer = self.answer(query.name(), query.query_type());
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = answer.is_authoritative;
        metadata.response_code = answer.rcode.unwrap_or(ResponseCode::NoError);
        let edns = request.edns.as_ref().map(|_| Edns::new());
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref());
        let Answer { answers, authorities, additionals, .. } = &answer;
        let response = response.build(metadata, answers, authorities, [], additionals);
        handle.send_response(response).await.unwrap()
    }
}

/// The nameserver that an NS record names.
pub fn named_in(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::NS(name) => Some(&name.0),
        _ => None,
    }
}

/// UDP and TCP on one free port.
async fn both_sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}
