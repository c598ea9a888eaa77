//! The names at which accounts publish, and the forms in which people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::text::serde_as_text;

use super::owner_label::{AcmeAccountLabel, OwnerLabel, Subdomain, SubdomainError};
use super::{CHALLENGE_LABEL, Name, NameError, PERSIST_LABEL, ZoneName, idn};

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
