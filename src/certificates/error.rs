//! Why a certificate cannot be issued, put in place, changed or deleted.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::acme::AcmeError;
use crate::acme::key::JwsKeyError;
use crate::config::pkcs12::PasswordError;
use crate::delegation::finding::Finding;
use crate::delegation::persist::PersistRequirementError;
use crate::file::state::FileError;
use crate::model::name::Name;
use crate::publisher::{Abort, OwnerError, PersistError, ValueError};

use super::left_out::LeftOutName;
use super::missing_record::MissingRecord;

/// Why a certificate cannot be issued, put in place, changed or deleted. The message says what was found, and
/// `CertificateError::advice` what to do about it.
#[derive(Debug, Clone, Error)]
pub enum CertificateError {
    #[error(transparent)]
    Acme(#[from] AcmeError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Value(#[from] Abort<ValueError>),
    #[error(transparent)]
    Owner(#[from] Abort<OwnerError>),
    #[error(transparent)]
    Persist(#[from] Abort<PersistError>),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Requirement(#[from] PersistRequirementError),
    #[error("names of the certificate are not delegated to this server: {}", absent(missing, unknown))]
    NotDelegated { missing: Vec<MissingRecord>, unknown: Vec<Finding> },
    #[error("persistent authorizations are missing: {}", absent(missing, unknown))]
    NotAuthorized { missing: Vec<MissingRecord>, unknown: Vec<Finding> },
    #[error("could not look up what the CA will see: {}", listed(.0, not_looked_up))]
    NotLookedUp(Vec<Finding>),
    #[error("cannot get a certificate for {}", listed(.0, Finding::to_string))]
    Unprovable(Vec<Finding>),
    #[error("{0}")]
    Undelegated(Box<Finding>),
    #[error("the nameservers do not serve what was published: of {name}, {}", listed(faults, not_shown))]
    NotShown { name: Name, faults: Vec<Finding> },
    #[error("CAA records forbid this CA ({identities}): {}", listed(faults, forbidding))]
    Caa { identities: String, faults: Vec<Finding> },
    /// Names that a certificate lacks still cannot be proven.
    #[error("names still cannot be proven: {}", listed(.0, without))]
    StillIncomplete(Vec<LeftOutName>),
    #[error("the CA requires proof of {0}, which was not ordered")]
    Unordered(String),
    #[error("the CA has issued a certificate for other names: {0}")]
    OtherNames(String),
    #[error("the request in {} cannot be used: {problem}", path.display())]
    Request { path: PathBuf, problem: String },
    #[error("{} is {found}: others could redirect what is written or deleted there", path.display())]
    Unguarded { path: PathBuf, found: String },
    #[error("cannot make a PKCS#12 bundle: {0}")]
    Bundle(String),
    #[error("the deploy hook `{program}` has failed: {what}")]
    Hook { program: String, what: String },
    #[error("there is no certificate called {0}")]
    NotFound(String),
    #[error("the certificate {0} has not been issued yet")]
    NotIssued(String),
    #[error("the certificate {0} is part of the configuration")]
    Configured(String),
    #[error("the certificate {0} is being deleted")]
    Deleting(String),
    #[error("there is a certificate {name} already, and this request takes from it: {}", changes.join("; "))]
    Replaces { name: String, changes: Vec<String> },
    /// What somebody has asked for is not valid.
    #[error("{0}")]
    Invalid(String),
    #[error("the work was interrupted: {0}")]
    Interrupted(String),
}

/// The result of work on a certificate.
pub type Result<T> = std::result::Result<T, CertificateError>;

fn listed<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join("; ")
}

fn absent(missing: &[MissingRecord], unknown: &[Finding]) -> String {
    let mut text = listed(missing, MissingRecord::to_string);
    if !unknown.is_empty() {
        text += &format!("; could not look up {}", listed(unknown, not_looked_up));
    }
    text
}

fn not_looked_up(finding: &Finding) -> String {
    match &finding.needed {
        Some(needed) => format!("{}: {} ({needed} has to be there)", finding.subject, finding.answer),
        None => format!("{}: {}", finding.subject, finding.answer),
    }
}

fn not_shown(finding: &Finding) -> String {
    format!("{} {}: {}", finding.subject, finding.answer, finding.meaning)
}

fn without(left_out: &LeftOutName) -> String {
    format!("{}: {}", left_out.name, left_out.problem)
}

fn forbidding(finding: &Finding) -> String {
    format!("{}: {}", finding.subject, finding.answer)
}

impl From<JwsKeyError> for CertificateError {
    fn from(error: JwsKeyError) -> Self {
        Self::Acme(error.into())
    }
}

impl CertificateError {
    /// What the operator can do; empty if the message says it, or if nothing can be done.
    fn advice(&self) -> &'static str {
        match self {
            Self::File(error) => error.advice(),
            Self::NotDelegated { .. } | Self::NotAuthorized { .. } => {
                "the daemon tries again by itself, or at once on `txtgate cert renew`"
            }
            Self::NotLookedUp(_) => {
                "check `resolvers` in the configuration, or /etc/resolv.conf; the daemon tries again by itself, or at once \
                 on `txtgate cert renew`"
            }
            Self::NotShown { .. } => "compare the delegation in the parent zone with this server's addresses",
            Self::Request { .. } => "correct it, or ask for the certificate again with `txtgate cert issue`",
            Self::Unguarded { .. } => {
                "use a folder that belongs to root or to the daemon's user, and that nobody else can write to \
                 (`chmod go-w`); `owner` and `group` apply to the files in it"
            }
            Self::Hook { .. } => "the certificate itself is in place; the daemon runs the hook again",
            Self::NotFound(_) => "`txtgate cert list` shows all certificates",
            Self::NotIssued(_) => "`txtgate cert show` says why",
            Self::Configured(_) => "change it there, and reload the daemon",
            Self::Replaces { .. } => {
                "add `--replace` (in the API `?replace=true`) if that is what you want, or `--cert-name` for another \
                 certificate beside it"
            }
            Self::Deleting(_) => "`txtgate cert show` says why the deletion is not done yet",
            _ => "",
        }
    }

    /// The message with its advice.
    pub fn explained(&self) -> String {
        let advice = match self {
            Self::Acme(error) => return error.explained(),
            Self::Caa { faults, .. } => faults.first().map_or("", |finding| &finding.advice),
            _ => self.advice(),
        };
        if advice.is_empty() { self.to_string() } else { format!("{self}; {advice}") }
    }

    /// The records that somebody has to add to their zones, if records are missing.
    pub fn missing(&self) -> &[MissingRecord] {
        match self {
            Self::NotDelegated { missing, .. } | Self::NotAuthorized { missing, .. } => missing,
            _ => &[],
        }
    }

    /// How long the CA asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Acme(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the order cannot lead to a usable certificate any more.
    pub fn ends_order(&self) -> bool {
        match self {
            Self::Acme(error) => error.ends_order(),
            Self::Unordered(_) | Self::OtherNames(_) => true,
            _ => false,
        }
    }
}
