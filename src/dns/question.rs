//! From the bytes of a message to a [`Request`], or to a [`RequestError`] that says what to reply instead.
//!
//! Nothing here allocates: a request borrows from its packet.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::crypto::tsig_record::TSIG;
use crate::metrics::transfers::TransferKind;
use crate::model::name::{MAX_NAME, NameRef};
use crate::model::wire::{HEADER, RawRecord, Walk};

use super::echo::{Echo, QUERY};
use super::ede::Ede;
use super::edns::{Edns, is_opt};
use super::error_reply::ErrorReply;
use super::transfer_question::{TransferQuestion, serial_of, transfer_kind};

/// The opcode of an UPDATE (RFC 2136 section 1.3).
const UPDATE: u8 = 5;

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
    /// A zone transfer. Whoever may have none is refused before the rest of the query matters.
    Transfer(TransferQuestion<'p>),
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
    ///
    /// The first of these checks that a message does not pass decides its reply:
    ///
    /// | | check | otherwise | why |
    /// |---|---|---|---|
    /// | 1 | It has a whole header, with QR clear | no reply | RFC 1035 section 4.1.1 |
    /// | 2 | It has no TSIG record | [`Signed`](Self::Signed): after the signature, the message without the record goes through the checks from here on, and gets a signed reply | RFC 8945 section 5.2 |
    /// | 3 | It has at most one OPT record, at the root | FORMERR | RFC 6891 section 6.1.1 |
    /// | 4 | The EDNS version is 0 | BADVERS, whatever the message asks for | RFC 6891 section 6.1.3 |
    /// | 5 | The opcode is QUERY | [`Update`](Self::Update), if its records can be told apart (otherwise FORMERR); NOTIMP for any other, since an opcode decides what the rest means | RFC 2136 section 2, RFC 1035 section 4.1.1 |
    /// | 6 | It has one question that can be read | [`Cookie`](Self::Cookie), if it has none and asks for a cookie; otherwise FORMERR | RFC 7873 section 5.4, RFC 9619 section 4 |
    /// | 7 | The type is not AXFR or IXFR | [`Transfer`](Self::Transfer), which is refused to strangers before the record that an IXFR brings along can be a fault | RFC 5936 section 2.2.1, RFC 1995 section 3 |
    /// | 8 | No answer or authority records follow, the options and the cookie have a valid length, and nothing is left over | FORMERR | RFC 1035 section 4.1, RFC 6891 section 6.1.2, RFC 7873 section 5.2.2 |
    /// | 9 | The type can be asked for, unlike OPT, NXNAME, TKEY and TSIG | FORMERR | RFC 6895 section 3.1, RFC 9824 section 3.5 |
    /// | 10 | The class is IN, ANY or CH | REFUSED | RFC 1035 section 3.2.4 |
    ///
    /// A message that ends early passes the checks 2 to 4 as far as its records can be read.
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
        let request = match header.opcode {
            _ if additional.has_misplaced_opt => Err(ResponseCode::FormErr.into()),
            _ if echo.edns.is_some_and(|edns| edns.version > 0) => Err(ResponseCode::BADVERS.into()),
            // A message that is cut off may have lost its TSIG record.
            UPDATE if additional.is_whole => Ok(Self::Update(echo)),
            UPDATE => Err(ResponseCode::FormErr.into()),
            QUERY => match fields {
                Some(fields) => match transfer_kind(fields.rtype.into()) {
                    Some(kind) => Ok(Self::Transfer(header.transfer(fields, kind, walk, echo, lower))),
                    None => Question::checked(fields, &header, walk, echo, lower).map(Self::Query),
                },
                None if header.wants_cookie(walk, echo.edns) => Ok(Self::Cookie(echo)),
                None => Err(ResponseCode::FormErr.into()),
            },
            _ => Err(ResponseCode::NotImp.into()),
        };
        request.map_err(|refusal| RequestError::Answered(echo, refusal))
    }

    /// The parts that the reply repeats.
    pub fn echo(&self) -> &Echo<'p> {
        match self {
            Self::Query(question) => &question.echo,
            Self::Transfer(question) => &question.echo,
            Self::Cookie(echo) | Self::Update(echo) | Self::Signed(echo) => echo,
        }
    }
}

