//! Another codec, built on hickory-proto, to compare ours with.
//!
//! It reads the query, asks the same [`answer`] about it, has it proven by the same [`sign_answer`], and writes the reply with
//! an encoder of its own. Only the decisions are shared.

use std::sync::Arc;

use hickory_proto::op::{Edns, Header, HeaderCounts, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name as OtherName, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict};

use crate::crypto::cookie::{Cookies, Presented, SERVER};
use crate::dns::answer::{Answer, Records, answer};
use crate::dns::dnssec::sign_answer;
use crate::dns::ede::Ede;
use crate::dns::question::Request;
use crate::dns::signatures::{NsecRole, SigningOutcome};
use crate::dns::watch::Watchers;
use crate::dns::{MessageSource, Responder, ResponsePolicy, Transport};
use crate::metrics::Metrics;
use crate::model::name::{MAX_NAME, Name};
use crate::model::serial::Serial;
use crate::model::time::{Clock, Moment};
use crate::model::txt::RecordSet;
use crate::zone::signing::{Carrier, Signed};
use crate::zone::{Zone, Zones};

/// Labels of a name up to which hickory-proto finds all that can be compressed: it keeps 64 candidates.
const MAX_LABELS: u8 = 30;

/// The other codec, for a server without an identity and without rate limits.
pub struct Reference {
    zones: Zones,
    clock: Clock,
    cookies: Cookies,
}

/// What a codec replies to a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A reply.
    Reply(Vec<u8>),
    /// Nothing.
    Nothing,
    /// It cannot tell: the message does not survive its reading, or there is no turn to sign for it now.
    Unclear,
}

impl Reference {
    /// One that answers from the same zones, at the same time and with the same cookies as the responder.
    pub fn beside(zones: Zones) -> (Responder, Self) {
        let clock = Clock::start(None);
        let policy = ResponsePolicy::plain().unwrap();
        let cookies = policy.cookies.clone();
        let metrics = Arc::new(Metrics::default());
        let watchers = Watchers::default();
        (Responder::new(zones.clone(), clock.clone(), metrics, watchers, policy), Self { zones, clock, cookies })
    }

    /// The replies of the responder and of this codec to a message.
    pub fn both(&self, responder: &Responder, packet: &[u8], source: MessageSource) -> (Said, Said) {
        loop {
            let now = self.clock.moment();
            // Whatever has to be signed is signed here first, and found by the responder: turns to sign are rationed.
            let theirs = self.reply(packet, source, now);
            let mut out = Vec::new();
            let ours =
                responder.respond(packet, source, &mut out).replied().map_or(Said::Nothing, |_| Said::Reply(out));
            // The time is in cookies and in words.
            if self.clock.moment() == now {
                return (ours, theirs);
            }
        }
    }

    fn reply(&self, packet: &[u8], source: MessageSource, now: Moment) -> Said {
        let mut decoder = BinDecoder::new(packet);
        let Some(query) = Message::read(&mut decoder).ok().filter(|query| is_whole(query, packet)) else {
            return Said::Unclear;
        };
        if query.queries.iter().any(|asked| asked.name().num_labels() > MAX_LABELS) {
            return Said::Unclear;
        }
        if query.metadata.message_type == MessageType::Response {
            return Said::Nothing;
        }
        // Of signatures this codec knows nothing.
        if query.additionals.iter().any(|record| record.record_type() == RecordType::TSIG) {
            return Said::Unclear;
        }
        let transport = source.transport;
        let cookie = presented(&query).and_then(|data| Presented::read(&data));
        let cookie = cookie.map(|shown| (shown.client, self.cookies.check(shown, source.address, now.date).reply));
        let reply =
            |answer: &Answer<'_>| Said::Reply(ReferenceReply { query: &query, answer, cookie, transport }.write());
        if let Some(refusal) = refusal(&query, !decoder.is_empty()) {
            return reply(&refusal);
        }
        // What it has understood, written again, is what is asked of the zones.
        let plain = plain(&query);
        let mut lower = [0; MAX_NAME];
        let Ok(Request::Query(question)) = Request::read(&plain, &mut lower) else { panic!("no query: {plain:02x?}") };
        let carrier = if transport == Transport::Udp { Carrier::Datagram } else { Carrier::Stream };
        let zones = self.zones.load();
        let mut answer = answer(&zones, &question, |_| false, now.running);
        sign_answer(&zones, &question, carrier, &mut answer);
        if matches!(answer.signing, SigningOutcome::Withheld) { Said::Unclear } else { reply(&answer) }
    }
}

