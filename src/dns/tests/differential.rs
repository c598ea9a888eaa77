//! Our codec against one that is built on hickory-proto: the same octets for the same question.
//!
//! The other one reads the query, asks the same [`answer`] about it, and writes the reply with its own encoder. Only
//! the decision is shared.

use hickory_proto::op::{Edns, Header, HeaderCounts, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name as OtherName, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict};

use super::mutated::Dice;
use super::*;
use crate::dns::answer::{Answer, Records, answer};
use crate::dns::ede::Ede;
use crate::dns::question::Question;
use crate::name::MAX_NAME;
use crate::zone::Zone;

const ORDINARY: usize = 50_000;
const MANY: usize = 1_000_000;
/// Names with 0 to 25 values: 8 fill a datagram without EDNS, 21 the largest one.
const NUMBERED: usize = 26;

/// What the other codec says to a query; `None`: nothing.
struct Other {
    zones: Vec<Zone>,
    now: Timestamp,
}

impl Other {
    fn reply(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let mut decoder = BinDecoder::new(packet);
        let query = Message::read(&mut decoder).unwrap();
        let has_more = !decoder.is_empty();
        if query.metadata.message_type == MessageType::Response {
            return None;
        }
        if let Some(refusal) = refusal(&query, has_more) {
            return Some(write(&query, &refusal, transport));
        }
        // What it has understood, written again, is what is asked of the zones.
        let mut plain = Message::query();
        plain.add_query(query.queries[0].clone().set_query_class(DNSClass::IN).clone());
        let plain = plain.to_vec().unwrap();
        let mut lower = [0; MAX_NAME];
        let question = Question::read(&plain, &mut lower).unwrap();
        Some(write(&query, &answer(&self.zones, &question, self.now), transport))
    }
}

fn refusal(query: &Message, has_more: bool) -> Option<Answer<'static>> {
    let bare = |rcode| Some(Answer::bare(rcode));
    if query.metadata.op_code != OpCode::Query {
        return bare(ResponseCode::NotImp);
    }
    let [asked] = &query.queries[..] else { return bare(ResponseCode::FormErr) };
    let rtype = asked.query_type();
    if matches!(rtype, RecordType::AXFR | RecordType::IXFR) {
        return Some(Answer { ede: Some(Ede::PROHIBITED), ..Answer::bare(ResponseCode::Refused) });
    }
    if has_more || !query.answers.is_empty() || !query.authorities.is_empty() {
        return bare(ResponseCode::FormErr);
    }
    if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return bare(ResponseCode::BADVERS);
    }
    if matches!(u16::from(rtype), 128 | 249 | 250 | 253 | 254) {
        return Some(Answer { ede: Some(Ede::INVALID_QUERY_TYPE), ..Answer::bare(ResponseCode::FormErr) });
    }
    match asked.query_class() {
        DNSClass::IN | DNSClass::ANY => None,
        _ => bare(ResponseCode::Refused),
    }
}

/// Tries with all records, then with none.
fn write(query: &Message, answer: &Answer<'_>, transport: Transport) -> Vec<u8> {
    let limit = match (transport, &query.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Quic, _) => 65_535,
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some(edns)) => usize::from(edns.max_payload()).clamp(512, 1_232),
    };
    let whole = message(query, answer, false, transport);
    if whole.len() <= limit { whole } else { message(query, answer, true, transport) }
}

fn message(query: &Message, answer: &Answer<'_>, cut: bool, transport: Transport) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = BinEncoder::new(&mut out);
    let asked: Option<&Query> = (query.queries.len() == 1).then(|| &query.queries[0]);
    let mut metadata = Metadata::response_from_request(&query.metadata);
    let is_any = asked.is_some_and(|asked| asked.query_class() == DNSClass::ANY);
    (metadata.authoritative, metadata.truncation) = (answer.is_authoritative && !is_any, cut);
    (metadata.checking_disabled, metadata.response_code) = (false, answer.rcode);
    let mut counts = HeaderCounts { queries: u16::from(asked.is_some()), ..HeaderCounts::default() };
    counts.additionals = u16::from(query.edns.is_some());
    if let (Some(asked), false) = (asked, cut) {
        // Twice: the header's counts are known only afterwards.
        let mut counting = Vec::new();
        let mut records = Writer { encoder: BinEncoder::new(&mut counting), asked, counts: [0; 2] };
        Header { metadata, counts }.emit(&mut records.encoder).unwrap();
        asked.emit(&mut records.encoder).unwrap();
        records.all(answer);
        [counts.answers, counts.authorities] = records.counts;
    }
    Header { metadata, counts }.emit(&mut encoder).unwrap();
    if let Some(asked) = asked {
        asked.emit(&mut encoder).unwrap();
        if !cut {
            let mut records = Writer { encoder, asked, counts: [0; 2] };
            records.all(answer);
            encoder = records.encoder;
        }
    }
    if let Some(edns) = &query.edns {
        opt(edns, answer, transport).emit(&mut encoder).unwrap();
    }
    out
}

