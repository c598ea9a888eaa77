//! The verdict as the API and the command line share it.

use serde::{Deserialize, Serialize};

use crate::model::network::QueryNetwork;

/// What the queries for a value mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictCode {
    /// Every network that asked got the value, and no known vantage point is missing.
    ServedEverywhere,
    /// Every network that asked got the value, but too few asked to say that a CA did.
    Served,
    /// Networks have begun to ask, and more may follow.
    InProgress,
    /// Every network that asked got the value, but fewer asked than for an earlier validation.
    VantageMissing,
    /// A network asked before the value was published, and may still keep what it got then.
    StaleCache,
    /// Networks asked shortly before the value was published, and not again.
    AskedTooEarly,
    /// Networks asked only after the value was retired.
    AskedTooLate,
    /// A truncated answer was not asked for again over TCP.
    TruncatedNoTcp,
    /// The rate limit withheld the value.
    RateLimited,
    /// An error was sent in place of the value.
    ServerFailure,
    /// Networks asked while the value was published and got others, or none.
    AnsweredWithoutValue,
    /// Networks asked below the name only.
    AskedTooDeep,
    /// Networks asked for other types than TXT only.
    OtherTypesOnly,
    /// The challenge's name leads to another account.
    OtherAccount,
    /// Nobody has asked.
    NobodyAsked,
    /// The query log does not reach back to the publication, or was not told of every change since.
    NotRecorded,
    /// Networks asked while nothing was published.
    NothingPublished,
    /// A code that only a newer server knows.
    #[serde(other)]
    Unknown,
}

impl VerdictCode {
    /// Whether the verdict names nothing that keeps a CA from seeing the value.
    pub fn is_good(self) -> bool {
        matches!(self, Self::ServedEverywhere | Self::Served | Self::InProgress)
    }
}

/// What the queries for a value mean, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The code.
    pub code: VerdictCode,
    /// The meaning in a sentence without a closing full stop, with what to do about it.
    pub text: String,
    /// How many networks got the value.
    #[serde(default)]
    pub networks: usize,
    /// The networks that did not get it: those that asked in vain, or the known vantage points that have not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<QueryNetwork>,
}
