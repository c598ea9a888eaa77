//! TSIG records (RFC 8945): verifies those of requests, and appends those of replies.
//!
//! Everything here works on the bytes of messages, because a MAC covers exactly those.

use crate::crypto::tsig::{Mac, Match, TsigKey};
use crate::model::name::Name;
use crate::model::time::Timestamp;
use crate::model::wire::{HEADER, Walk};

/// The number of the record type TSIG (RFC 8945 section 4.2).
pub const TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;
const CLASS_AND_TTL: [u8; 6] = [0, CLASS_ANY as u8, 0, 0, 0, 0];
/// How far the clocks of a client and this server may differ, in seconds (RFC 8945 section 10). A request cannot raise
/// this limit, because the keyring remembers requests for as long as they could be replayed.
const FUDGE: u16 = 300;

/// The error codes of TSIG (RFC 8945 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TsigError {
    BadSig = 16,
    BadKey = 17,
    BadTime = 18,
}

impl TsigError {
    /// The mnemonic of the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSig => "BADSIG",
            Self::BadKey => "BADKEY",
            Self::BadTime => "BADTIME",
        }
    }
}

/// A TSIG record that cannot be parsed, or that is not the last record or not the only one of its kind (RFC 8945 section
/// 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MalformedTsig;

/// Why the signature of a request is not accepted.
#[derive(Debug)]
pub enum Unverified {
    /// The MAC has an invalid length, which is a format error (RFC 8945 section 5.2.2.1). The reply is not signed.
    Malformed,
    /// The reply has the response code NOTAUTH, and ends with this record.
    Rejected(TsigError, Box<ReplyTsig>),
}

/// A request with a valid signature.
#[derive(Debug)]
pub struct VerifiedRequest {
    /// The TSIG record for the reply.
    pub reply: ReplyTsig,
    /// The full MAC, which identifies a replay of the request. The MAC in the request may be truncated.
    pub mac: Mac,
    /// When a replay of the request becomes too old to be accepted.
    pub expires: Timestamp,
}

/// The TSIG record of a message, and the message before it.
#[derive(Debug)]
pub struct Tsig<'p> {
    before: &'p [u8],
    key_name: Name,
    algorithm: Name,
    fields: TsigFields<'p>,
    mac: &'p [u8],
    original_id: [u8; 2],
}

/// The fields of a TSIG record that a MAC covers, apart from its names (RFC 8945 section 4.3.3).
#[derive(Clone, Copy, Debug)]
struct TsigFields<'p> {
    /// Seconds since 1970, 48 bits.
    time_signed: u64,
    fudge: u16,
    error: u16,
    other: &'p [u8],
}

impl<'p> Tsig<'p> {
    /// The TSIG record of a message; `None` if there is none, or if the message cannot be parsed.
    pub fn read(packet: &'p [u8]) -> Result<Option<Self>, MalformedTsig> {
        match first_tsig(packet) {
            None => Ok(None),
            Some((walk, true)) => Self::parse(packet, walk).map(Some).ok_or(MalformedTsig),
            Some((_, false)) => Err(MalformedTsig),
        }
    }

    fn parse(packet: &'p [u8], mut walk: Walk<'p>) -> Option<Self> {
        let before = packet.get(..walk.at())?;
        let key_name = walk.clone().expanded_name()?;
        let record = walk.record()?;
        let mut rdata = Walk::over(record.rdata);
        let algorithm = Name::from_wire(rdata.name()?).ok()?;
        let time_signed = u64::from(rdata.u16()?) << 32 | u64::from(rdata.u32()?);
        let fudge = rdata.u16()?;
        let mac = rdata.counted()?;
        let original_id = rdata.u16()?.to_be_bytes();
        let fields = TsigFields { time_signed, fudge, error: rdata.u16()?, other: rdata.counted()? };
        let is_whole = rdata.is_at_end() && walk.is_at_end() && record.class == CLASS_ANY && record.ttl == 0;
        is_whole.then_some(Self { before, key_name, algorithm, fields, mac, original_id })
    }

