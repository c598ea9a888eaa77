//! Why a request to a CA has failed.

use std::time::Duration;

use thiserror::Error;

use crate::config::Method;
use crate::file::state::FileError;
use crate::model::url::Url;

use super::key::JwsKeyError;
use super::problem::Problem;

/// Why a request to a CA has failed. The message says what was found, and [`AcmeError::advice`] what to do about it.
#[derive(Debug, Clone, Error)]
pub enum AcmeError {
    #[error("the CA cannot be reached at {url}: {reason}")]
    Unreachable { url: Url, reason: String },
    #[error("the CA's reply from {url} does not follow RFC 8555: {reason}")]
    NotAcme { url: Url, reason: String },
    /// The CA has refused the request, in its own words.
    #[error("the CA says: {problem}")]
    Refused { problem: Box<Problem>, retry_after: Option<Duration> },
    /// An authorization or an order has become invalid.
    #[error("the CA has not proven {name}: {problem}")]
    NotProven { name: String, problem: Box<Problem> },
    #[error("the CA is still busy with {what} after {} seconds", waited.as_secs())]
    Slow { what: String, waited: Duration },
    #[error("certificates are being ordered with the account's key")]
    InUse,
    #[error("the CA requires {found} authorizations for {names} names")]
    TooManyAuthorizations { found: usize, names: usize },
    #[error("the CA offers no {wanted} for {name}; it offers {}", list(offered))]
    NoChallenge { name: String, wanted: Method, offered: Vec<String> },
    #[error("the CA has no certificate profile {wanted:?}; it has {}", list(offered))]
    Profile { wanted: String, offered: Vec<String> },
    #[error("the CA's terms of service are not agreed to{}", terms.as_ref().map(|url| format!(": {url}")).unwrap_or_default())]
    Terms { terms: Option<String> },
    #[error("this CA creates accounts for its customers only (externalAccountRequired)")]
    ExternalAccount,
    #[error("the CA has left the account at {found:?} instead of deactivating it")]
    NotDeactivated { found: String },
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    #[error("cannot set up the ACME client: {0}")]
    Setup(String),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Key(#[from] JwsKeyError),
    #[error("the CA's dns-persist-01 challenge is malformed: {0}")]
    Issuers(&'static str),
}

/// The result of a request to a CA.
pub type Result<T> = std::result::Result<T, AcmeError>;

fn list(offered: &[String]) -> String {
    if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
}

impl AcmeError {
    /// What the operator can do; empty if the message says it, or if nothing can be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "check the network, `directory` in [acme], and `ca-root` for a private CA",
            Self::NotAcme { .. } => "check `directory` in [acme]",
            Self::Refused { problem, .. } | Self::NotProven { problem, .. } => problem.advice(),
            Self::InUse => "try again when the orders are done; `txtgate cert list` shows them",
            Self::NoChallenge { .. } => "set another `challenge` in [acme] or for the certificate, or use another CA",
            Self::Profile { .. } => "change `profile`, or leave it out",
            Self::Terms { .. } => "read them, and set `terms-agreed = true` in [acme]",
            Self::ExternalAccount => "get a key from the CA, and set `eab-kid` and `eab-key-file` in [acme]",
            Self::NotDeactivated { .. } => "try again; the account is still in use",
            Self::File(error) => error.advice(),
            Self::Issuers(_) => "report this to the CA, or set another `challenge`",
            _ => "",
        }
    }

    /// The message with its advice.
    pub fn explained(&self) -> String {
        match self.advice() {
            "" => self.to_string(),
            advice => format!("{self}; {advice}"),
        }
    }

    /// How long the CA asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Replaces the wait that the CA has asked for by what is left of it.
    pub fn with_wait(mut self, left: Duration) -> Self {
        if let Self::Refused { retry_after: Some(wait), .. } = &mut self {
            *wait = left;
        }
        self
    }

    /// Whether every request would fail now: the CA is busy, or cannot be reached.
    pub fn is_temporary(&self) -> bool {
        let is_busy = self.problem().is_some_and(|problem| matches!(problem.status, Some(429 | 503)));
        is_busy || matches!(self, Self::Unreachable { .. })
    }

    /// Whether the CA has refused the request, and would refuse it again.
    pub fn is_final(&self) -> bool {
        let Some(problem) = self.problem() else { return false };
        let is_refusal = problem.status.is_some_and(|status| (400..500).contains(&status) && status != 429);
        is_refusal && !problem.is("badNonce")
    }

    /// Whether the order cannot lead to a certificate any more.
    pub fn ends_order(&self) -> bool {
        let is_lost =
            matches!(self, Self::NotProven { .. } | Self::TooManyAuthorizations { .. } | Self::Certificate(_));
        is_lost || self.is_final()
    }

    /// The CA's problem document.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } | Self::NotProven { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether the CA has refused the request with the ACME error `name`.
    pub fn is(&self, name: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(name))
    }
}