fn opt(asked: &Edns, answer: &Answer<'_>, transport: Transport) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(1_232).set_dnssec_ok(asked.flags().dnssec_ok).set_rcode_high(answer.rcode.high());
    let options = &mut edns.options_mut().options;
    if transport == Transport::Tcp && asked.option(EdnsCode::Keepalive).is_some() {
        options.push((EdnsCode::Keepalive, EdnsOption::Unknown(11, vec![0, 100])));
    }
    if let Some(ede) = answer.ede {
        let data = [&ede.code.to_be_bytes()[..], ede.text.to_string().as_bytes()].concat();
        options.push((EdnsCode::from(15), EdnsOption::Unknown(15, data)));
    }
    edns
}

struct Writer<'o, 'q> {
    encoder: BinEncoder<'o>,
    asked: &'q Query,
    counts: [u16; 2],
}

impl Writer<'_, '_> {
    fn all(&mut self, answer: &Answer<'_>) {
        let mut owner = self.asked.name().clone();
        for alias in &answer.aliases {
            self.wire(0, &owner, alias);
            let RData::CNAME(target) = parsed(alias, &alias.rdatas[0]) else { panic!("{alias:?}") };
            owner = target.0;
        }
        match &answer.records {
            Records::None => {}
            Records::Soa(zone) => self.soa(0, &owner, zone),
            Records::Static(set) => self.wire(0, &owner, set),
            Records::Identity(text) => panic!("{text}: nobody has told us what to say"),
            Records::Live(txt) => {
                for value in txt.values() {
                    let rdata = RData::TXT(hickory_proto::rr::rdata::TXT::new(vec![value.as_str().to_owned()]));
                    self.record(0, &owner, txt.ttl, &rdata);
                }
            }
        }
        if let Some(zone) = answer.negative {
            // In the question's own case, as far as the question has it.
            let labels = OtherName::from_ascii(zone.name.to_string()).unwrap().num_labels();
            let mut apex = self.asked.name().trim_to(usize::from(labels));
            apex.set_fqdn(true);
            self.soa(1, &apex, zone);
        }
    }

    fn wire(&mut self, section: usize, owner: &OtherName, set: &crate::txt::RecordSet) {
        for rdata in &set.rdatas {
            self.record(section, owner, set.ttl, &parsed(set, rdata));
        }
    }

    fn soa(&mut self, section: usize, owner: &OtherName, zone: &Zone) {
        let name = |name: &Name| OtherName::from_ascii(format!("{name}.")).unwrap();
        let soa = &zone.soa;
        let rdata = hickory_proto::rr::rdata::SOA::new(
            name(&soa.mname),
            name(&soa.rname),
            zone.serial().0,
            soa.refresh as i32,
            soa.retry as i32,
            soa.expire as i32,
            soa.negative_ttl,
        );
        self.record(section, owner, soa.negative_ttl, &RData::SOA(rdata));
    }

