//! Names in other zones that stand for an owner of an account.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::text::serde_as_text;

use super::{CHALLENGE_LABEL, Name, NameError};

/// A text is not an [`Alias`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AliasError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(
        "an alias is the name at which a challenge is looked for, like `_acme-challenge.example.com`, or with the \
         label of an ACME account before it; found `{0}`"
    )]
    NoChallenge(Name),
}

/// A name at which a CA looks for a challenge, and where the domain's owner has a CNAME: `_acme-challenge.example.com`
/// (RFC 8555 section 8.4). One label that begins with `_` may stand before it, as in challenges that are bound to an
/// ACME account (draft-ietf-acme-dns-account-label).
///
/// Clients that do not follow CNAMEs use the alias to name an owner of *their* account. An alias proves nothing about
/// the domain, so several accounts may have the same one, each for itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Alias(Name);

impl Alias {
    /// The name `_acme-challenge` below a domain.
    pub fn of_domain(domain: &Name) -> Result<Self, AliasError> {
        Self::try_from(domain.child(CHALLENGE_LABEL)?)
    }

    pub fn name(&self) -> &Name {
        &self.0
    }
}

impl TryFrom<Name> for Alias {
    type Error = AliasError;

    fn try_from(name: Name) -> Result<Self, AliasError> {
        let mut labels = name.as_ref().labels().peekable();
        // The label of an ACME account, if there is one.
        labels.next_if(|label| label.starts_with(b"_") && *label != CHALLENGE_LABEL.as_bytes());
        let is_challenge = labels.next() == Some(CHALLENGE_LABEL.as_bytes());
        if is_challenge && labels.next().is_some() { Ok(Self(name)) } else { Err(AliasError::NoChallenge(name)) }
    }
}

impl FromStr for Alias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        Self::try_from(text.parse::<Name>()?)
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(Alias);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_where_a_challenge_is_looked_for() {
        let alias: Alias = "_ACME-Challenge.Example.com.".parse().unwrap();
        assert_eq!(alias.to_string(), "_acme-challenge.example.com");
        assert_eq!(Alias::of_domain(&"example.com".parse().unwrap()), Ok(alias));
        for right in ["_ujmmovf2vn55tgye._acme-challenge.example.com", "_acme-challenge.com"] {
            assert_eq!(right.parse::<Alias>().unwrap().to_string(), right);
        }
        for wrong in [
            "_acme-challenge",
            "example.com",
            "x._acme-challenge.example.com",
            "_a._b._acme-challenge.example.com",
            ".",
        ] {
            assert!(matches!(wrong.parse::<Alias>(), Err(AliasError::NoChallenge(_))), "{wrong}");
        }
        assert!(matches!("a..b".parse::<Alias>(), Err(AliasError::Name(NameError::EmptyLabel))));
    }
}
