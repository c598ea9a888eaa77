//! What a verdict depends on besides the evidence.

use crate::model::name::Name;
use crate::model::time::PreciseTimestamp;

use super::super::vantages::Vantages;

/// How long resolvers may keep an answer, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLifetimes {
    /// An answer with values: the TTL of the TXT records.
    pub values: u32,
    /// An answer without values: the last field of the SOA (RFC 2308 section 5).
    pub empty: u32,
}

/// Where the CNAME of a challenge's name ends, if not at the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadsTo {
    /// The challenge's name.
    pub challenge: Name,
    /// Where its CNAME ends.
    pub end: Name,
}

/// What a verdict depends on besides the evidence.
#[derive(Debug, Clone, Copy)]
pub struct VerdictContext<'a> {
    /// The time of the verdict.
    pub now: PreciseTimestamp,
    /// The validations that went well.
    pub vantages: &'a Vantages,
    /// How long resolvers may keep answers.
    pub lifetimes: AnswerLifetimes,
    /// Where the challenge's name leads, if that was looked up and is another account's name.
    pub leads_to: Option<&'a LeadsTo>,
}
