//! The names at which accounts publish, and the forms in which people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ring::digest::{SHA256, digest};
use thiserror::Error;
use uuid::Uuid;

use crate::model::text::serde_as_text;
use crate::model::url::Url;

use super::{CHALLENGE_LABEL, MAX_LABEL, Name, NameError, PERSIST_LABEL, ZoneName, idn};

/// A text is not a subdomain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a subdomain is one label of 1 to 63 letters, digits and inner hyphens, like `shop-1`; found {0:?}")]
pub struct SubdomainError(pub String);

impl SubdomainError {
    fn of(text: &str) -> Self {
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
    fn fits(&self, zone: &ZoneName) -> bool {
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

/// The label of [`Owner::probe`]. The top-level domain `invalid` has no hosts (RFC 6761 section 6.4).
fn probe_label() -> Option<AcmeAccountLabel> {
    Some(AcmeAccountLabel::of(&"https://doctor.invalid/".parse().ok()?))
}

/// A name at which TXT values may be published.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Owner {
    pub zone: ZoneName,
    pub label: OwnerLabel,
}

impl Owner {
    /// The owner of a subdomain.
    pub fn subdomain(zone: ZoneName, subdomain: Subdomain) -> Self {
        Self { zone, label: OwnerLabel::Subdomain(subdomain) }
    }

    /// The apex of a zone as an owner.
    pub fn apex(zone: ZoneName) -> Self {
        Self { zone, label: OwnerLabel::Apex }
    }

    /// The owner at which the daemon publishes values to compare what resolvers see of them; `None` if the zone can have
    /// none. Its label is that of an ACME account that no CA has, so no certificate is ever proven there.
    pub fn probe(zone: &ZoneName) -> Option<Self> {
        Self::labelled(OwnerLabel::AcmeAccount(probe_label()?), zone)
    }

    /// Whether values here are for comparison alone, and say nothing of validations.
    pub fn is_probe(&self) -> bool {
        matches!(&self.label, OwnerLabel::AcmeAccount(label) if probe_label().is_some_and(|probe| probe == *label))
    }

    /// The owner with this name, if the zone can have one there.
    pub fn at(name: &Name, zone: &ZoneName) -> Option<Self> {
        let mut labels = name.as_ref().below(zone.apex().as_ref())?;
        let Some(label) = labels.next() else { return Self::labelled(OwnerLabel::Apex, zone) };
        let owner = Self::labelled(std::str::from_utf8(label).ok()?.parse().ok()?, zone)?;
        let is_there = match (labels.next(), labels.next()) {
            (None, _) => !owner.is_below_challenge(),
            (Some(above), None) => owner.is_below_challenge() && above == CHALLENGE_LABEL.as_bytes(),
            _ => false,
        };
        is_there.then_some(owner)
    }

    /// The owner with this label, if the zone can have one.
    fn labelled(label: OwnerLabel, zone: &ZoneName) -> Option<Self> {
        label.fits(zone).then(|| Self { zone: zone.clone(), label })
    }

    /// The owner with this label, if the zone can have one that is an account's.
    pub fn of_account(label: OwnerLabel, zone: &ZoneName) -> Option<Self> {
        Self::labelled(label, zone).filter(|owner| !owner.is_daemons())
    }

    /// The owner whose account may publish here as well: for the label of an ACME account in a challenge zone, the
    /// apex.
    pub fn above(&self) -> Option<Self> {
        let is_below_apex = matches!(self.label, OwnerLabel::AcmeAccount(_)) && self.zone.is_challenge();
        is_below_apex.then(|| Self::apex(self.zone.clone()))
    }

    /// Whether `_acme-challenge` stands between the label and the apex.
    fn is_below_challenge(&self) -> bool {
        matches!(self.label, OwnerLabel::AcmeAccount(_)) && !self.zone.is_challenge()
    }

    /// Whether the owner belongs to the daemon and the operator. No account can have it, and its first use creates it.
    pub fn is_daemons(&self) -> bool {
        matches!(self.label, OwnerLabel::Challenge | OwnerLabel::Persist) || self.is_below_challenge()
    }

    /// Whether a CA can find a persistent authorization here: at the name itself, or through a CNAME.
    pub fn may_persist(&self) -> bool {
        match self.label {
            OwnerLabel::Subdomain(_) | OwnerLabel::Persist => true,
            OwnerLabel::Apex => self.zone.begins_with(PERSIST_LABEL),
            OwnerLabel::Challenge | OwnerLabel::AcmeAccount(_) => false,
        }
    }

    /// The `subdomain` of the acme-dns API: the label of a subdomain, the whole name of other owners.
    pub fn short(&self) -> Cow<'_, str> {
        match &self.label {
            OwnerLabel::Subdomain(subdomain) => Cow::Borrowed(subdomain.as_str()),
            _ => Cow::Owned(self.to_string()),
        }
    }
}

impl fmt::Display for Owner {
    /// The fulldomain, which is the target of the CNAME, without the closing dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            OwnerLabel::Apex => self.zone.fmt(f),
            label if self.is_below_challenge() => write!(f, "{}.{CHALLENGE_LABEL}.{}", label.as_str(), self.zone),
            label => write!(f, "{}.{}", label.as_str(), self.zone),
        }
    }
}