    /// The name of the key that the request claims to be signed with.
    pub fn key_name(&self) -> &Name {
        &self.key_name
    }

    /// The message without the TSIG record.
    pub fn stripped(&self) -> Vec<u8> {
        let (mut header, rest) = self.unsigned();
        // The id that the last sender chose, who also gets the reply.
        header[..2].copy_from_slice(&self.before[..2]);
        [&header[..], rest].concat()
    }

    /// The message as it was before it was signed, in two pieces.
    fn unsigned(&self) -> ([u8; HEADER], &'p [u8]) {
        let mut header = [0; HEADER];
        // invariant: `parse` has found a whole header, which counts this record.
        let (counted, rest) = self.before.split_at(HEADER);
        header.copy_from_slice(counted);
        header[..2].copy_from_slice(&self.original_id);
        let additionals = u16::from_be_bytes([header[10], header[11]]).saturating_sub(1);
        header[10..].copy_from_slice(&additionals.to_be_bytes());
        (header, rest)
    }

    /// Verifies the request with `key`, the key of that name if there is one. The checks have the order of RFC 8945
    /// section 5.2.
    pub fn verify(&self, key: Option<&TsigKey>, now: Timestamp) -> Result<VerifiedRequest, Unverified> {
        let Some(key) = key.filter(|key| key.algorithm().as_wire() == self.algorithm.as_wire()) else {
            return Err(self.rejected(TsigError::BadKey, None));
        };
        let mac = self.right_mac(key);
        match mac.compare(self.mac) {
            Match::Right => {}
            Match::Misshapen => return Err(Unverified::Malformed),
            Match::Wrong => return Err(self.rejected(TsigError::BadSig, None)),
        }
        let fudge = u64::from(self.fields.fudge.min(FUDGE));
        if self.fields.time_signed.abs_diff(now.as_unix()) > fudge {
            return Err(self.rejected(TsigError::BadTime, Some(key)));
        }
        let expires = Timestamp::from_unix(self.fields.time_signed + fudge + 1);
        Ok(VerifiedRequest { reply: self.reply(Some(key), None), mac, expires })
    }

    /// A rejection, whose reply is signed with `key` if there is one.
    fn rejected(&self, error: TsigError, key: Option<&TsigKey>) -> Unverified {
        Unverified::Rejected(error, self.reply(key, Some(error)).into())
    }

    fn right_mac(&self, key: &TsigKey) -> Mac {
        let (header, rest) = self.unsigned();
        key.mac(&[&header, rest, &self.fields.covered(&self.key_name, &self.algorithm)])
    }

    fn reply(&self, key: Option<&TsigKey>, error: Option<TsigError>) -> ReplyTsig {
        ReplyTsig {
            key: key.cloned(),
            key_name: self.key_name.clone(),
            algorithm: self.algorithm.clone(),
            request_mac: self.mac.into(),
            request_time: (self.fields.time_signed, self.fields.fudge),
            error,
        }
    }
}

/// The position of the first TSIG record of a message, and whether it is the last record.
fn first_tsig(packet: &[u8]) -> Option<(Walk<'_>, bool)> {
    let mut walk = Walk::behind_header(packet);
    let [questions, answers, authorities, additionals] = walk.counts()?;
    for _ in 0..questions {
        walk.skip_name()?;
        walk.take(4)?;
    }
    let records = u32::from(answers) + u32::from(authorities) + u32::from(additionals);
    for number in 1..=records {
        let at = walk;
        if walk.record()?.rtype == TSIG {
            return Some((at, number == records && additionals > 0));
        }
    }
    None
}

