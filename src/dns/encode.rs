//! From an [`Answer`] to the bytes of a message.
//!
//! txtgate has its own writer because a message must either hold the whole answer or set TC, and must never end within
//! a record set (RFC 2181 section 9).

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::crypto::cookie::{CLIENT, SERVER};
use crate::crypto::tsig_record::ReplyTsig;
use crate::model::serial::Serial;
use crate::model::txt::MAX_STRING;
use crate::model::wire::HEADER;
use crate::zone::Zone;
use crate::zone::signing::Signed;

use super::answer::{Answer, Records};
use super::echo::Echo;
use super::edns::{Edns, PADDING};
use super::signatures::{NsecRole, Signatures, SigningOutcome};
use crate::zone::signing::Carrier;

/// The UDP payload size that the server announces, and the most that it sends: such a datagram fits every path without
/// fragmentation (RFC 9715 section 3.2).
pub const UDP_SIZE: u16 = 1_232;
/// The most that a client without EDNS takes over UDP (RFC 1035 section 4.2.1).
const PLAIN_UDP_SIZE: u16 = 512;
/// The lengths of padded replies are multiples of this, in bytes (RFC 8467 section 4.1).
const PADDING_BLOCK: usize = 468;
/// Bytes of an option's code and length.
const OPTION_HEAD: usize = 4;

const QR: u8 = 0x80;
const AA: u8 = 0x04;
const TC: u8 = 0x02;
const RD: u8 = 0x01;
const CLASS_IN: u16 = 1;
const CLASS_CH: u16 = 3;
/// The offset of the question's name.
const QNAME: usize = HEADER;

/// The most bytes that a reply may have.
pub fn size_limit(carrier: Carrier, edns: Option<Edns>) -> usize {
    usize::from(match (carrier, edns) {
        (Carrier::Stream, _) => u16::MAX,
        (Carrier::Datagram, None) => PLAIN_UDP_SIZE,
        (Carrier::Datagram, Some(edns)) => edns.udp_size.clamp(PLAIN_UDP_SIZE, UDP_SIZE),
    })
}

/// The parts of a reply that do not depend on the answer.
#[derive(Clone, Copy, Default, Debug)]
pub struct Extras<'a> {
    /// The server cookie, for a client that sent a cookie (RFC 7873 section 5.2).
    pub cookie: Option<[u8; SERVER]>,
    /// The server's name, for a client that asks for it (RFC 5001).
    pub nsid: Option<&'a str>,
    /// How long an idle connection stays open, for a client that asks for it (RFC 7828).
    pub idle_timeout: Duration,
    /// Whether to leave out the answer and set TC, whatever its size, so that the client retries over TCP.
    pub must_truncate: bool,
    /// Whether the reply's length must not tell what it holds (RFC 7830).
    pub is_padded: bool,
    /// The TSIG record that is appended later; the writer leaves room for it.
    pub tsig: Option<&'a ReplyTsig>,
}

/// Appends the message for `answer`. Returns whether the whole answer fits; if it does not, the message holds only the
/// header with TC, the question and the OPT record.
pub fn encode(echo: &Echo<'_>, answer: &Answer<'_>, extras: Extras<'_>, carrier: Carrier, out: &mut Vec<u8>) -> bool {
    let opt = echo.edns.map(|edns| Opt { edns, answer, extras, carrier });
    // A sender chooses the names in a TSIG record, and long ones may leave no room for any records.
    let behind = opt.as_ref().map_or(0, Opt::len) + extras.tsig.map_or(0, ReplyTsig::size);
    let limit = size_limit(carrier, echo.edns);
    let room = limit.saturating_sub(behind);
    let class = if matches!(answer.records, Records::Identity(_)) { CLASS_CH } else { CLASS_IN };
    let mut writer = MessageWriter { start: out.len(), out, class, room, counts: [0; 2] };
    writer.header(echo, answer);
    let questions_end = writer.out.len();
    let fits = !extras.must_truncate && writer.records(echo, answer).is_some();
    if !fits {
        writer.out.truncate(questions_end);
        writer.counts = [0; 2];
        writer.set_truncated();
    }
    writer.set_counts(opt.is_some());
    let padding = if extras.is_padded { padding(writer.len() + behind, limit) } else { None };
    if let Some(opt) = opt {
        opt.write(padding, out);
    }
    fits
}