impl<'p> Question<'p> {
    /// Checks a query's question and what follows it: the checks from 7 on.
    fn checked(
        fields: QuestionFields<'p>,
        header: &Header,
        walk: Walk<'_>,
        echo: Echo<'p>,
        lower: &'p mut [u8; MAX_NAME],
    ) -> Result<Self, ErrorReply> {
        let rtype = RecordType::from(fields.rtype);
        if !header.is_rest_valid(walk) {
            return Err(ResponseCode::FormErr.into());
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

/// Whether a type occurs in messages only, never in a zone, and cannot be asked for (RFC 6895 section 3.1; NXNAME: RFC
/// 9824). ANY and the types of zone transfers have rules of their own.
///
/// MAILB and MAILA can be asked for: they mean the mail records of a name (RFC 1035 section 3.2.3).
pub(super) fn is_meta(rtype: RecordType) -> bool {
    const NXNAME: u16 = 128;
    const TKEY: u16 = 249;
    rtype == RecordType::OPT || matches!(u16::from(rtype), NXNAME | TKEY | TSIG)
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
        let mut additional = Additional { opt: None, has_misplaced_opt: false, is_signed: false, is_whole: false };
        let mut count = 0;
        for record in self.additional_records(packet).into_iter().flatten() {
            count += 1;
            if is_opt(&record) {
                additional.has_misplaced_opt |= additional.opt.is_some() || !record.is_at_root;
                additional.opt = additional.opt.or_else(|| Some(Edns::of(&record)));
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
    fn wants_cookie(&self, walk: Walk<'_>, edns: Option<Edns>) -> bool {
        self.questions == 0 && edns.is_some_and(|edns| edns.cookie.is_some()) && self.is_rest_valid(walk)
    }

    /// Reads a query for a transfer behind its question.
    fn transfer<'p>(
        &self,
        fields: QuestionFields<'p>,
        kind: TransferKind,
        mut walk: Walk<'_>,
        echo: Echo<'p>,
        lower: &'p mut [u8; MAX_NAME],
    ) -> TransferQuestion<'p> {
        let name = NameRef::lowered(fields.name, lower);
        let is_ixfr = kind == TransferKind::Ixfr;
        let serial = if is_ixfr { serial_of(&mut walk, name) } else { None };
        let has_counts = self.answers == 0 && self.authorities == u16::from(is_ixfr) && serial.is_some() == is_ixfr;
        let is_valid = has_counts && self.are_additionals_valid(walk) && Class::of(fields.class) == Some(Class::In);
        TransferQuestion { name, kind, serial, is_valid, echo }
    }

    /// Whether only valid additional records follow, and nothing behind them.
    fn is_rest_valid(&self, walk: Walk<'_>) -> bool {
        self.answers == 0 && self.authorities == 0 && self.are_additionals_valid(walk)
    }

    /// Whether valid additional records come next, and nothing behind them. Records other than OPT are ignored.
    fn are_additionals_valid(&self, mut walk: Walk<'_>) -> bool {
        for _ in 0..self.additionals {
            let Some(record) = walk.record() else { return false };
            if is_opt(&record) && !Edns::is_valid(&record) {
                return false;
            }
        }
        walk.is_at_end()
    }
}

/// The parts of an additional section that matter.
struct Additional {
    /// The first OPT record.
    opt: Option<Edns>,
    /// Whether there is a second OPT record, or one that is not at the root.
    has_misplaced_opt: bool,
    is_signed: bool,
    /// Whether the section holds as many records as the header counts.
    is_whole: bool,
}