impl TsigFields<'_> {
    /// The time and how far it may be off.
    fn times(&self) -> [u8; 8] {
        let mut times = (self.time_signed << 16).to_be_bytes();
        times[6..].copy_from_slice(&self.fudge.to_be_bytes());
        times
    }

    /// The bytes that a MAC covers: the names in canonical form, without the type and the lengths of the record (RFC 8945
    /// section 4.3.3).
    fn covered(&self, key_name: &Name, algorithm: &Name) -> Vec<u8> {
        let mut out = [key_name.as_wire(), &CLASS_AND_TTL, algorithm.as_wire()].concat();
        out.extend_from_slice(&self.times());
        out.extend_from_slice(&self.error.to_be_bytes());
        push_counted(&mut out, self.other);
        out
    }
}

/// Appends a 16-bit length and the bytes.
fn push_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    // invariant: the bytes are a MAC, a time, an RDATA of those, or come from a field with a 16-bit length
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The TSIG record of a reply, before the reply is written.
#[derive(Clone, Debug)]
pub struct ReplyTsig {
    /// The key that signs the reply. `None`: the record holds the error and no MAC (RFC 8945 section 5.3.2).
    key: Option<TsigKey>,
    key_name: Name,
    algorithm: Name,
    request_mac: Box<[u8]>,
    request_time: (u64, u16),
    error: Option<TsigError>,
}

impl ReplyTsig {
    /// Whether the reply is signed.
    pub fn is_signed(&self) -> bool {
        self.key.is_some()
    }

    /// The name of the key in the request.
    pub fn key_name(&self) -> &Name {
        &self.key_name
    }

    /// Why the request's signature was rejected; `None` if it was verified.
    pub fn error(&self) -> Option<TsigError> {
        self.error
    }

    /// The size of the record in bytes.
    pub fn size(&self) -> usize {
        const FIXED: usize = 10 + 16;
        let mac = self.key.as_ref().map_or(0, |key| key.algorithm().bytes());
        let other = if self.tells_time() { 6 } else { 0 };
        self.key_name.as_wire().len() + self.algorithm.as_wire().len() + FIXED + mac + other
    }

    /// Appends the record to the message that begins at `start` and is otherwise complete.
    pub fn append(&self, out: &mut Vec<u8>, start: usize, now: Timestamp) {
        let ours = now.as_unix().to_be_bytes();
        // An error repeats the request's times, so that the client accepts the reply in spite of them (section 5.2.3).
        let (time_signed, fudge) = if self.error.is_none() { (now.as_unix(), FUDGE) } else { self.request_time };
        let error = self.error.map_or(0, |error| error as u16);
        let other = if self.tells_time() { &ours[2..] } else { &[] };
        let fields = TsigFields { time_signed, fudge, error, other };
        let mac = self.key.as_ref().map(|key| self.mac(key, &out[start..], fields));
        self.write(out, start, fields, mac.as_ref().map_or(&[], Mac::as_bytes));
    }

    fn tells_time(&self) -> bool {
        self.error == Some(TsigError::BadTime)
    }

    /// The signatures of a reply that is a stream of messages.
    pub fn into_stream(self) -> StreamTsig {
        StreamTsig { record: self, is_first: true }
    }

    /// The MAC over the request's MAC, the reply and the record's fields (RFC 8945 section 5.3.1).
    fn mac(&self, key: &TsigKey, message: &[u8], fields: TsigFields<'_>) -> Mac {
        let mut request_mac = Vec::with_capacity(2 + self.request_mac.len());
        push_counted(&mut request_mac, &self.request_mac);
        key.mac(&[&request_mac, message, &fields.covered(&self.key_name, &self.algorithm)])
    }

