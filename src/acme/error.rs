//! Why something with a CA has failed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::config::Method;
use crate::config::pkcs12::PasswordError;
use crate::model::name::Name;
use crate::model::txt::persist::PersistValueError;
use crate::model::url::Url;
use crate::publisher::PublishError;

use super::key::KeyError;
use super::problem::Problem;
use crate::delegation::challenge_target::Missing;

/// Why something with a CA has failed. Every sentence says what was found; [`AcmeError::advice`] says what to do.
#[derive(Debug, Clone, Error)]
pub enum AcmeError {
    #[error("the CA cannot be reached at {url}: {reason}")]
    Unreachable { url: Url, reason: String },
    #[error("the CA's reply from {url} is not what RFC 8555 says: {reason}")]
    NotAcme { url: Url, reason: String },
    /// The CA's own words.
    #[error("the CA says: {problem}")]
    Refused { problem: Box<Problem>, retry_after: Option<Duration> },
    #[error("the CA has not proven {name}: {problem}")]
    NotProven { name: String, problem: Box<Problem> },
    #[error("the CA is still busy with {what} after {} seconds", waited.as_secs())]
    Slow { what: String, waited: Duration },
    #[error("certificates are being ordered with the account's key")]
    InUse,
    #[error("the CA wants {found} proofs for {names} names")]
    TooManyProofs { found: usize, names: usize },
    #[error("the CA offers no {wanted} for {name}; it offers {}", listed(offered, "nothing"))]
    NoChallenge { name: String, wanted: Method, offered: Vec<String> },
    #[error("the CA wants proof of {0}, which was not ordered")]
    Unordered(String),
    #[error("the CA's dns-persist-01 challenge is malformed: {0}")]
    Issuers(&'static str),
    #[error("the persistent authorization that the CA wants cannot be written: {0}")]
    Persist(#[from] PersistValueError),
    #[error("the CA has no certificate profile {wanted:?}; it has {}", listed(offered, "none at all"))]
    Profile { wanted: String, offered: Vec<String> },
    #[error("the CA's terms of service are not agreed to{}", terms.as_ref().map(|url| format!(": {url}")).unwrap_or_default())]
    Terms { terms: Option<String> },
    #[error("this CA makes accounts only for its customers (externalAccountRequired)")]
    ExternalAccount,
    #[error("the CA has left the account at {found:?} instead of deactivating it")]
    NotDeactivated { found: String },
    #[error("the file {} is damaged: {problem}", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("the request in {} cannot be taken up: {problem}", path.display())]
    Request { path: PathBuf, problem: String },
    #[error("others can read {} (mode {mode:o})", path.display())]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error("cannot use {}: {source}", path.display())]
    File { path: PathBuf, source: Arc<io::Error> },
    #[error("{} is {found}: others could lead elsewhere what is written or deleted there", path.display())]
    Unguarded { path: PathBuf, found: String },
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    #[error("the nameservers do not show what was published: {0}")]
    Nameservers(String),
    #[error("names of the certificate are not delegated to this server: {}", missing(.0))]
    NotDelegated(Vec<Missing>),
    #[error("persistent authorizations are missing: {}", missing(.0))]
    NotAuthorized(Vec<Missing>),
    #[error("no certificate can be had for {name}: {what}")]
    Unprovable { name: Name, what: String },
    #[error("CAA records forbid this CA ({identities}): {findings}")]
    Caa { findings: String, identities: String, allowing: String },
    #[error("the deploy hook `{program}` has failed: {what}")]
    Hook { program: String, what: String },
    #[error("there is no certificate called {0}")]
    NoCertificate(String),
    #[error("the certificate {0} stands in the configuration")]
    Configured(String),
    #[error("the certificate {0} is being deleted")]
    Deleting(String),
    #[error("{0}")]
    Wanted(String),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("cannot set up HTTPS: {0}")]
    Setup(String),
}

fn listed(offered: &[String], nothing: &str) -> String {
    if offered.is_empty() { nothing.into() } else { offered.join(", ") }
}

fn missing(records: &[Missing]) -> String {
    let line = |record: &Missing| {
        let records: Vec<String> = record.records().map(|record| format!("`{record}`")).collect();
        format!("{}: {}, so add {}", record.name, record.found, records.join(" or "))
    };
    records.iter().map(line).collect::<Vec<_>>().join("; ")
}

impl AcmeError {
    /// What to do; empty where the error itself says so or nothing can be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "look at the network, at `directory` in [acme], and at `ca-root` for a private CA"
            }
            Self::NotAcme { .. } => "look at `directory` in [acme]",
            Self::Refused { problem, .. } | Self::NotProven { problem, .. } => problem.advice(),
            Self::Profile { .. } => "change `profile`, or leave it out",
            Self::NoChallenge { .. } => "set another `challenge` in [acme] or for the certificate, or use another CA",
            Self::Terms { .. } => "read them, and set `terms-agreed = true` in [acme]",
            Self::ExternalAccount => "get a key from it, and set `eab-kid` and `eab-key-file` in [acme]",
            Self::NotDeactivated { .. } => "try again; the account is still in use",
            Self::Damaged { .. } => "put it back from a copy, or move it away to begin anew",
            Self::InUse => "try again when that is done; `txtgate cert list` tells what is under way",
            Self::Request { .. } => "mend that, or ask for the certificate again with `txtgate cert issue`",
            Self::Unguarded { .. } => {
                "make it a folder of root's or of the daemon's user that nobody else can write (`chmod go-w`); `owner` and \
                 `group` are for the files in it"
            }
            Self::NotPrivate { .. } => "run `chmod 600` on it",
            Self::Issuers(_) => "tell the CA, or set another `challenge`",
            Self::NotDelegated(_) | Self::NotAuthorized(_) => {
                "it is tried again by itself, or at once with `txtgate cert renew`"
            }
            Self::Hook { .. } => "the certificate itself is in place; the hook is tried again",
            Self::NoCertificate(_) => "`txtgate cert list` shows all",
            Self::Configured(_) => "change it there, and reload the daemon",
            Self::Deleting(_) => "`txtgate cert show` says what its deletion has met",
            Self::Nameservers(_) => "compare the delegation in the parent zone with this server's addresses",
            _ => "",
        }
    }

    /// The records that somebody must add to their zones, where that is what is wrong.
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::NotDelegated(missing) | Self::NotAuthorized(missing) => missing,
            _ => &[],
        }
    }

    /// When the CA wants to hear of it again, where it has said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same, where the CA has said when it wants to hear of it again, and that is now so far off.
    pub fn again_in(mut self, left: Duration) -> Self {
        if let Self::Refused { retry_after: Some(wait), .. } = &mut self {
            *wait = left;
        }
        self
    }

    /// Whether the CA would say the same to everybody now: it is busy, or not there.
    pub fn is_of_the_moment(&self) -> bool {
        let is_busy = |problem: &Problem| matches!(problem.status, Some(429 | 503));
        matches!(self, Self::Unreachable { .. }) || self.problem().is_some_and(is_busy)
    }

    /// The sentence with its advice.
    pub fn explained(&self) -> String {
        if let Self::Caa { allowing, .. } = self {
            return format!("{self}; add `{allowing}` to them, or use another CA");
        }
        match self.advice() {
            "" => self.to_string(),
            advice => format!("{self}; {advice}"),
        }
    }

    /// Whether the CA has said no, and would say so again.
    pub fn is_final(&self) -> bool {
        self.problem().is_some_and(|problem| {
            problem.status.is_some_and(|status| (400..500).contains(&status) && status != 429)
                && !problem.is("badNonce")
        })
    }

    /// Whether the order that it came of can give no certificate any more, or none that can be used.
    pub fn ends_the_order(&self) -> bool {
        self.is_final()
            || matches!(
                self,
                Self::NotProven { .. } | Self::TooManyProofs { .. } | Self::Unordered(_) | Self::Certificate(_)
            )
    }

    /// The CA's own error, where it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } | Self::NotProven { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether the CA has said no by this error of ACME's.
    pub fn is(&self, name: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(name))
    }
}

/// What anything here gives.
pub type Result<T> = std::result::Result<T, AcmeError>;
