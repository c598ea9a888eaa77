//! Enrolment tokens: registration secrets with limits, which the operator makes one by one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::account::{AllowFrom, Note};
use crate::model::name::{MAX_LABEL, Subdomain};
use crate::model::text::serde_as_text;
use crate::model::time::{RunningTime, Timestamp};

/// The most registrations of one token.
pub const MAX_USES: u32 = 100_000;
/// The most labels of one token.
pub const MAX_LABELS: usize = 64;

/// A text is not an [`EnrolmentId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write the number of a token, as `txtgate enrol list` shows it; found {0:?}")]
pub struct EnrolmentIdError(String);

/// The number of a token, which no other token ever gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct EnrolmentId(pub i64);

impl FromStr for EnrolmentId {
    type Err = EnrolmentIdError;

    fn from_str(text: &str) -> Result<Self, EnrolmentIdError> {
        text.parse().map(Self).map_err(|_| EnrolmentIdError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for EnrolmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is not an [`AllowedLabel`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write a label like `shop`, or its beginning and a star like `shop-*`, or `*` for any; found {0:?}")]
pub struct AllowedLabelError(String);

/// A label that a client may choose; a star at its end covers all labels with that beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowedLabel(Box<str>);

impl AllowedLabel {
    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

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
        // The A-label of a beginning is not the beginning of an A-label, so that only whole labels are converted.
        if let Some(label) = text.parse::<Subdomain>().ok().filter(|_| !text.is_ascii()) {
            return Ok(Self(label.as_str().into()));
        }
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

/// The limits of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The number of registrations; 0 for a token that only opens storage.
    pub uses: u32,
    /// The first moment at which it allows no registration any more.
    pub expires: RunningTime,
    /// The networks from which the token may be used.
    pub allow_from: AllowFrom,
    /// The labels that it gives or lets the client choose; empty: random labels only.
    pub labels: Vec<AllowedLabel>,
    pub note: Note,
}

/// The stored part of a token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolment {
    pub id: EnrolmentId,
    pub terms: Terms,
    /// The number of registrations so far.
    pub used: u32,
    pub created: Timestamp,
}

/// The reason why a token allows no further registration.
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
    /// The reason why the token allows no registration at `now`, or `None` where it does.
    pub fn over(&self, now: RunningTime) -> Option<Over> {
        if self.used >= self.terms.uses {
            return Some(Over::UsedUp);
        }
        (now >= self.terms.expires).then_some(Over::Expired)
    }

    /// Whether a client at this address may use the token.
    pub fn allows_from(&self, client: IpAddr) -> bool {
        self.terms.allow_from.allows(client)
    }

    /// Whether a client may choose this label.
    pub fn allows_label(&self, label: &Subdomain) -> bool {
        self.terms.labels.iter().any(|allowed| allowed.allows(label))
    }

    /// The labels without a star.
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
        let terms = Terms { uses: 2, expires: RunningTime::from_seconds(100), allow_from, labels, note };
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
        let at = RunningTime::from_seconds;
        let mut enrolment = enrolment(&[]);
        assert_eq!((enrolment.over(at(99)), enrolment.over(at(100))), (None, Some(Over::Expired)));
        enrolment.used = 2;
        assert_eq!(enrolment.over(at(1)), Some(Over::UsedUp));
    }
}