    fn write(&self, out: &mut Vec<u8>, start: usize, fields: TsigFields<'_>, mac: &[u8]) {
        let id = [out[start], out[start + 1]];
        let mut rdata = self.algorithm.as_wire().to_vec();
        rdata.extend_from_slice(&fields.time_signed.to_be_bytes()[2..]);
        rdata.extend_from_slice(&fields.fudge.to_be_bytes());
        push_counted(&mut rdata, mac);
        rdata.extend_from_slice(&id);
        rdata.extend_from_slice(&fields.error.to_be_bytes());
        push_counted(&mut rdata, fields.other);
        out.extend_from_slice(self.key_name.as_wire());
        out.extend_from_slice(&TSIG.to_be_bytes());
        out.extend_from_slice(&CLASS_AND_TTL);
        push_counted(out, &rdata);
        // invariant: the additional section holds at most an OPT record so far
        out[start + 11] += 1;
    }
}

/// The TSIG records of a zone transfer: one on each of its messages, which covers the one before it (RFC 8945 section
/// 5.3.1).
#[derive(Clone, Debug)]
pub struct StreamTsig {
    record: ReplyTsig,
    is_first: bool,
}

impl StreamTsig {
    /// The record of the first message.
    pub fn first(&self) -> &ReplyTsig {
        &self.record
    }

    /// The size of each record in bytes.
    pub fn size(&self) -> usize {
        self.record.size()
    }

    /// Appends the record to the message that begins at `start` and is otherwise complete.
    pub fn append(&mut self, out: &mut Vec<u8>, start: usize, now: Timestamp) {
        let Some(key) = &self.record.key else { return };
        let fields = TsigFields { time_signed: now.as_unix(), fudge: FUDGE, error: 0, other: &[] };
        let mac = if std::mem::take(&mut self.is_first) {
            self.record.mac(key, &out[start..], fields)
        } else {
            let mut before = Vec::with_capacity(2 + self.record.request_mac.len());
            push_counted(&mut before, &self.record.request_mac);
            // Of the record's fields, later messages cover the times alone.
            key.mac(&[&before, &out[start..], &fields.times()])
        };
        self.record.write(out, start, fields, mac.as_bytes());
        self.record.request_mac = mac.as_bytes().into();
    }
}

/// A request that this server has signed. Verifies the reply.
#[derive(Debug)]
pub struct SignedRequest {
    key: TsigKey,
    key_name: Name,
    mac: Mac,
}

impl SignedRequest {
    /// Signs the request in `message`, which is otherwise complete, and appends the record.
    pub fn sign(key_name: &Name, key: &TsigKey, message: &mut Vec<u8>, now: Timestamp) -> Option<Self> {
        let algorithm = Name::from_wire(key.algorithm().as_wire()).ok()?;
        let fields = TsigFields { time_signed: now.as_unix(), fudge: FUDGE, error: 0, other: &[] };
        let mac = key.mac(&[message, &fields.covered(key_name, &algorithm)]);
        let record = ReplyTsig {
            key: Some(key.clone()),
            key_name: key_name.clone(),
            algorithm,
            request_mac: Box::default(),
            request_time: (0, 0),
            error: None,
        };
        record.write(message, 0, fields, mac.as_bytes());
        Some(Self { key: key.clone(), key_name: key_name.clone(), mac })
    }

    /// Whether a reply is signed with the same key, for this request, and by now.
    pub fn is_answered_by(&self, reply: &[u8], now: Timestamp) -> bool {
        let Ok(Some(tsig)) = Tsig::read(reply) else { return false };
        let has_key = tsig.key_name == self.key_name && tsig.algorithm.as_wire() == self.key.algorithm().as_wire();
        let mut before = Vec::new();
        push_counted(&mut before, self.mac.as_bytes());
        let (header, rest) = tsig.unsigned();
        let covered = tsig.fields.covered(&tsig.key_name, &tsig.algorithm);
        let mac = self.key.mac(&[&before, &header, rest, &covered]);
        let fudge = u64::from(tsig.fields.fudge.min(FUDGE));
        has_key && mac.compare(tsig.mac) == Match::Right && tsig.fields.time_signed.abs_diff(now.as_unix()) <= fudge
    }
}
