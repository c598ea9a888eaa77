//! From the bytes of a message to a [`Request`], or to a [`RequestError`] that says what to reply instead.
//!
//! Nothing here allocates: a request borrows from its packet.

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::model::name::{MAX_NAME, NameRef};

use super::ede::Ede;
use super::edns::{Edns, is_opt};
use super::error_reply::ErrorReply;
use super::tsig::TSIG;
use super::wire::{HEADER, RawRecord, Walk};

/// The parts of a message that its reply repeats.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'p> {
    /// The message id.
    pub id: u16,
    /// The opcode, 4 bits.
    pub opcode: u8,
    /// Recursion desired: copied (RFC 1035 section 4.1.1).
    pub recursion_desired: bool,
    /// The question section byte for byte, because resolvers check the case of each letter. Empty unless the section
    /// holds exactly one question.
    pub question: &'p [u8],
    /// The OPT record; `None` if the message has none.
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

/// The classes that are answered (RFC 1035 section 3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The Internet.
    In,
    /// Any class. The zones hold the Internet class alone, so no answer for all classes is authoritative (RFC 1035
    /// section 6.2).
    Any,
    /// Chaosnet, which only asks about the server itself today (RFC 4892).
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
    /// The parts that the reply repeats.
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
    /// A message with a TSIG record (RFC 8945): the signature is verified before the rest is read.
    Signed(Echo<'p>),
}

/// Why a message is not a request.
#[derive(Clone, Copy, Debug)]
pub enum RequestError<'p> {
    /// The message gets no reply: it is a response, or too short to hold a header. Two servers that replied to
    /// responses would loop.
    Ignored,
    /// The message gets this reply.
    Answered(Echo<'p>, ErrorReply),
}

impl<'p> Request<'p> {
    /// Reads a message. `lower` receives the question's name in lower case.
    pub fn read(packet: &'p [u8], lower: &'p mut [u8; MAX_NAME]) -> Result<Self, RequestError<'p>> {
        let header = Header::read(packet).filter(|header| !header.is_response).ok_or(RequestError::Ignored)?;
        let mut walk = Walk::behind_header(packet);
        let fields = if header.questions == 1 { QuestionFields::read(&mut walk) } else { None };
        let additional = header.additional(packet);
        let mut echo = header.echo();
        if fields.is_some() {
            echo.question = &packet[HEADER..walk.at()];
        }
        // From here on, each error reply has an OPT record if the message has one.
        echo.edns = additional.opt;
        if additional.is_signed {
            return Ok(Self::Signed(echo));
        }
        if header.opcode == u8::from(OpCode::Update) {
            // A message that is cut off may have lost its TSIG record.
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

    /// The parts that the reply repeats.
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

/// Whether a message holds the edns-tcp-keepalive option, which only TCP and TLS allow (RFC 7828 section 3.2.1).
pub fn asks_for_keepalive(packet: &[u8]) -> bool {
    let edns = Header::read(packet).and_then(|header| header.additional(packet).opt);
    edns.is_some_and(|edns| edns.keepalive)
}

/// The three fields of a question (RFC 1035 section 4.1.2).
struct QuestionFields<'p> {
    name: &'p [u8],
    rtype: u16,
    class: u16,
}

impl<'p> QuestionFields<'p> {
    /// Reads the first question. Its name is uncompressed, because nothing precedes it that a pointer could refer to.
    fn read(walk: &mut Walk<'p>) -> Option<Self> {
        Some(Self { name: walk.name()?, rtype: walk.u16()?, class: walk.u16()? })
    }
}

/// Whether a type occurs in messages only, never in a zone (RFC 6895 section 3.1; NXNAME: RFC 9824). ANY and the types
/// of zone transfers have rules of their own.
pub(super) fn is_meta(rtype: RecordType) -> bool {
    const NXNAME: u16 = 128;
    const TKEY: u16 = 249;
    const MAILB: u16 = 253;
    const MAILA: u16 = 254;
    rtype == RecordType::OPT || matches!(u16::from(rtype), NXNAME | TKEY | TSIG | MAILB | MAILA)
}

/// The fields of a header that matter in a request.
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
        let [questions, answers, authorities, additionals] = Walk::behind_header(packet).counts()?;
        Some(Self {
            id: u16::from_be_bytes([header[0], header[1]]),
            is_response: header[2] & 0x80 != 0,
            opcode: header[2] >> 3 & 0xf,
            recursion_desired: header[2] & 1 != 0,
            questions,
            answers,
            authorities,
            additionals,
        })
    }

    fn echo<'p>(&self) -> Echo<'p> {
        Echo { id: self.id, opcode: self.opcode, recursion_desired: self.recursion_desired, question: &[], edns: None }
    }

    /// Reads the additional section of any message whose records can be told apart, however malformed it is otherwise.
    /// Its OPT record decides whether the reply has one (RFC 6891 section 7).
    fn additional(&self, packet: &[u8]) -> Additional {
        let mut additional = Additional { opt: None, is_signed: false, is_whole: false };
        let mut count = 0;
        for record in self.additional_records(packet).into_iter().flatten() {
            count += 1;
            if is_opt(&record) && additional.opt.is_none() {
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

    /// Reads what follows the question. Only additional records are allowed: at most one is an OPT record, the others
    /// are ignored. `None` is a format error; so are bytes behind the last record.
    fn rest(&self, mut walk: Walk<'_>) -> Option<Option<Edns>> {
        if self.answers != 0 || self.authorities != 0 {
            return None;
        }
        let mut edns = None;
        for _ in 0..self.additionals {
            let record = walk.record()?;
            if is_opt(&record) && (!record.is_at_root || edns.replace(Edns::checked(&record)?).is_some()) {
                return None; // RFC 6891 section 6.1.1: at the root, and only one
            }
        }
        walk.is_at_end().then_some(edns)
    }
}

/// The parts of an additional section that matter.
struct Additional {
    opt: Option<Edns>,
    is_signed: bool,
    /// Whether the section holds as many records as the header counts.
    is_whole: bool,
}
