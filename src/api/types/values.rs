//! `/txt` and `/persist`

use serde::{Deserialize, Serialize};

use crate::model::time::Span;
use crate::model::txt::TxtValue;
use crate::model::txt::persist::PersistValue;

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
    /// When it is retired.
    pub expires: String,
    /// The seconds until then.
    pub seconds_left: u64,
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
    /// The value.
    #[serde(flatten)]
    pub value: ValueView,
}

/// A persistent authorization and the name at which it is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedPersistent {
    /// The whole name.
    pub name: String,
    /// The persistent authorization.
    #[serde(flatten)]
    pub value: PersistentView,
}
