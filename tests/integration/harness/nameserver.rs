//! Nameservers of others: hickory-server's listeners in front of zones that fit into a test.
//!
//! Not its own catalog of zones: what that says where a zone is delegated comes without the addresses of nameservers
//! whose names lie below, so that nobody could go on from there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType, RrKey};
use hickory_proto::serialize::binary::BinDecoder;
use hickory_proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};
use tokio::net::{TcpListener, UdpSocket};

use super::signer::Signer;

/// What is wrong with a nameserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers nothing.
    Silent,
    /// Nobody listens on its UDP port.
    UdpClosed,
    /// Nobody listens on its TCP port.
    TcpClosed,
    /// Every answer is this, without records.
    Rcode(ResponseCode),
    /// The same for questions of one type.
    RcodeFor(RecordType, ResponseCode),
    /// Says nothing to questions of one type.
    SilentFor(RecordType),
    /// The question comes back in lower case (breaks draft-vixie-dnsext-dns0x20).
    LowerCase,
    /// Questions with an OPT record over UDP go unanswered, as behind some old firewalls.
    DropsEdns,
    /// Questions with an OPT record are malformed to it (FORMERR), as to software from before EDNS.
    KnowsNoEdns,
    /// Answers over UDP of more than so many bytes are lost, as where fragments or large datagrams are dropped.
    DropsLarger(usize),
    /// Answers without AA.
    NoAuthority,
}

/// A zone that a nameserver has.
pub struct Zone {
    apex: LowerName,
    sets: BTreeMap<RrKey, RecordSet>,
    signer: Option<Signer>,
}

/// A running nameserver, on one port for both UDP and TCP. Lives in the runtime that it was started in.
pub struct Nameserver {
    pub address: SocketAddr,
    _server: Server<Handler>,
}

impl Nameserver {
    /// Serves zones on a free port of the loopback: an apex and records, to which a SOA is added.
    pub async fn start(zones: &[(&str, &str)]) -> Self {
        let (udp, tcp) = both_sockets().await;
        let address = udp.local_addr().unwrap();
        Self::on(address, Some(udp), Some(tcp), zones.iter().map(|(apex, records)| Zone::new(apex, records)), &[])
    }

    /// Serves zones at this address, with these faults.
    pub async fn start_at(address: SocketAddr, zones: Vec<Zone>, faults: &[Fault]) -> Self {
        let bind_error = |error| panic!("a nameserver on {address}: {error}");
        let udp = UdpSocket::bind(address).await.unwrap_or_else(bind_error);
        let bind_error = |error| panic!("a nameserver on {address}: {error}");
        let tcp = TcpListener::bind(address).await.unwrap_or_else(bind_error);
        let udp = (!faults.contains(&Fault::UdpClosed)).then_some(udp);
        let tcp = (!faults.contains(&Fault::TcpClosed)).then_some(tcp);
        Self::on(address, udp, tcp, zones, faults)
    }

    fn on(
        address: SocketAddr,
        udp: Option<UdpSocket>,
        tcp: Option<TcpListener>,
        zones: impl IntoIterator<Item = Zone>,
        faults: &[Fault],
    ) -> Self {
        let mut server = Server::new(Handler { zones: zones.into_iter().collect(), faults: faults.into() });
        udp.into_iter().for_each(|socket| server.register_socket(socket));
        tcp.into_iter().for_each(|listener| server.register_listener(listener, Duration::from_secs(5), 64));
        Self { address, _server: server }
    }
}

