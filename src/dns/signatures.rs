//! The signatures that an answer of a signed zone carries.

use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::zone::signing::Signed;

/// The signatures of an answer.
#[derive(Debug)]
pub enum SigningOutcome {
    /// There are none: the zone is not signed, or the client has not set DO.
    Unsigned,
    /// No turn to sign is free, so the answer is not sent. A client over UDP is told to retry over TCP.
    Withheld,
    /// The signatures of each part.
    Signed(Box<Signatures>),
}

/// The signatures of an answer's sets, each beside its set.
#[derive(Debug, Default)]
pub struct Signatures {
    /// Of the CNAMEs that were followed, in order.
    pub aliases: Vec<Arc<Signed>>,
    /// Of the records in the answer.
    pub records: Option<Arc<Signed>>,
    /// Of the SOA in the authority section.
    pub soa: Option<Arc<Signed>>,
    /// What is not there.
    pub denial: Option<Denial>,
}

/// An NSEC made for one question.
#[derive(Debug)]
pub struct Denial {
    /// Its RDATA.
    pub rdata: Vec<u8>,
    /// As long as the SOA allows (RFC 9077).
    pub ttl: u32,
    /// Its signatures.
    pub signed: Arc<Signed>,
    /// What the question wants of it.
    pub role: NsecRole,
}

/// What a question wants of the NSEC that stands at every name of a signed zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NsecRole {
    /// Nothing: the NSEC proves that something else is not there.
    Proof,
    /// The NSEC itself.
    Nsec,
    /// The RRSIG of the NSEC, which stands for all RRSIGs at the name as one set does for ANY (RFC 8482 section 4.1). A
    /// denial of RRSIG would be bogus: the NSEC lists it.
    Rrsig,
}

impl NsecRole {
    /// The role in an answer to a question for this type.
    pub fn of(rtype: RecordType) -> Self {
        match rtype {
            RecordType::NSEC => Self::Nsec,
            RecordType::RRSIG => Self::Rrsig,
            _ => Self::Proof,
        }
    }
}
