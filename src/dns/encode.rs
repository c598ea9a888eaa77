//! From an [`Answer`] to the bytes of a message.
//!
//! A writer of our own, because an answer must fit or say that it does not, and never end in the middle of a record
//! set (RFC 2181 section 9).

use std::io::Write;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::crypto::cookie::{CLIENT, SERVER};
use crate::model::serial::Serial;
use crate::model::txt::MAX_STRING;
use crate::zone::Zone;
use crate::zone::signing::Signed;

use super::answer::{Answer, Records};
use super::question::{Echo, Edns};
use super::signatures::{NsecRole, Signatures, SigningOutcome};
use super::source::Carrier;
use super::tsig::ReplyTsig;
use super::wire::HEADER;

/// The UDP size that we announce and keep to: it fits every path without fragments (RFC 9715 section 3.2).
pub const UDP_SIZE: u16 = 1_232;
/// What a client without EDNS takes over UDP (RFC 1035 section 4.2.1).
const PLAIN_UDP_SIZE: u16 = 512;
/// How long an idle connection stays open, in the units of RFC 7828 section 3.1: 100 ms.
const KEEPALIVE: u16 = 100;

const QR: u8 = 0x80;
const AA: u8 = 0x04;
const TC: u8 = 0x02;
const RD: u8 = 0x01;
const CLASS_IN: u16 = 1;
const CLASS_CH: u16 = 3;
/// The offset of the name in the question, right behind the header.
const QNAME: usize = HEADER;

/// Bytes that a message may have.
pub fn size_limit(carrier: Carrier, edns: Option<Edns>) -> usize {
    usize::from(match (carrier, edns) {
        (Carrier::Stream, _) => u16::MAX,
        (Carrier::Datagram, None) => PLAIN_UDP_SIZE,
        (Carrier::Datagram, Some(edns)) => edns.udp_size.clamp(PLAIN_UDP_SIZE, UDP_SIZE),
    })
}

/// What a reply says beside its answer, and how much of that it may say.
#[derive(Clone, Copy, Default, Debug)]
pub struct Extras<'a> {
    /// The server cookie for a client that has shown a cookie (RFC 7873 section 5.2).
    pub cookie: Option<[u8; SERVER]>,
    /// The server's name; said to who asks for it (RFC 5001).
    pub nsid: Option<&'a str>,
    /// Whether the answer is left out and TC is set, whatever its size: the client is to come by TCP.
    pub cut: bool,
    /// The TSIG record that is appended later, for which room is left.
    pub tsig: Option<&'a ReplyTsig>,
}

/// Appends the message that says `answer`. Returns whether all of it fitted; otherwise the message is only the header
/// with TC, the question and OPT.
pub fn encode(echo: &Echo<'_>, answer: &Answer<'_>, extras: Extras<'_>, carrier: Carrier, out: &mut Vec<u8>) -> bool {
    let opt = echo.edns.map(|edns| Opt { edns, answer, extras, carrier });
    // A TSIG with names as long as a sender likes may leave no room at all, and then there are no records either.
    let behind = opt.as_ref().map_or(0, Opt::len) + extras.tsig.map_or(0, ReplyTsig::size);
    let room = size_limit(carrier, echo.edns).saturating_sub(behind);
    let class = if matches!(answer.records, Records::Identity(_)) { CLASS_CH } else { CLASS_IN };
    let mut writer = MessageWriter { start: out.len(), out, class, room, counts: [0; 2] };
    writer.header(echo, answer);
    let questions_end = writer.out.len();
    let fits = !extras.cut && writer.records(echo, answer).is_some();
    if !fits {
        writer.out.truncate(questions_end);
        writer.counts = [0; 2];
        writer.set_truncated();
    }
    writer.set_counts(opt.is_some());
    if let Some(opt) = opt {
        opt.write(out);
    }
    fits
}

