//! From the bytes of a message to a [`Request`], or to a [`RequestError`] that says what to reply instead.
//!
//! Nothing here allocates: a request borrows from its packet.

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::crypto::cookie::Presented;
use crate::model::name::{MAX_NAME, NameRef};

use super::ede::Ede;
use super::error_reply::ErrorReply;
use super::tsig::TSIG;
use super::wire::{HEADER, RawRecord, Walk};

/// The EDNS option by which a client asks how long a connection may idle (RFC 7828).
const TCP_KEEPALIVE: u16 = 11;
/// The option by which it asks which server it is that answers (RFC 5001).
const NSID: u16 = 3;
/// The option by which both show that they have met (RFC 7873).
const COOKIE: u16 = 10;

/// What every reply repeats of its query.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'p> {
    /// The message id.
    pub id: u16,
    /// The opcode, 4 bits.
    pub opcode: u8,
    /// Recursion desired: copied (RFC 1035 section 4.1.1).
    pub recursion_desired: bool,
    /// The question section byte for byte, because resolvers check the case of each letter; empty where it is not
    /// exactly one question.
    pub question: &'p [u8],
    /// What the query's OPT record says; `None` where it has none.
    pub edns: Option<Edns>,
}

/// Bytes of a question's type and class.
const TYPE_AND_CLASS: usize = 4;

impl<'p> Echo<'p> {
    /// The name in the question as sent, in uncompressed wire form.
    pub fn question_name(&self) -> Option<&'p [u8]> {
        let length = self.question.len().checked_sub(TYPE_AND_CLASS)?;
        self.question.get(..length)
    }

    /// The type in the question.
    pub fn question_type(&self) -> Option<RecordType> {
        let &[high, low, _, _] = self.question.last_chunk::<TYPE_AND_CLASS>()?;
        Some(u16::from_be_bytes([high, low]).into())
    }

    /// The type that a query asks for; `None` for other opcodes.
    pub fn queried_type(&self) -> Option<RecordType> {
        if self.opcode == u8::from(OpCode::Query) { self.question_type() } else { None }
    }
}

/// An OPT record of a query (RFC 6891 section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns {
    /// The largest UDP message that the client takes, in bytes.
    pub udp_size: u16,
    /// The EDNS version that the client speaks.
    pub version: u8,
    /// DNSSEC OK: copied into the reply (RFC 3225 section 3).
    pub dnssec_ok: bool,
    /// Compact answers OK: the client takes NXDOMAIN together with a compact denial (RFC 9824 section 5.1).
    pub compact_ok: bool,
    /// Whether the client asks how long a connection may idle (RFC 7828).
    pub keepalive: bool,
    /// Whether the client asks which server it is that answers (RFC 5001).
    pub nsid: bool,
    /// The first COOKIE option, where its length is right (RFC 7873 section 5.2).
    pub cookie: Option<Presented>,
    /// Whether the first COOKIE option has a wrong length.
    pub has_malformed_cookie: bool,
}

/// The classes that are answered (RFC 1035 section 3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The Internet.
    In,
    /// Any class: ours is the Internet, and of the others we cannot speak, so that no answer is authoritative (RFC 1035
    /// section 6.2).
    Any,
    /// Chaosnet, which is left for questions about the server itself (RFC 4892).
    Chaos,
}

impl Class {
    fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::In),
            255 => Some(Self::Any),
            3 => Some(Self::Chaos),
            _ => None,
        }
    }
}

/// A well-formed query for one name, type and class.
#[derive(Clone, Copy, Debug)]
pub struct Question<'p> {
    name: NameRef<'p>,
    rtype: RecordType,
    class: Class,
    /// What the reply repeats.
    pub echo: Echo<'p>,
}