    /// Names in RDATA are written out: compressed ones are a burden for whoever copies them.
    fn record(&mut self, section: usize, owner: &OtherName, ttl: u32, rdata: &RData) {
        let mut octets = Vec::new();
        let mut uncompressed = BinEncoder::new(&mut octets);
        emit_plain(rdata, &mut uncompressed);
        let encoder = &mut self.encoder;
        owner.emit(encoder).unwrap();
        rdata.record_type().emit(encoder).unwrap();
        DNSClass::IN.emit(encoder).unwrap();
        encoder.emit_u32(ttl).unwrap();
        encoder.emit_u16(octets.len() as u16).unwrap();
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        emit_plain(rdata, encoder);
        encoder.set_name_encoding(NameEncoding::Compressed);
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

fn parsed(set: &crate::txt::RecordSet, rdata: &[u8]) -> RData {
    let mut decoder = BinDecoder::new(rdata);
    let length = Restrict::new(rdata.len() as u16);
    RData::read(&mut decoder, set.rtype, length).unwrap()
}

const NAMES: [&str; 21] = [
    "shop",
    "past",
    "over",
    "empty",
    "off",
    "many",
    "nothing",
    "ns1",
    "down",
    "deep.down",
    "x.shop",
    "alias",
    "alias2",
    "out",
    "gone",
    "to-shop",
    "to-empty",
    "c1",
    "c8",
    "_acme-challenge",
    "",
];
const TYPES: [u16; 16] = [16, 16, 16, 16, 1, 28, 2, 5, 6, 257, 255, 128, 251, 252, 65_280, 43];

/// A query as resolvers and others send them, now and then with something wrong. Both codecs can read all of them.
fn generated(dice: &mut Dice) -> Vec<u8> {
    let name = match dice.roll(16) {
        0 => ["example.org", "org", "", "xauth.example.org"][dice.roll(4)].to_owned(),
        1..4 => format!("n{}.{APEX}", dice.roll(NUMBERED)),
        _ => format!("{}.{APEX}", NAMES[dice.roll(NAMES.len())]),
    };
    let cased = name.chars().map(|c| if dice.roll(4) == 0 { c.to_ascii_uppercase() } else { c });
    let cased: String = cased.collect();
    let mut packet = query(&cased, TYPES[dice.roll(TYPES.len())]);
    packet[0] = dice.roll(256) as u8;
    packet[2] = dice.roll(2) as u8;
    let end = packet.len();
    match dice.roll(100) {
        0 => packet[2] |= 0x80,
        1 => packet[2] |= [1, 2, 4, 5][dice.roll(4)] << 3,
        2 => packet[end - 1] = [3, 4, 255][dice.roll(3)],
        3 => {
            packet[5] = 2;
            packet.extend_from_within(12..);
        }
        4 => {
            packet[[7, 9][dice.roll(2)]] = 1;
            packet.extend_from_slice(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01a");
        }
        _ => {}
    }
    if dice.roll(4) > 0 {
        // Every size from 0 to 1,500, and those beyond.
        let size = match dice.roll(20) {
            0 => [4_096, 65_535][dice.roll(2)],
            _ => dice.roll(1_501) as u16,
        };
        let options: [&[u8]; 4] = [b"", b"", b"\x00\x0c\x00\x02\0\0", b"\x00\x0b\x00\x00"];
        let (version, flags) = (u8::from(dice.roll(50) == 0), [0, 0x8000][dice.roll(2)]);
        packet = with_opt(packet, size, version, flags, options[dice.roll(options.len())]);
    }
    if dice.roll(100) == 0 {
        packet.push(0);
    }
    packet
}

/// The zone of the other tests, and a name for each number of values up to those that fit no datagram.
fn numbered() -> Zone {
    let zone = zone();
    let values: Vec<LiveValue> = ('a'..='z').map(|letter| value(letter, true)).collect();
    for count in 0..NUMBERED {
        zone.live.put(&format!("n{count}"), Some(Slot::of(&values[..count])));
    }
    zone
}

/// The first difference in `rounds` generated queries. `spoil` may change what we reply.
fn difference(rounds: usize, mut spoil: impl FnMut(usize, &mut Vec<u8>)) -> Option<String> {
    let responder = responder_of(Zones::new(vec![numbered()]));
    let other = Other { zones: vec![numbered()], now: responder.clock.now() };
    let mut dice = Dice(0x6469_6666);
    let mut out = Vec::new();
    for round in 0..rounds {
        let packet = generated(&mut dice);
        let transport = [Transport::Udp, Transport::Udp, Transport::Tcp][round % 3];
        out.clear();
        let replied = responder.respond_or_panic(&packet, source(transport), &mut out).is_some();
        spoil(round, &mut out);
        let ours = replied.then_some(&out);
        let theirs = other.reply(&packet, transport);
        if ours != theirs.as_ref() {
            return Some(format!("{transport:?} {packet:02x?}\nours   {ours:02x?}\ntheirs {theirs:02x?}"));
        }
    }
    None
}

#[test]
fn both_codecs_write_the_same_octets() {
    assert_eq!(difference(ORDINARY, |_, _| {}), None);
}

#[test]
#[ignore = "a minute: `cargo test --release -- --ignored codecs`"]
fn both_codecs_write_the_same_octets_for_a_million_queries() {
    assert_eq!(difference(MANY, |_, _| {}), None);
}

#[test]
fn a_planted_difference_is_found() {
    // One bit of one octet in one reply of a thousand.
    let planted = |round: usize, out: &mut Vec<u8>| {
        if let (777, Some(last)) = (round, out.last_mut()) {
            *last ^= 1;
        }
    };
    assert!(difference(1_000, planted).is_some());
}