/// Appends the reply to a query that met a fault of ours: its id, its opcode and SERVFAIL. Reads nothing but the first
/// bytes, because the rest might meet the fault again. Returns what the reply repeats; `None`: there is no header.
pub fn encode_fault(packet: &[u8], out: &mut Vec<u8>) -> Option<Echo<'static>> {
    let &[id0, id1, flags, ..] = packet.first_chunk::<HEADER>()?;
    out.extend_from_slice(&[id0, id1, QR | flags & 0x79, ResponseCode::ServFail.low()]);
    out.extend_from_slice(&[0; 8]);
    let id = u16::from_be_bytes([id0, id1]);
    Some(Echo { id, opcode: flags >> 3 & 0xf, recursion_desired: flags & RD != 0, question: &[], edns: None })
}

/// A message that is being written. Offsets in it count from its own start, which may lie within `out`.
struct MessageWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    /// The class of its records.
    class: u16,
    /// Bytes that the message may have before its OPT.
    room: usize,
    /// Records in the answer and the authority section.
    counts: [u16; 2],
}

/// Writing goes on while the message fits.
type Fits = Option<()>;

impl MessageWriter<'_> {
    /// RA and AD stay clear: we do not recurse and validate nothing. So does CD (RFC 4035 section 3.1.6).
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
            // The target stands at the end of the message now, written out: the next owner points there.
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
                        // invariant: at most 255
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

    /// The TTL and the MINIMUM are one number, so that the smaller of the two rules (RFC 2308 section 3).
    fn soa(&mut self, section: usize, owner: usize, zone: &Zone, serial: Serial) -> Fits {
        let length_at = self.out.len() + 10;
        self.fixed(section, owner, RecordType::SOA, zone.soa.negative_ttl, 0)?;
        zone.soa.write_rdata(serial, self.out);
        // Two names and five numbers: below 65,536 by far.
        let length = (self.out.len() - length_at - 2) as u16;
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.fits(0)
    }

    fn record(&mut self, section: usize, owner: usize, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Fits {
        self.fixed(section, owner, rtype, ttl, rdata.len())?;
        self.out.extend_from_slice(rdata);
        Some(())
    }

    /// Writes a record up to its RDATA, if there is room for that as well. `owner` is an offset below 16,384, which
    /// holds for the question and for the few aliases behind it.
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

/// The apex is the end of the question's name, or the answer would not be about that zone.
fn apex_in(echo: &Echo<'_>, zone: &Zone) -> usize {
    const TYPE_AND_CLASS: usize = 4;
    HEADER + echo.question.len() - TYPE_AND_CLASS - zone.name.apex().as_wire().len()
}

/// The OPT record of a reply (RFC 6891 section 6.1): version 0, and no flag but DO, which is copied, and CO.
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

    fn write(&self, out: &mut Vec<u8>) {
        const ROOT_AND_TYPE: [u8; 3] = [0, 0, 41];
        // CO is for those alone who understand it: an answer with signatures (RFC 9824 section 5.1).
        let compact = self.edns.compact_ok && !matches!(self.answer.signing, SigningOutcome::Unsigned);
        let flags = u16::from(self.edns.dnssec_ok) << 15 | u16::from(compact) << 14;
        out.extend_from_slice(&ROOT_AND_TYPE);
        let mut u16 = |number: u16| out.extend_from_slice(&number.to_be_bytes());
        u16(UDP_SIZE);
        u16(u16::from_be_bytes([self.answer.rcode.high(), 0]));
        u16(flags);
        // A keepalive, a cookie, a short name and one of our own short texts.
        u16(self.options_len() as u16);
        if self.has_keepalive() {
            u16(Self::TCP_KEEPALIVE);
            u16(2);
            u16(KEEPALIVE);
        }
        if let Some((client, server)) = self.cookie() {
            head(out, Self::COOKIE, client.len() + server.len());
            out.extend_from_slice(&client);
            out.extend_from_slice(&server);
        }
        if let Some(nsid) = self.nsid() {
            head(out, Self::NSID, nsid.len());
            out.extend_from_slice(nsid.as_bytes());
        }
        if let Some(ede) = self.answer.ede {
            head(out, Self::EDE, 2 + ede.text.bytes());
            out.extend_from_slice(&ede.code.to_be_bytes());
            // A vector takes whatever is written.
            _ = write!(out, "{}", ede.text);
        }
    }
}

/// An option's code and length.
fn head(out: &mut Vec<u8>, code: u16, length: usize) {
    for number in [code, length as u16] {
        out.extend_from_slice(&number.to_be_bytes());
    }
}