/// Whether the message that was read, written again, is the one that came: what hickory-proto passes over in silence,
/// we may mind.
fn is_whole(query: &Message, packet: &[u8]) -> bool {
    let either = [NameEncoding::Compressed, NameEncoding::Uncompressed];
    either.into_iter().any(|encoding| is_same(rewritten(query, encoding), packet, query.edns.as_ref()))
}

fn rewritten(query: &Message, encoding: NameEncoding) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = BinEncoder::new(&mut out);
    encoder.set_name_encoding(encoding);
    let written = query.emit(&mut encoder);
    if written.is_ok() { out } else { Vec::new() }
}

/// Whether the packet begins with the message. Flags apart, and the UDP size, which hickory-proto does not write below
/// 512.
fn is_same(mut message: Vec<u8>, packet: &[u8], edns: Option<&Edns>) -> bool {
    let Some(packet) = packet.get(..message.len()).filter(|packet| !packet.is_empty()) else { return false };
    let length = |edns: &Edns| edns.options().options.iter().map(|(_, option)| 4 + usize::from(option.len())).sum();
    // OPT comes last: 11 bytes and the options, with the size behind the root and the type.
    let size = edns.map(length).map(|options: usize| message.len() - options - 8);
    for at in [2, 3].into_iter().chain(size.into_iter().flat_map(|at| [at, at + 1])) {
        message[at] = packet[at];
    }
    message == packet
}

/// The data of the first COOKIE option.
fn presented(query: &Message) -> Option<Vec<u8>> {
    query.edns.as_ref()?.option(EdnsCode::Cookie).and_then(|option| Vec::try_from(option).ok())
}

fn plain(query: &Message) -> Vec<u8> {
    let mut plain = Message::query();
    plain.add_query(query.queries[0].clone().set_query_class(DNSClass::IN).clone());
    plain.edns = query.edns.as_ref().map(|asked| {
        let mut edns = Edns::new();
        *edns.flags_mut() = *asked.flags();
        edns
    });
    plain.to_vec().expect("a message of one question")
}

fn refusal(query: &Message, has_more: bool) -> Option<Answer<'static>> {
    let bare = |rcode| Some(Answer::bare(rcode));
    if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return bare(ResponseCode::BADVERS);
    }
    if query.metadata.op_code != OpCode::Query {
        return bare(ResponseCode::NotImp);
    }
    let cookie = presented(query).map(|data| Presented::read(&data));
    let has_records = has_more || !query.answers.is_empty() || !query.authorities.is_empty();
    let is_bad = has_records || cookie == Some(None);
    let asked = match &query.queries[..] {
        [asked] => asked,
        // RFC 7873 section 5.4: nothing is asked for but a cookie.
        [] if !is_bad && cookie.is_some() => return bare(ResponseCode::NoError),
        _ => return bare(ResponseCode::FormErr),
    };
    let rtype = asked.query_type();
    if matches!(rtype, RecordType::AXFR | RecordType::IXFR) {
        return Some(Answer { ede: Some(Ede::PROHIBITED), ..Answer::bare(ResponseCode::Refused) });
    }
    if is_bad {
        return bare(ResponseCode::FormErr);
    }
    if matches!(u16::from(rtype), 41 | 128 | 249 | 250) {
        return Some(Answer { ede: Some(Ede::INVALID_QUERY_TYPE), ..Answer::bare(ResponseCode::FormErr) });
    }
    match asked.query_class() {
        DNSClass::IN | DNSClass::ANY => None,
        _ => bare(ResponseCode::Refused),
    }
}

/// A reply, and what it replies to.
struct ReferenceReply<'a> {
    query: &'a Message,
    answer: &'a Answer<'a>,
    /// The client's cookie and ours.
    cookie: Option<([u8; 8], [u8; SERVER])>,
    transport: Transport,
}