struct Handler {
    zones: Vec<Zone>,
    faults: Vec<Fault>,
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

impl Handler {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn answer(&self, name: &LowerName, rtype: RecordType, wants_signatures: bool) -> Answer {
        for fault in &self.faults {
            match fault {
                Fault::Rcode(rcode) => return Answer { rcode: Some(*rcode), ..Answer::default() },
                Fault::RcodeFor(of, rcode) if *of == rtype => {
                    return Answer { rcode: Some(*rcode), ..Answer::default() };
                }
                _ => {}
            }
        }
        // A DS record is the parent's (RFC 4035 section 3.1.4.1).
        let is_parents = |zone: &&Zone| rtype == RecordType::DS && zone.apex == *name && !name.is_root();
        let around: Vec<&Zone> = self.zones.iter().filter(|zone| zone.apex.zone_of(name)).collect();
        let above = around.iter().filter(|zone| !is_parents(zone)).max_by_key(|zone| zone.apex.num_labels());
        match above.or(around.first()) {
            Some(zone) => zone.answer(name, rtype).signed_by(zone, name, wants_signatures),
            None => Answer { rcode: Some(ResponseCode::Refused), ..Answer::default() },
        }
    }
}

impl Answer {
    fn signed_by(mut self, zone: &Zone, name: &LowerName, wants_signatures: bool) -> Self {
        if let Some(signer) = zone.signer.as_ref().filter(|_| wants_signatures) {
            if signer.proves() && self.is_authoritative && self.answers.is_empty() {
                self.authorities.push(zone.denial(name));
            }
            let apex = Name::from(zone.apex.clone());
            self.answers.extend(signer.signatures(&apex, &self.answers));
            self.authorities.extend(signer.signatures(&apex, &self.authorities));
        }
        self
    }
}

impl Zone {
    /// A zone of these records, to which a SOA is added unless they have one.
    pub fn new(apex: &str, records: &str) -> Self {
        let apex = Name::from_ascii(apex).unwrap();
        let soa = if records.contains("SOA ") { "" } else { "@ SOA ns.test. hostmaster.test. 1 3600 600 86400 10\n" };
        let text = format!("$TTL 60\n{soa}{records}\n");
        let (_, sets) = Parser::new(text, None, Some(apex.clone())).parse().unwrap();
        Self { apex: apex.into(), sets, signer: None }
    }

    /// Signs the zone, and adds its DNSKEY.
    pub fn signed(self, signer: &Signer) -> Self {
        let apex = Name::from(self.apex.clone());
        let mut zone = self.with(signer.dnskey(&apex));
        zone.signer = Some(signer.clone());
        zone
    }

    /// Adds a record.
    pub fn with(mut self, record: Record) -> Self {
        let (name, rtype) = (record.name.clone(), record.record_type());
        let key = RrKey::new(name.clone().into(), rtype);
        let set = self.sets.entry(key).or_insert_with(|| RecordSet::with_ttl(name, rtype, record.ttl));
        set.insert(record, 0);
        self
    }

    /// RFC 1034 section 4.3.2.
    fn answer(&self, name: &LowerName, rtype: RecordType) -> Answer {
        if let Some(referral) = self.referral(name, rtype) {
            return referral;
        }
        let is_there = self.sets.keys().any(|key| name.zone_of(&key.name));
        let wildcard = if is_there { None } else { self.wildcard(name) };
        let at = wildcard.as_ref().unwrap_or(name);
        let mut answers = self.records(at, rtype);
        if answers.is_empty() {
            answers = self.records(at, RecordType::CNAME);
        }
        answers.iter_mut().for_each(|record| record.name = name.into());
        let soa = self.records(&self.apex, RecordType::SOA);
        let authorities = if answers.is_empty() { soa } else { Vec::new() };
        let rcode = (!is_there && wildcard.is_none()).then_some(ResponseCode::NXDomain);
        Answer { rcode, is_authoritative: true, answers, authorities, ..Answer::default() }
    }

    /// Where the zone is cut at the name or above it.
    fn referral(&self, name: &LowerName, rtype: RecordType) -> Option<Answer> {
        let mut cut = name.clone();
        while cut != self.apex {
            let mut nameservers = self.records(&cut, RecordType::NS);
            let is_parents = rtype == RecordType::DS && cut == *name;
            if !nameservers.is_empty() && !is_parents {
                let names: Vec<LowerName> = nameservers.iter().filter_map(named_in).map(LowerName::from).collect();
                let glue = names.iter().flat_map(|name| {
                    [RecordType::A, RecordType::AAAA].into_iter().flat_map(|rtype| self.records(name, rtype))
                });
                let additionals = glue.collect();
                nameservers.extend(self.records(&cut, RecordType::DS));
                return Some(Answer { authorities: nameservers, additionals, ..Answer::default() });
            }
            cut = cut.base_name();
        }
        None
    }

