//! Where a zone stands on the way from unsigned to signed, from one key to the next, and back.
//!
//! ```text
//!   init       Fresh --> Offered
//!   rollover             Offered --> Doubled --> Switching --> Switched --> Offered, with the next key alone
//!   remove     Fresh or  Offered --> Withdrawing --> Withdrawn --> Unsigned
//! ```
//!
//! A rollover is that of a combined signing key by double signatures (RFC 6781 section 4.1.3): from `Doubled` to
//! `Switched` both keys stand in the DNSKEY set and each set has a signature of either, so that whatever mixture of
//! old and new a resolver has in its cache, it validates. A step is safe once no cache can hold what was served before
//! the last one.

use serde::{Deserialize, Serialize};

/// What a zone's CDS and CDNSKEY ask of the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CdsRequest {
    /// Nothing: leave things as they are.
    Nothing,
    /// A DS of the first key.
    First,
    /// A DS of the last key.
    Last,
    /// No DS at all (RFC 8078 section 4).
    Delete,
}

/// A step on the way. What the daemon serves depends on it and on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Signed, and the parent is not to know yet: caches still hold unsigned answers.
    Fresh,
    /// Signed, and the parent is asked for a DS of the key. The place to stay.
    Offered,
    /// A second key is there and signs as well; the parent's DS stays.
    Doubled,
    /// The parent is asked for a DS of the second key.
    Switching,
    /// The parent has it; caches may still hold its old DS.
    Switched,
    /// The parent is asked to remove the DS.
    Withdrawing,
    /// The parent has none; caches may still hold it.
    Withdrawn,
    /// Not signed any more.
    Unsigned,
}

impl Phase {
    /// What CDS and CDNSKEY say.
    pub fn cds(self) -> CdsRequest {
        match self {
            Self::Fresh | Self::Unsigned => CdsRequest::Nothing,
            Self::Offered | Self::Doubled => CdsRequest::First,
            Self::Switching | Self::Switched => CdsRequest::Last,
            Self::Withdrawing | Self::Withdrawn => CdsRequest::Delete,
        }
    }

    /// How many keys there are.
    pub fn keys(self) -> usize {
        match self {
            Self::Doubled | Self::Switching | Self::Switched => 2,
            _ => 1,
        }
    }

    /// What it means, for the operator.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fresh => "signed; the parent must not have the DS yet",
            Self::Offered => "signed; the parent should have this DS",
            Self::Doubled => "signed by the present key and the next one; the parent keeps the present DS",
            Self::Switching => "signed by both keys; the parent should replace its DS",
            Self::Switched => "signed by both keys; the parent has the next key's DS",
            Self::Withdrawing => "signed; the parent should remove its DS",
            Self::Withdrawn => "signed; the parent has no DS any more",
            Self::Unsigned => "unsigned",
        }
    }
}