/// The bytes in the Padding option of a message that has `length` bytes without the option: as many as fill the last
/// block, or the largest message. `None` if there is no room for the option, which a reply must have only as far as
/// there is (RFC 7830 section 4).
fn padding(length: usize, limit: usize) -> Option<usize> {
    let least = length + OPTION_HEAD;
    (least <= limit).then(|| least.next_multiple_of(PADDING_BLOCK).min(limit) - least)
}

/// Appends the reply to a query that met an internal fault: its id, its opcode and SERVFAIL. Reads only the header,
/// because the rest might cause the fault again. Returns the parts that the reply repeats, or `None` if there is no
/// header.
pub fn encode_fault(packet: &[u8], out: &mut Vec<u8>) -> Option<Echo<'static>> {
    let &[id0, id1, flags, ..] = packet.first_chunk::<HEADER>()?;
    out.extend_from_slice(&[id0, id1, QR | flags & 0x79, ResponseCode::ServFail.low()]);
    out.extend_from_slice(&[0; 8]);
    let id = u16::from_be_bytes([id0, id1]);
    Some(Echo { id, opcode: flags >> 3 & 0xf, recursion_desired: flags & RD != 0, question: &[], edns: None })
}

/// A message that is being written. Its offsets count from its own start, which may lie within `out`.
struct MessageWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    class: u16,
    /// Bytes that the message may have before its OPT record.
    room: usize,
    /// The numbers of records in the answer and authority sections.
    counts: [u16; 2],
}

/// `None` if the message does not fit, which ends the writing.
type Fits = Option<()>;

