//! The labels of owners: subdomains, and those that challenges have.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ring::digest::{SHA256, digest};
use thiserror::Error;
use uuid::Uuid;

use crate::model::text::serde_as_text;
use crate::model::url::Url;

use super::{CHALLENGE_LABEL, MAX_LABEL, PERSIST_LABEL, ZoneName, idn};

/// A text is not a subdomain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a subdomain is one label of 1 to 63 letters, digits and inner hyphens, like `shop-1`; found {0:?}")]
pub struct SubdomainError(pub String);

impl SubdomainError {
    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().take(80).collect())
    }
}

/// A label below the apex that an account owns: letters, digits and inner hyphens (LDH), in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Subdomain(Box<str>);

impl Subdomain {
    /// A label that nobody can guess: a version 4 UUID.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the label has the form of a hyphenated UUID. Only the daemon gives such labels; no client may choose
    /// one.
    pub fn is_uuid_shaped(&self) -> bool {
        self.uuid().is_some()
    }

    /// The UUID, where the label is one in its 36-character form.
    pub fn uuid(&self) -> Option<Uuid> {
        (self.0.len() == 36).then(|| Uuid::try_parse(&self.0).ok()).flatten()
    }
}

impl FromStr for Subdomain {
    type Err = SubdomainError;

    fn from_str(text: &str) -> Result<Self, SubdomainError> {
        let text = &*idn::to_ascii(text).map_err(|_| SubdomainError::of(text))?;
        let inner_ok = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let ends_ok = !text.starts_with('-') && !text.ends_with('-');
        if text.is_empty() || text.len() > MAX_LABEL || !inner_ok || !ends_ok {
            return Err(SubdomainError::of(text));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

serde_as_text!(Subdomain);

impl fmt::Display for Subdomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The label of one ACME account below `_acme-challenge` (draft-ietf-acme-dns-account-label section 3.1): `_` and the
/// base32, in lower case, of the first ten bytes of SHA-256(account URL).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AcmeAccountLabel(Box<str>);

impl AcmeAccountLabel {
    /// The length of ten bytes in base32 (RFC 4648 section 6).
    const DIGITS: usize = 16;

    /// The label of the account with this URL, which is hashed byte for byte.
    pub fn of(account: &Url) -> Self {
        let digest = digest(&SHA256, account.as_str().as_bytes());
        Self(format!("_{}", BASE32_NOPAD.encode(&digest.as_ref()[..10]).to_ascii_lowercase()).into())
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a label in lower case has this form.
    pub fn is_one(label: &[u8]) -> bool {
        let digit = |byte: &u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
        matches!(label, [b'_', digits @ ..] if digits.len() == Self::DIGITS && digits.iter().all(digit))
    }
}

/// The part of an owner's name below the apex of its zone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum OwnerLabel {
    /// An account's label.
    Subdomain(Subdomain),
    /// `_acme-challenge.<zone>`, which belongs to the daemon and the operator.
    Challenge,
    /// `_validation-persist.<zone>`, which belongs to the daemon and the operator too.
    Persist,
    /// The apex of a challenge zone.
    Apex,
    /// The label of an ACME account, for dns-account-01. Below the apex of a challenge zone it belongs to the apex's
    /// account; in other zones it stands below `_acme-challenge.<zone>` and belongs to the daemon.
    AcmeAccount(AcmeAccountLabel),
}

impl OwnerLabel {
    /// The stored form of the apex, as in zone files (RFC 1035 section 5.1).
    pub const APEX: &str = "@";

    /// The stored form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Subdomain(subdomain) => subdomain.as_str(),
            Self::Challenge => CHALLENGE_LABEL,
            Self::Persist => PERSIST_LABEL,
            Self::Apex => Self::APEX,
            Self::AcmeAccount(label) => label.as_str(),
        }
    }

    /// The first label of the name, which is the key in the zone; empty for the apex.
    pub fn below_apex(&self) -> &str {
        Self::below_apex_of(self.as_str())
    }

    /// [`below_apex`](Self::below_apex) of a label in its stored form.
    pub fn below_apex_of(stored: &str) -> &str {
        if stored == Self::APEX { "" } else { stored }
    }

    /// Whether the zone can have owners of this kind.
    pub(super) fn fits(&self, zone: &ZoneName) -> bool {
        match self {
            Self::Subdomain(_) | Self::Challenge | Self::Persist => !zone.is_challenge(),
            Self::Apex => zone.is_challenge(),
            Self::AcmeAccount(_) => !zone.begins_with(PERSIST_LABEL),
        }
    }
}

impl FromStr for OwnerLabel {
    type Err = SubdomainError;

    fn from_str(text: &str) -> Result<Self, SubdomainError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            CHALLENGE_LABEL => Self::Challenge,
            PERSIST_LABEL => Self::Persist,
            Self::APEX => Self::Apex,
            label if AcmeAccountLabel::is_one(label.as_bytes()) => Self::AcmeAccount(AcmeAccountLabel(label.into())),
            _ => Self::Subdomain(text.parse()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subdomain_is_one_ldh_label() {
        assert_eq!("Shop-1".parse::<Subdomain>().unwrap().as_str(), "shop-1");
        for bad in ["", "-a", "a-", "a.b", "a_b", "ä_b", &"a".repeat(64)] {
            assert!(bad.parse::<Subdomain>().is_err(), "{bad}");
        }
        assert!(Subdomain::random().is_uuid_shaped());
        assert!(!"a".repeat(32).parse::<Subdomain>().unwrap().is_uuid_shaped());
    }

    /// The example of draft-ietf-acme-dns-account-label section 3.2.
    #[test]
    fn the_label_of_an_account_is_made_of_its_url() {
        let account: Url = "https://example.com/acme/acct/ExampleAccount".parse().unwrap();
        assert_eq!(AcmeAccountLabel::of(&account).as_str(), "_ujmmovf2vn55tgye");
    }
}