/// What a well-formed message asks for.
#[derive(Clone, Copy, Debug)]
pub enum Request<'p> {
    /// The records of one name, type and class.
    Query(Question<'p>),
    /// A server cookie and nothing else (RFC 7873 section 5.4).
    Cookie(Echo<'p>),
    /// An UPDATE (RFC 2136), whose sections are still to be read.
    Update(Echo<'p>),
    /// Anything with a TSIG record (RFC 8945): first the signature is verified, then the rest is read.
    Signed(Echo<'p>),
}

/// Why a message is no request.
#[derive(Clone, Copy, Debug)]
pub enum RequestError<'p> {
    /// There is no reply: the message is a response, or too short to hold a header. Two servers that replied to
    /// responses would loop.
    Ignored,
    /// The reply is a refusal.
    Answered(Echo<'p>, ErrorReply),
}

impl<'p> Request<'p> {
    /// Reads a message. `lower` holds the question's name in lower case afterwards.
    pub fn read(packet: &'p [u8], lower: &'p mut [u8; MAX_NAME]) -> Result<Self, RequestError<'p>> {
        let header = Header::read(packet).filter(|header| !header.is_response).ok_or(RequestError::Ignored)?;
        let mut walk = Walk::behind_header(packet);
        let fields = if header.questions == 1 { QuestionFields::read(&mut walk) } else { None };
        let additional = header.additional(packet);
        let mut echo = header.echo();
        if fields.is_some() {
            echo.question = &packet[HEADER..walk.at()];
        }
        // From here on each refusal replies with EDNS where the message has it.
        echo.edns = additional.opt;
        if additional.is_signed {
            return Ok(Self::Signed(echo));
        }
        if header.opcode == u8::from(OpCode::Update) {
            // A message whose end is missing may have lost its TSIG record with it.
            let malformed = RequestError::Answered(echo, ResponseCode::FormErr.into());
            return if additional.is_whole { Ok(Self::Update(echo)) } else { Err(malformed) };
        }
        if header.opcode != u8::from(OpCode::Query) {
            return Err(RequestError::Answered(echo, ResponseCode::NotImp.into()));
        }
        let query = match fields {
            Some(fields) => Question::checked(fields, &header, walk, echo, lower).map(Self::Query),
            None if header.wants_cookie(walk) => Ok(Self::Cookie(echo)),
            // RFC 9619: a query has exactly one question.
            None => Err(ResponseCode::FormErr.into()),
        };
        query.map_err(|refusal| RequestError::Answered(echo, refusal))
    }

    /// What the reply repeats.
    pub fn echo(&self) -> &Echo<'p> {
        match self {
            Self::Query(question) => &question.echo,
            Self::Cookie(echo) | Self::Update(echo) | Self::Signed(echo) => echo,
        }
    }
}

impl<'p> Question<'p> {
    /// Checks a query's question and what follows it.
    fn checked(
        fields: QuestionFields<'p>,
        header: &Header,
        walk: Walk<'_>,
        echo: Echo<'p>,
        lower: &'p mut [u8; MAX_NAME],
    ) -> Result<Self, ErrorReply> {
        let rtype = RecordType::from(fields.rtype);
        if matches!(rtype, RecordType::AXFR | RecordType::IXFR) {
            return Err(ErrorReply::new(ResponseCode::Refused, Ede::PROHIBITED));
        }
        let edns = header.rest(walk).ok_or(ResponseCode::FormErr)?;
        if edns.is_some_and(|edns| edns.version > 0) {
            return Err(ResponseCode::BADVERS.into());
        }
        if is_meta(rtype) {
            return Err(ErrorReply::new(ResponseCode::FormErr, Ede::INVALID_QUERY_TYPE));
        }
        let class = Class::of(fields.class).ok_or(ResponseCode::Refused)?;
        Ok(Self { name: NameRef::lowered(fields.name, lower), rtype, class, echo })
    }

    /// The name asked for, in lower case (RFC 4343).
    pub fn name(&self) -> NameRef<'p> {
        self.name
    }

    /// The type asked for.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The class asked for.
    pub fn class(&self) -> Class {
        self.class
    }
}

/// Whether a message holds the option about keeping a TCP connection open, which has no place anywhere else.
pub fn asks_for_keepalive(packet: &[u8]) -> bool {
    let edns = Header::read(packet).and_then(|header| header.additional(packet).opt);
    edns.is_some_and(|edns| edns.keepalive)
}

/// A question's three fields (RFC 1035 section 4.1.2).
struct QuestionFields<'p> {
    name: &'p [u8],
    rtype: u16,
    class: u16,
}

impl<'p> QuestionFields<'p> {
    /// Reads a question whose name is uncompressed: nothing stands before it that a pointer could lead to.
    fn read(walk: &mut Walk<'p>) -> Option<Self> {
        Some(Self { name: walk.name()?, rtype: walk.u16()?, class: walk.u16()? })
    }
}

/// Types that only ever stand in messages, never in a zone (RFC 6895 section 3.1; NXNAME: RFC 9824).
/// ANY is answered, and transfers are refused before.
pub(super) fn is_meta(rtype: RecordType) -> bool {
    const NXNAME: u16 = 128;
    const TKEY: u16 = 249;
    const MAILB: u16 = 253;
    const MAILA: u16 = 254;
    rtype == RecordType::OPT || matches!(u16::from(rtype), NXNAME | TKEY | TSIG | MAILB | MAILA)
}

