//! The signatures that an answer of a signed zone carries.

use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::zone::signing::Signed;

/// Whether an answer carries signatures.
#[derive(Debug)]
pub enum SigningOutcome {
    /// The zone is not signed, or the client has not set DO.
    Unsigned,
    /// The signing limit is exhausted, so the answer is not sent. A client over UDP is told to retry over TCP.
    Withheld,
    /// The answer carries these signatures.
    Signed(Box<Signatures>),
}

/// The signatures of the record sets in an answer.
#[derive(Debug, Default)]
pub struct Signatures {
    /// Signatures of the CNAMEs that were followed, in order.
    pub aliases: Vec<Arc<Signed>>,
    /// Signatures of the records in the answer section.
    pub records: Option<Arc<Signed>>,
    /// Signatures of the SOA in the authority section.
    pub soa: Option<Arc<Signed>>,
    /// The denial of existence in a negative answer.
    pub denial: Option<Denial>,
}

/// An NSEC record made for one question.
#[derive(Debug)]
pub struct Denial {
    /// The RDATA.
    pub rdata: Vec<u8>,
    /// The TTL in seconds: that of negative answers (RFC 9077).
    pub ttl: u32,
    /// The signatures of the NSEC.
    pub signed: Arc<Signed>,
    /// What the question asks of the NSEC.
    pub role: NsecRole,
}

/// What a question asks of the NSEC that exists at every name of a signed zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NsecRole {
    /// Nothing: the NSEC proves that something else does not exist.
    Proof,
    /// The NSEC itself.
    Nsec,
    /// The RRSIG of the NSEC. It stands for all RRSIGs at the name, as one record set does for ANY (RFC 8482 section 4.1).
    /// A denial of RRSIG would be bogus, because the NSEC lists that type.
    Rrsig,
}

impl NsecRole {
    /// The role in the answer to a question for this type.
    pub fn of(rtype: RecordType) -> Self {
        match rtype {
            RecordType::NSEC => Self::Nsec,
            RecordType::RRSIG => Self::Rrsig,
            _ => Self::Proof,
        }
    }
}