impl ReferenceReply<'_> {
    /// Tries with all records, then with none.
    fn write(&self) -> Vec<u8> {
        let limit = match (self.transport, &self.query.edns) {
            (Transport::Tcp | Transport::Tls | Transport::Quic, _) => 65_535,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.max_payload()).clamp(512, 1_232),
        };
        let whole = self.message(false);
        if whole.len() <= limit { whole } else { self.message(true) }
    }

    fn message(&self, cut: bool) -> Vec<u8> {
        let mut metadata = Metadata::response_from_request(&self.query.metadata);
        let is_any = matches!(&self.query.queries[..], [asked] if asked.query_class() == DNSClass::ANY);
        metadata.authoritative = self.answer.is_authoritative && !is_any;
        metadata.truncation = cut;
        metadata.authentic_data = false;
        metadata.checking_disabled = false;
        metadata.response_code = self.answer.rcode;
        // Twice: the header's counts and the length are known only afterwards.
        let mut out = Vec::new();
        let counts = self.emit(metadata, HeaderCounts::default(), cut, None, &mut out);
        let padding = self.padding(out.len());
        out.clear();
        self.emit(metadata, counts, cut, padding, &mut out);
        out
    }

    /// RFC 8467 section 4.1, where others cannot read along: always over QUIC, and over TLS for who pads as well.
    fn padding(&self, length: usize) -> Option<usize> {
        let asked = self.query.edns.as_ref()?;
        let is_padded = match self.transport {
            Transport::Udp | Transport::Tcp => false,
            Transport::Tls => asked.option(EdnsCode::Padding).is_some(),
            Transport::Quic => true,
        };
        let end = (length + 4).div_ceil(468) * 468;
        (is_padded && length + 4 <= 65_535).then(|| end.min(65_535) - length - 4)
    }

    fn emit(
        &self,
        metadata: Metadata,
        counts: HeaderCounts,
        cut: bool,
        padding: Option<usize>,
        out: &mut Vec<u8>,
    ) -> HeaderCounts {
        let mut encoder = BinEncoder::new(out);
        Header { metadata, counts }.emit(&mut encoder).unwrap();
        let mut found = HeaderCounts { additionals: u16::from(self.query.edns.is_some()), ..HeaderCounts::default() };
        if let [asked] = &self.query.queries[..] {
            asked.emit(&mut encoder).unwrap();
            found.queries = 1;
            if !cut {
                let mut records = ReferenceWriter { encoder, asked, counts: [0; 2] };
                records.all(self.answer);
                [found.answers, found.authorities] = records.counts;
                encoder = records.encoder;
            }
        }
        if let Some(edns) = &self.query.edns {
            self.opt(edns, padding).emit(&mut encoder).unwrap();
        }
        found
    }

    fn opt(&self, asked: &Edns, padding: Option<usize>) -> Edns {
        const COMPACT_OK: u16 = 0x4000;
        let mut edns = Edns::new();
        let answer = self.answer;
        edns.set_max_payload(1_232).set_dnssec_ok(asked.flags().dnssec_ok).set_rcode_high(answer.rcode.high());
        if !matches!(answer.signing, SigningOutcome::Unsigned) {
            edns.flags_mut().z = asked.flags().z & COMPACT_OK;
        }
        let options = &mut edns.options_mut().options;
        let mut push = |code: u16, data| options.push((EdnsCode::from(code), EdnsOption::Unknown(code, data)));
        if self.transport != Transport::Udp && asked.option(EdnsCode::Keepalive).is_some() {
            push(11, vec![0, 100]);
        }
        if let Some((client, server)) = self.cookie {
            push(10, [&client[..], &server].concat());
        }
        if let Some(ede) = answer.ede {
            push(15, [&ede.code.to_be_bytes()[..], ede.text.to_string().as_bytes()].concat());
        }
        if let Some(padding) = padding {
            push(12, vec![0; padding]);
        }
        edns
    }
}

struct ReferenceWriter<'o, 'q> {
    encoder: BinEncoder<'o>,
    asked: &'q Query,
    counts: [u16; 2],
}

