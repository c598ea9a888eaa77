//! Enrolment tokens: registration secrets with an end, which the operator makes one by one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::account::{AllowFrom, Note};
use crate::model::name::{MAX_LABEL, Subdomain};
use crate::model::text::serde_as_text;
use crate::model::time::Timestamp;

/// The most registrations that one token is good for.
pub const MAX_USES: u32 = 100_000;
/// The most labels that one token names.
pub const MAX_LABELS: usize = 64;

/// What a token is called by; never given again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct EnrolmentId(pub i64);

impl FromStr for EnrolmentId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, std::num::ParseIntError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for EnrolmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not an [`AllowedLabel`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write a label like `shop`, or its beginning and a star like `shop-*`, or `*` for any; found {0:?}")]
pub struct AllowedLabelError(String);

/// A label that may be chosen, or with a star at its end all labels that begin so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowedLabel(Box<str>);

impl AllowedLabel {
    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers a label.
    fn allows(&self, label: &Subdomain) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => label.as_str().starts_with(start),
            None => label.as_str() == &*self.0,
        }
    }

    /// The one label that it covers; `None` with a star.
    fn exact(&self) -> Option<Subdomain> {
        self.0.parse().ok()
    }
}

impl FromStr for AllowedLabel {
    type Err = AllowedLabelError;

    fn from_str(text: &str) -> Result<Self, AllowedLabelError> {
        let is_right = match text.strip_suffix('*') {
            None => text.parse::<Subdomain>().is_ok(),
            Some(start) => {
                let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                start.len() <= MAX_LABEL && start.bytes().all(inner) && !start.starts_with('-')
            }
        };
        let wrong = || AllowedLabelError(text.chars().take(80).collect());
        is_right.then(|| Self(text.to_ascii_lowercase().into())).ok_or_else(wrong)
    }
}

impl fmt::Display for AllowedLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(AllowedLabel);

/// What a token is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// How many registrations; none at all for a token that is to open storage alone.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
    /// From which networks.
    pub allow_from: AllowFrom,
    /// Which labels; empty: random ones, and none of choice.
    pub labels: Vec<AllowedLabel>,
    /// What the operator wants to remember of it.
    pub note: Note,
}

/// A token as it is kept: without the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolment {
    /// What it is called by.
    pub id: EnrolmentId,
    /// What it is good for.
    pub terms: Terms,
    /// How many registrations it has paid for.
    pub used: u32,
    /// When it was made.
    pub created: Timestamp,
}

/// Why a token is good for no registration any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Over {
    #[error("the enrolment token has been used as often as it may be")]
    UsedUp,
    #[error("the enrolment token has expired")]
    Expired,
    #[error("the enrolment token has been revoked")]
    Revoked,
}

impl Enrolment {
    /// Why it is good for no registration at `now`, if so.
    pub fn over(&self, now: Timestamp) -> Option<Over> {
        if self.used >= self.terms.uses {
            return Some(Over::UsedUp);
        }
        (now >= self.terms.expires).then_some(Over::Expired)
    }

    /// Whether it may be shown from an address.
    pub fn allows_from(&self, client: IpAddr) -> bool {
        self.terms.allow_from.allows(client)
    }

    /// Whether a label may be chosen with it.
    pub fn allows_label(&self, label: &Subdomain) -> bool {
        self.terms.labels.iter().any(|allowed| allowed.allows(label))
    }

    /// The labels that it names one by one.
    pub fn exact_labels(&self) -> impl Iterator<Item = Subdomain> + '_ {
        self.terms.labels.iter().filter_map(AllowedLabel::exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolment(labels: &[&str]) -> Enrolment {
        let labels = labels.iter().map(|label| label.parse().unwrap()).collect();
        let (allow_from, note) = (AllowFrom::default(), Note::default());
        let terms = Terms { uses: 2, expires: Timestamp::from_unix(100), allow_from, labels, note };
        Enrolment { id: EnrolmentId(1), terms, used: 0, created: Timestamp::from_unix(1) }
    }

    #[test]
    fn labels_are_exact_or_begin_so() {
        let enrolment = enrolment(&["Shop", "web-*"]);
        let allows = |label: &str| enrolment.allows_label(&label.parse().unwrap());
        assert!(allows("shop") && allows("web-1"));
        assert!(!allows("shop-1") && !allows("web") && !allows("xweb-1"));
        assert_eq!(enrolment.exact_labels().collect::<Vec<_>>(), ["shop".parse().unwrap()]);
        for wrong in ["", "a.b", "**", "*a", "-*", "a_*", &"a".repeat(64)] {
            assert!(wrong.parse::<AllowedLabel>().is_err(), "{wrong}");
        }
        assert!("*".parse::<AllowedLabel>().unwrap().allows(&"any".parse().unwrap()));
    }

    #[test]
    fn it_ends_by_use_and_by_time() {
        let at = Timestamp::from_unix;
        let mut enrolment = enrolment(&[]);
        assert_eq!((enrolment.over(at(99)), enrolment.over(at(100))), (None, Some(Over::Expired)));
        enrolment.used = 2;
        assert_eq!(enrolment.over(at(1)), Some(Over::UsedUp));
    }
}
