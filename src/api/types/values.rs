//! `/txt` and `/persist`

use serde::{Deserialize, Serialize};

use crate::model::account::Note;
use crate::model::time::{PreciseTimestamp, Span};
use crate::model::txt::TxtValue;
use crate::model::txt::persist::PersistValue;

pub use crate::querylog::verdict::Verdict;

/// `POST /txt`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishValue {
    /// A subdomain, a fulldomain, or `_acme-challenge`.
    pub name: String,
    /// The value.
    pub txt: TxtValue,
}

/// `DELETE /txt`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetireValue {
    /// A subdomain, a fulldomain, or `_acme-challenge`.
    pub name: String,
    /// The value; all values of the name if absent.
    pub txt: Option<TxtValue>,
}

/// `POST /persist`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishPersistent {
    /// A subdomain, a fulldomain, or `_validation-persist`.
    pub name: String,
    /// The persistent authorization.
    pub value: PersistValue,
    /// How long it is served; until it is retired if absent.
    pub lifetime: Option<Span>,
}

/// `DELETE /persist`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetirePersistent {
    /// A subdomain, a fulldomain, or `_validation-persist`.
    pub name: String,
    /// The persistent authorization; all of the name if absent.
    pub value: Option<PersistValue>,
}

/// How many values were retired: 0 if there was none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Retired {
    /// The number.
    pub retired: usize,
}

/// A value that is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ValueView {
    /// The value.
    pub txt: TxtValue,
    /// When it was published, or published again.
    pub published: String,
    /// The same to the millisecond, where the query log knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<PreciseTimestamp>,
    /// When it is retired.
    pub expires: String,
    /// The seconds until then.
    pub seconds_left: u64,
    /// What the queries for it mean; in replies about one name or account, where the query log knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A value that was served until lately, as far as the query log knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetiredView {
    /// The value.
    pub txt: TxtValue,
    /// When it was published.
    pub published: PreciseTimestamp,
    /// When it was retired, or expired.
    pub retired: PreciseTimestamp,
    /// What the queries for it mean.
    pub verdict: Verdict,
}

/// `GET /v1/txt`: a value of an account, served now or until lately, and what the queries for it mean.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JudgedValue {
    /// The whole name.
    pub name: String,
    /// The value.
    pub txt: TxtValue,
    /// When it was published.
    pub published: PreciseTimestamp,
    /// When it was retired, or expired; `None` while it is served.
    pub retired: Option<PreciseTimestamp>,
    /// What the queries for it mean.
    pub verdict: Verdict,
}

/// A persistent authorization that is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PersistentView {
    /// The persistent authorization.
    pub value: PersistValue,
    /// When it was published, or published again.
    pub published: String,
    /// When it is retired; `None`: when somebody asks for that.
    pub expires: Option<String>,
}

/// A value and the name at which it is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedValue {
    /// The whole name.
    pub name: String,
    /// The note of the name's account, in lists for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// The value.
    #[serde(flatten)]
    pub value: ValueView,
}

/// A persistent authorization and the name at which it is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedPersistent {
    /// The whole name.
    pub name: String,
    /// The note of the name's account, in lists for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// The persistent authorization.
    #[serde(flatten)]
    pub value: PersistentView,
}
