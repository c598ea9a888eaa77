//! How names are proven, and so at which names a CA looks.

use crate::config::Method;
use crate::delegation::persist::PersistRequirement;
use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, Name, PERSIST_LABEL};

use super::super::super::examination::Examination;
use super::super::issuer::{KnownIssuer, known_issuer};

/// How this server proves the names of its own certificates.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By values at `_acme-challenge` (dns-01).
    Value,
    /// By values at the label of the ACME account below it (dns-account-01).
    ValueOfAccount(AcmeAccountLabel),
    /// By a persistent authorization at `_validation-persist` (dns-persist-01).
    Persistent(Box<PersistRequirement>),
    /// What is looked at depends on an account with the CA that is not there yet, or unknown.
    Unknown,
}

impl Proof {
    /// The one that the configuration wants. Asks the CA only if that depends on it, and creates no account.
    pub async fn of(examination: &Examination) -> Self {
        let account = examination.authority.known_account().await.ok().flatten();
        match (examination.config.acme.challenge, account) {
            (Method::Dns01, _) => Self::Value,
            (Method::DnsAccount01, Some(account)) => Self::ValueOfAccount(AcmeAccountLabel::of(&account.url)),
            (Method::DnsPersist01, Some(_)) => match known_issuer(examination).await {
                KnownIssuer::Known(issuer) => {
                    let lifetime = examination.config.acme.persist_lifetime;
                    Self::Persistent(Box::new(PersistRequirement::new(&issuer, lifetime)))
                }
                KnownIssuer::Unknown(_) => Self::Unknown,
            },
            (Method::DnsAccount01 | Method::DnsPersist01, None) => Self::Unknown,
        }
    }

    /// The name at which a CA looks for a domain; `None` if that is unknown.
    pub fn looked_at(&self, base: &Name) -> Option<Name> {
        match self {
            Self::Value => base.child(CHALLENGE_LABEL).ok(),
            Self::ValueOfAccount(label) => base.child(CHALLENGE_LABEL).ok()?.child(label.as_str()).ok(),
            Self::Persistent(_) => base.child(PERSIST_LABEL).ok(),
            Self::Unknown => None,
        }
    }
}