/// The header's fields that matter in a query.
struct Header {
    id: u16,
    is_response: bool,
    opcode: u8,
    recursion_desired: bool,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Header {
    fn read(packet: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = packet.first_chunk()?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(Self {
            id: number(0),
            is_response: header[2] & 0x80 != 0,
            opcode: header[2] >> 3 & 0xf,
            recursion_desired: header[2] & 1 != 0,
            questions: number(4),
            answers: number(6),
            authorities: number(8),
            additionals: number(10),
        })
    }

    fn echo<'p>(&self) -> Echo<'p> {
        Echo { id: self.id, opcode: self.opcode, recursion_desired: self.recursion_desired, question: &[], edns: None }
    }

    /// What stands in the additional section of any message whose records can be told apart, however wrong it is
    /// otherwise. Its OPT decides whether the reply has one (RFC 6891 section 7).
    fn additional(&self, packet: &[u8]) -> Additional {
        let mut additional = Additional { opt: None, is_signed: false, is_whole: false };
        let mut count = 0;
        for record in self.additional_records(packet).into_iter().flatten() {
            count += 1;
            if record.is_opt() && additional.opt.is_none() {
                additional.opt = Some(Edns::of(&record));
            }
            additional.is_signed |= record.rtype == TSIG;
        }
        additional.is_whole = count == self.additionals;
        additional
    }

    fn additional_records<'p>(&self, packet: &'p [u8]) -> Option<impl Iterator<Item = RawRecord<'p>> + use<'p>> {
        if self.additionals == 0 {
            return None;
        }
        let mut walk = Walk::behind_header(packet);
        for _ in 0..self.questions {
            walk.skip_name()?;
            walk.take(4)?;
        }
        for _ in 0..u32::from(self.answers) + u32::from(self.authorities) {
            walk.record()?;
        }
        Some((0..self.additionals).map_while(move |_| walk.record()))
    }

    /// Whether a query without a question asks for a server cookie (RFC 7873 section 5.4).
    fn wants_cookie(&self, walk: Walk<'_>) -> bool {
        let edns = if self.questions == 0 { self.rest(walk).flatten() } else { None };
        edns.is_some_and(|edns| edns.version == 0 && edns.cookie.is_some())
    }

    /// What follows the question: no records but at most one OPT and others that are ignored, and not a byte more.
    /// `None` is a format error.
    fn rest(&self, mut walk: Walk<'_>) -> Option<Option<Edns>> {
        if self.answers != 0 || self.authorities != 0 {
            return None;
        }
        let mut edns = None;
        for _ in 0..self.additionals {
            let record = walk.record()?;
            if record.is_opt() && (!record.is_at_root || edns.replace(Edns::checked(&record)?).is_some()) {
                return None; // RFC 6891 section 6.1.1: at the root, and only one
            }
        }
        walk.is_at_end().then_some(edns)
    }
}

/// What matters of a message's additional section.
struct Additional {
    opt: Option<Edns>,
    is_signed: bool,
    /// Whether all records are there that the header counts.
    is_whole: bool,
}

impl RawRecord<'_> {
    fn is_opt(&self) -> bool {
        self.rtype == u16::from(RecordType::OPT)
    }
}

impl Edns {
    fn of(opt: &RawRecord<'_>) -> Self {
        let [_, version, flags, _] = opt.ttl.to_be_bytes();
        let mut edns = Self {
            udp_size: opt.class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            compact_ok: flags & 0x40 != 0,
            keepalive: false,
            nsid: false,
            cookie: None,
            has_malformed_cookie: false,
        };
        for (code, data) in options(opt.rdata).flatten() {
            match code {
                TCP_KEEPALIVE => edns.keepalive = true,
                NSID => edns.nsid = true,
                COOKIE if edns.cookie.is_none() && !edns.has_malformed_cookie => {
                    edns.cookie = Presented::read(data);
                    edns.has_malformed_cookie = edns.cookie.is_none();
                }
                _ => {}
            }
        }
        edns
    }

    /// Fails where the options do not fill the RDATA or the cookie's length is wrong. Another version may write them
    /// another way.
    fn checked(opt: &RawRecord<'_>) -> Option<Self> {
        let edns = Self::of(opt);
        let is_whole = !edns.has_malformed_cookie && options(opt.rdata).all(|option| option.is_some());
        (edns.version > 0 || is_whole).then_some(edns)
    }
}

/// The options of an OPT record (RFC 6891 section 6.1.2): code and data; a last `None` where they end in the middle of
/// one.
fn options(mut rdata: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    std::iter::from_fn(move || {
        if rdata.is_empty() {
            return None;
        }
        let Some((&[c0, c1, l0, l1], rest)) = rdata.split_first_chunk() else {
            rdata = &[];
            return Some(None);
        };
        let split = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])));
        rdata = split.map(|(_, rest)| rest).unwrap_or_default();
        Some(split.map(|(data, _)| (u16::from_be_bytes([c0, c1]), data)))
    })
}