/// A text names no owner.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OwnerTextError {
    #[error(transparent)]
    Subdomain(#[from] SubdomainError),
    #[error("this is neither a subdomain nor a whole name: {0}")]
    Name(#[from] NameError),
}

/// An owner as people write it: its label alone or its whole name, in any case, with or without a closing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerText {
    /// A label, of no particular zone.
    Label(OwnerLabel),
    /// The whole name.
    Name(Name),
}

impl OwnerText {
    /// The owner that the text names in a zone, if the zone can have it.
    pub fn in_zone(&self, zone: &ZoneName) -> Option<Owner> {
        match self {
            // A label alone stands directly below the apex.
            Self::Label(label) => Owner::labelled(label.clone(), zone).filter(|owner| !owner.is_below_challenge()),
            Self::Name(name) => Owner::at(name, zone),
        }
    }
}

impl fmt::Display for OwnerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => f.write_str(label.as_str()),
            Self::Name(name) => name.fmt(f),
        }
    }
}

serde_as_text!(OwnerText);

impl FromStr for OwnerText {
    type Err = OwnerTextError;

    fn from_str(text: &str) -> Result<Self, OwnerTextError> {
        let text = &*idn::to_ascii(text)?;
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.contains('.') {
            return Ok(Self::Name(text.parse()?));
        }
        match text.parse()? {
            OwnerLabel::Apex => Err(SubdomainError::of(text).into()),
            label => Ok(Self::Label(label)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_the_daemons_and_no_other_owner_is_one() {
        let zone: ZoneName = "auth.test".parse().unwrap();
        let probe = Owner::probe(&zone).unwrap();
        assert!(probe.is_probe() && probe.is_daemons());
        assert_eq!(Owner::at(&probe.to_string().parse().unwrap(), &zone), Some(probe));
        let account = AcmeAccountLabel::of(&"https://ca.test/account/1".parse().unwrap());
        assert!(!Owner { zone, label: OwnerLabel::AcmeAccount(account) }.is_probe());
    }

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

    /// The owner that a text means in a zone, as its whole name.
    fn meant(text: &str, zone: &str) -> Option<String> {
        let owner = text.parse::<OwnerText>().unwrap().in_zone(&zone.parse().unwrap())?;
        let again: OwnerLabel = owner.label.as_str().parse().unwrap();
        assert_eq!(again, owner.label, "it is stored and read again");
        Some(owner.to_string())
    }

    #[test]
    fn a_text_means_an_owner_where_the_zone_has_such_ones() {
        let (plain, challenge, persist) = ("auth.test", "_acme-challenge.a.test", "_validation-persist.a.test");
        let account = "_ujmmovf2vn55tgye";
        for (text, zone, name) in [
            ("Shop", plain, Some("shop.auth.test")),
            ("SHOP.Auth.test.", plain, Some("shop.auth.test")),
            ("shop", challenge, None),
            ("shop._acme-challenge.a.test", challenge, None),
            ("_Acme-Challenge", plain, Some("_acme-challenge.auth.test")),
            ("_acme-challenge", challenge, None),
            ("_Validation-Persist", plain, Some("_validation-persist.auth.test")),
            ("_validation-persist.auth.test.", plain, Some("_validation-persist.auth.test")),
            ("_validation-persist", challenge, None),
            ("_acme-challenge.A.TEST.", challenge, Some(challenge)),
            ("_validation-persist.a.test", persist, Some(persist)),
            ("auth.test", plain, None),
            (account, challenge, Some("_ujmmovf2vn55tgye._acme-challenge.a.test")),
            ("_UJMMOVF2VN55TGYE._acme-challenge.a.test", challenge, Some("_ujmmovf2vn55tgye._acme-challenge.a.test")),
            (account, plain, None),
            (account, persist, None),
            ("_ujmmovf2vn55tgye.auth.test", plain, None),
            ("_ujmmovf2vn55tgye._acme-challenge.Auth.Test", plain, Some("_ujmmovf2vn55tgye._acme-challenge.auth.test")),
            ("_ujmmovf2vn55tgye._validation-persist.auth.test", plain, None),
            ("_ujmmovf2vn55tgye._acme-challenge._acme-challenge.a.test", challenge, None),
            ("x._acme-challenge.auth.test", plain, None),
            ("_acme-challenge._acme-challenge.auth.test", plain, None),
            ("_ujmmovf2vn55tgye._acme-challenge._acme-challenge.auth.test", plain, None),
            ("x.shop.auth.test", plain, None),
            ("shop.auth.test", challenge, None),
        ] {
            assert_eq!(meant(text, zone).as_deref(), name, "{text} in {zone}");
        }
        for bad in ["", ".", "@", "a..b", "-a", "_ujmmovf2vn55tgy1", "a b.c", "*.auth.test"] {
            assert!(bad.parse::<OwnerText>().is_err(), "{bad:?}");
        }
    }
}