impl MessageWriter<'_> {
    /// RA and AD stay clear, because the server neither recurses nor validates. CD stays clear too (RFC 4035 section
    /// 3.1.6).
    fn header(&mut self, echo: &Echo<'_>, answer: &Answer<'_>) {
        let aa = if answer.is_authoritative { AA } else { 0 };
        let rd = if echo.recursion_desired { RD } else { 0 };
        self.u16(echo.id);
        self.out.extend_from_slice(&[QR | echo.opcode << 3 | aa | rd, answer.rcode.low()]);
        self.u16(u16::from(!echo.question.is_empty()));
        self.out.extend_from_slice(&[0; 6]);
        self.out.extend_from_slice(echo.question);
    }

    fn records(&mut self, echo: &Echo<'_>, answer: &Answer<'_>) -> Fits {
        let signatures = match &answer.signing {
            SigningOutcome::Unsigned => None,
            SigningOutcome::Withheld => return None,
            SigningOutcome::Signed(signatures) => Some(&**signatures),
        };
        let mut owner = QNAME;
        for (index, alias) in answer.aliases.iter().enumerate() {
            let target = alias.rdatas.first()?;
            self.record(0, owner, alias.rtype, alias.ttl, target)?;
            // The message now ends with the uncompressed target, which the next owner refers to.
            let next = self.len() - target.len();
            self.rrsigs(0, owner, alias.ttl, signatures.and_then(|s| s.aliases.get(index)))?;
            owner = next;
        }
        self.found(owner, answer)?;
        self.rrsigs(0, owner, answer.records.ttl(), signatures.and_then(|s| s.records.as_ref()))?;
        if let Some(zone) = answer.negative {
            self.soa(1, apex_in(echo, zone), zone, answer.serial)?;
            self.rrsigs(1, apex_in(echo, zone), zone.soa.negative_ttl, signatures.and_then(|s| s.soa.as_ref()))?;
        }
        match signatures {
            None => Some(()),
            Some(signatures) => self.denial(owner, signatures),
        }
    }

    fn denial(&mut self, owner: usize, signatures: &Signatures) -> Fits {
        let Some(denial) = &signatures.denial else { return Some(()) };
        let section = usize::from(denial.role == NsecRole::Proof);
        if denial.role != NsecRole::Rrsig {
            self.record(section, owner, RecordType::NSEC, denial.ttl, &denial.rdata)?;
        }
        self.rrsigs(section, owner, denial.ttl, Some(&denial.signed))
    }

    /// An RRSIG has the owner and the TTL of what it signs (RFC 4034 section 3).
    fn rrsigs(&mut self, section: usize, owner: usize, ttl: u32, signed: Option<&Arc<Signed>>) -> Fits {
        for rdata in signed.into_iter().flat_map(|signed| signed.rdatas()) {
            self.record(section, owner, RecordType::RRSIG, ttl, rdata)?;
        }
        Some(())
    }

    fn found(&mut self, owner: usize, answer: &Answer<'_>) -> Fits {
        match &answer.records {
            Records::None => {}
            Records::Soa(zone) => self.soa(0, owner, zone, answer.serial)?,
            Records::Static(set) => {
                for rdata in &set.rdatas {
                    self.record(0, owner, set.rtype, set.ttl, rdata)?;
                }
            }
            Records::Live(txt) => {
                for text in txt.texts() {
                    let strings = text.chunks(MAX_STRING);
                    self.fixed(0, owner, RecordType::TXT, txt.ttl, strings.len() + text.len())?;
                    for string in strings {
                        // invariant: a string has at most 255 bytes
                        self.out.push(string.len() as u8);
                        self.out.extend_from_slice(string);
                    }
                }
            }
            Records::Identity(text) => {
                // The configuration keeps it short enough for one character-string.
                let length = u8::try_from(text.len()).ok()?;
                self.fixed(0, owner, RecordType::TXT, 0, 1 + text.len())?;
                self.out.push(length);
                self.out.extend_from_slice(text.as_bytes());
            }
        }
        Some(())
    }

    /// The TTL and MINIMUM are the same number, because resolvers use the smaller of the two (RFC 2308 section 3).
    fn soa(&mut self, section: usize, owner: usize, zone: &Zone, serial: Serial) -> Fits {
        let length_at = self.out.len() + 10;
        self.fixed(section, owner, RecordType::SOA, zone.soa.negative_ttl, 0)?;
        zone.soa.write_rdata(serial, self.out);
        // Two names and five numbers are far below 65,536 bytes.
        let length = (self.out.len() - length_at - 2) as u16;
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.fits(0)
    }

    fn record(&mut self, section: usize, owner: usize, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Fits {
        self.fixed(section, owner, rtype, ttl, rdata.len())?;
        self.out.extend_from_slice(rdata);
        Some(())
    }

    /// Writes a record up to its RDATA, if the RDATA fits too. `owner` is an offset below 16,384: the offset of the
    /// question or of one of the few aliases behind it.
    fn fixed(&mut self, section: usize, owner: usize, rtype: RecordType, ttl: u32, rdata: usize) -> Fits {
        self.fits(12 + rdata)?;
        let length = u16::try_from(rdata).ok()?;
        self.u16(0xc000 | owner as u16);
        self.u16(u16::from(rtype));
        self.u16(self.class);
        self.out.extend_from_slice(&ttl.to_be_bytes());
        self.u16(length);
        self.counts[section] += 1;
        Some(())
    }

    fn fits(&self, more: usize) -> Fits {
        (self.len() + more <= self.room).then_some(())
    }

    fn len(&self) -> usize {
        self.out.len() - self.start
    }

    fn u16(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn set_truncated(&mut self) {
        self.out[self.start + 2] |= TC;
    }

    fn set_counts(&mut self, has_opt: bool) {
        let [answers, authorities] = self.counts;
        for (at, count) in [(6, answers), (8, authorities), (10, u16::from(has_opt))] {
            self.out[self.start + at..self.start + at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }
}

/// The offset of the zone's apex, with which the question's name ends.
fn apex_in(echo: &Echo<'_>, zone: &Zone) -> usize {
    const TYPE_AND_CLASS: usize = 4;
    HEADER + echo.question.len() - TYPE_AND_CLASS - zone.name.apex().as_wire().len()
}

/// The OPT record of a reply (RFC 6891 section 6.1): version 0, the DO flag of the query, and CO.
struct Opt<'a> {
    edns: Edns,
    answer: &'a Answer<'a>,
    extras: Extras<'a>,
    carrier: Carrier,
}

impl Opt<'_> {
    const NSID: u16 = 3;
    const COOKIE: u16 = 10;
    const EDE: u16 = 15;
    const TCP_KEEPALIVE: u16 = 11;

    fn len(&self) -> usize {
        11 + self.options_len()
    }

    fn options_len(&self) -> usize {
        let keepalive = if self.has_keepalive() { 6 } else { 0 };
        let cookie = self.cookie().map_or(0, |(client, server)| 4 + client.len() + server.len());
        let nsid = self.nsid().map_or(0, |nsid| 4 + nsid.len());
        keepalive + cookie + nsid + self.answer.ede.map_or(0, |ede| 6 + ede.text.bytes())
    }

    fn cookie(&self) -> Option<([u8; CLIENT], [u8; SERVER])> {
        self.edns.cookie.map(|presented| presented.client).zip(self.extras.cookie)
    }

    fn nsid(&self) -> Option<&str> {
        self.extras.nsid.filter(|_| self.edns.nsid)
    }

    fn has_keepalive(&self) -> bool {
        self.edns.keepalive && self.carrier == Carrier::Stream
    }

    /// Padding comes last, since its length depends on the other options (RFC 8467 section 3).
    fn write(&self, padding: Option<usize>, out: &mut Vec<u8>) {
        const ROOT_AND_TYPE: [u8; 3] = [0, 0, 41];
        // CO is for clients that understand it, and for answers with signatures (RFC 9824 section 5.1).
        let compact = self.edns.compact_ok && !matches!(self.answer.signing, SigningOutcome::Unsigned);
        let flags = u16::from(self.edns.dnssec_ok) << 15 | u16::from(compact) << 14;
        out.extend_from_slice(&ROOT_AND_TYPE);
        push_u16(out, UDP_SIZE);
        out.extend_from_slice(&[self.answer.rcode.high(), 0]);
        push_u16(out, flags);
        // A keepalive, a cookie, a short name, a short text and less than a block: far below 65,536 bytes.
        push_u16(out, (self.options_len() + padding.map_or(0, |padding| OPTION_HEAD + padding)) as u16);
        if self.has_keepalive() {
            push_option_head(out, Self::TCP_KEEPALIVE, 2);
            // In units of 100 ms (RFC 7828 section 3.1).
            let idle = self.extras.idle_timeout.as_millis() / 100;
            push_u16(out, idle.try_into().unwrap_or(u16::MAX));
        }
        if let Some((client, server)) = self.cookie() {
            push_option_head(out, Self::COOKIE, client.len() + server.len());
            out.extend_from_slice(&client);
            out.extend_from_slice(&server);
        }
        if let Some(nsid) = self.nsid() {
            push_option_head(out, Self::NSID, nsid.len());
            out.extend_from_slice(nsid.as_bytes());
        }
        if let Some(ede) = self.answer.ede {
            push_option_head(out, Self::EDE, 2 + ede.text.bytes());
            push_u16(out, ede.code);
            // Writing to a vector cannot fail.
            _ = write!(out, "{}", ede.text);
        }
        if let Some(padding) = padding {
            push_option_head(out, PADDING, padding);
            out.resize(out.len() + padding, 0);
        }
    }
}

/// Appends an OPT record without options, in reply to one.
pub fn push_opt(out: &mut Vec<u8>, edns: Edns) {
    const ROOT_AND_TYPE: [u8; 3] = [0, 0, 41];
    out.extend_from_slice(&ROOT_AND_TYPE);
    push_u16(out, UDP_SIZE);
    out.extend_from_slice(&[0, 0]);
    push_u16(out, u16::from(edns.dnssec_ok) << 15);
    push_u16(out, 0);
}

/// Appends the code and the length of an option.
fn push_option_head(out: &mut Vec<u8>, code: u16, length: usize) {
    push_u16(out, code);
    push_u16(out, length as u16);
}

fn push_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}