    /// The wildcard of the closest name that is there (RFC 4592 section 3.3.1).
    fn wildcard(&self, name: &LowerName) -> Option<LowerName> {
        let mut above = name.base_name();
        while !self.sets.keys().any(|key| above.zone_of(&key.name)) {
            above = above.base_name();
        }
        let wildcard = LowerName::from(Name::from_ascii("*").unwrap().append_name(&above).unwrap());
        self.sets.keys().any(|key| key.name == wildcard).then_some(wildcard)
    }

    /// The NSEC record of a name, or of the last one before (RFC 4034 section 4).
    fn denial(&self, name: &LowerName) -> Record {
        let before = self.sets.keys().map(|key| &key.name).filter(|owner| *owner <= name).max().unwrap_or(&self.apex);
        let next = self.sets.keys().map(|key| &key.name).filter(|owner| *owner > name).min().unwrap_or(&self.apex);
        let own = self.sets.keys().filter(|key| key.name == *before).map(|key| key.record_type);
        let nsec = NSEC::new(next.into(), own.chain([RecordType::RRSIG, RecordType::NSEC]));
        Record::from_rdata(before.into(), 60, RData::DNSSEC(DNSSECRData::NSEC(nsec)))
    }

    fn records(&self, name: &LowerName, rtype: RecordType) -> Vec<Record> {
        let set = self.sets.get(&RrKey::new(name.clone(), rtype));
        set.into_iter().flat_map(|set| set.records_without_rrsigs()).cloned().collect()
    }
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let query = request.request_info().unwrap().query;
        let (name, rtype) = (query.name(), query.query_type());
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let silence = ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() });
        let is_udp = request.protocol() == Protocol::Udp;
        let is_dropped = self.has(Fault::DropsEdns) && is_udp && request.edns.is_some();
        if is_dropped || self.has(Fault::Silent) || self.has(Fault::SilentFor(rtype)) {
            return silence;
        }
        let wants_signatures = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let mut answer = self.answer(name, rtype, wants_signatures);
        let is_refused = self.has(Fault::KnowsNoEdns) && request.edns.is_some();
        if is_refused {
            answer = Answer { rcode: Some(ResponseCode::FormErr), ..Answer::default() };
        }
        metadata.authoritative = answer.is_authoritative && !self.has(Fault::NoAuthority);
        metadata.response_code = answer.rcode.unwrap_or(ResponseCode::NoError);
        let mut edns = request.edns.as_ref().map(|_| Edns::new());
        if let (Some(ours), Some(theirs)) = (&mut edns, &request.edns) {
            ours.set_max_payload(theirs.max_payload().max(512));
        }
        let Answer { answers, authorities, additionals, .. } = &answer;
        if is_udp && self.loses(&answer) {
            return silence;
        }
        let question = if self.has(Fault::LowerCase) {
            request.queries.as_bytes().to_ascii_lowercase()
        } else {
            request.queries.as_bytes().to_vec()
        };
        let queries = Queries::read(&mut BinDecoder::new(&question), 1).unwrap();
        let response = MessageResponseBuilder::new(&queries, edns.as_ref());
        let response = response.build(metadata, answers, authorities, [], additionals);
        handle.send_response(response).await.unwrap()
    }
}

impl Handler {
    /// Whether an answer is too large to arrive, by the size of its records without compression.
    fn loses(&self, answer: &Answer) -> bool {
        use hickory_proto::serialize::binary::BinEncodable;
        let all = [&answer.answers, &answer.authorities, &answer.additionals];
        let size: usize = all.into_iter().flatten().map(|record| record.to_bytes().unwrap().len()).sum();
        self.faults.iter().any(|fault| matches!(fault, Fault::DropsLarger(most) if size > *most))
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