impl ReferenceWriter<'_, '_> {
    fn all(&mut self, answer: &Answer<'_>) {
        let proof = if let SigningOutcome::Signed(proof) = &answer.signing { Some(&**proof) } else { None };
        let mut owner = self.asked.name().clone();
        for (index, alias) in answer.aliases.iter().enumerate() {
            self.set(0, &owner, alias);
            self.rrsigs(0, &owner, alias.ttl, proof.and_then(|proof| proof.aliases.get(index)));
            let RData::CNAME(target) = parsed(alias, &alias.rdatas[0]) else { panic!("{alias:?}") };
            owner = target.0;
        }
        match &answer.records {
            Records::None => {}
            Records::Soa(zone) => self.soa(0, &owner, zone, answer.serial),
            Records::Static(set) => self.set(0, &owner, set),
            Records::Identity(text) => panic!("{text}: nobody has told us what to say"),
            Records::Live(txt) => {
                for text in txt.texts() {
                    let strings: Vec<&[u8]> = text.chunks(255).collect();
                    let rdata = RData::TXT(hickory_proto::rr::rdata::TXT::from_bytes(strings));
                    self.record(0, &owner, txt.ttl, &rdata);
                }
            }
        }
        self.rrsigs(0, &owner, answer.records.ttl(), proof.and_then(|proof| proof.records.as_ref()));
        if let Some(zone) = answer.negative {
            // In the question's own case, as far as the question has it.
            let labels = OtherName::from_ascii(zone.name.to_string()).unwrap().num_labels();
            let mut apex = self.asked.name().trim_to(usize::from(labels));
            apex.set_fqdn(true);
            self.soa(1, &apex, zone, answer.serial);
            self.rrsigs(1, &apex, zone.soa.negative_ttl, proof.and_then(|proof| proof.soa.as_ref()));
        }
        if let Some(denial) = proof.and_then(|proof| proof.denial.as_ref()) {
            let section = usize::from(denial.role == NsecRole::Proof);
            if denial.role != NsecRole::Rrsig {
                self.raw(section, &owner, RecordType::NSEC, denial.ttl, &denial.rdata);
            }
            self.rrsigs(section, &owner, denial.ttl, Some(&denial.signed));
        }
    }

    fn set(&mut self, section: usize, owner: &OtherName, set: &RecordSet) {
        for rdata in &set.rdatas {
            self.record(section, owner, set.ttl, &parsed(set, rdata));
        }
    }

    fn soa(&mut self, section: usize, owner: &OtherName, zone: &Zone, serial: Serial) {
        let name = |name: &Name| OtherName::from_ascii(format!("{name}.")).unwrap();
        let soa = &zone.soa;
        let rdata = hickory_proto::rr::rdata::SOA::new(
            name(&soa.mname),
            name(&soa.rname),
            serial.0,
            soa.refresh as i32,
            soa.retry as i32,
            soa.expire as i32,
            soa.negative_ttl,
        );
        self.record(section, owner, soa.negative_ttl, &RData::SOA(rdata));
    }

    fn rrsigs(&mut self, section: usize, owner: &OtherName, ttl: u32, signed: Option<&Arc<Signed>>) {
        let Some(signed) = signed else { return };
        for rdata in signed.rdatas() {
            self.raw(section, owner, RecordType::RRSIG, ttl, rdata);
        }
    }

    /// Names in RDATA are written out: compressed ones are a burden for whoever copies them.
    fn record(&mut self, section: usize, owner: &OtherName, ttl: u32, rdata: &RData) {
        let mut bytes = Vec::new();
        emit_plain(rdata, &mut BinEncoder::new(&mut bytes));
        self.head(section, owner, rdata.record_type(), ttl, bytes.len());
        self.encoder.set_name_encoding(NameEncoding::Uncompressed);
        emit_plain(rdata, &mut self.encoder);
        self.encoder.set_name_encoding(NameEncoding::Compressed);
    }

    fn raw(&mut self, section: usize, owner: &OtherName, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        self.head(section, owner, rtype, ttl, rdata.len());
        self.encoder.emit_vec(rdata).unwrap();
    }

    fn head(&mut self, section: usize, owner: &OtherName, rtype: RecordType, ttl: u32, length: usize) {
        let encoder = &mut self.encoder;
        owner.emit(encoder).unwrap();
        rtype.emit(encoder).unwrap();
        DNSClass::IN.emit(encoder).unwrap();
        encoder.emit_u32(ttl).unwrap();
        encoder.emit_u16(length as u16).unwrap();
        self.counts[section] += 1;
    }
}

fn emit_plain(rdata: &RData, encoder: &mut BinEncoder<'_>) {
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    match rdata {
        RData::SOA(soa) => {
            soa.mname.emit(encoder).unwrap();
            soa.rname.emit(encoder).unwrap();
            encoder.emit_u32(soa.serial).unwrap();
            for number in [soa.refresh, soa.retry, soa.expire] {
                encoder.emit_i32(number).unwrap();
            }
            encoder.emit_u32(soa.minimum).unwrap();
        }
        RData::CNAME(target) => target.0.emit(encoder).unwrap(),
        RData::NS(server) => server.0.emit(encoder).unwrap(),
        other => other.emit(encoder).unwrap(),
    }
}

fn parsed(set: &RecordSet, rdata: &[u8]) -> RData {
    let mut decoder = BinDecoder::new(rdata);
    let length = Restrict::new(rdata.len() as u16);
    RData::read(&mut decoder, set.rtype, length).unwrap()
}
