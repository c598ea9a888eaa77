//! Why a request to a CA has failed.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::config::Method;
use crate::file::state::FileError;
use crate::model::url::Url;

use super::key::JwsKeyError;
use super::problem::{Problem, Refused};

/// Why a request to a CA has failed. The message says what was found, and [`AcmeError::advice`] what to do about it.
#[derive(Debug, Clone, Error)]
pub enum AcmeError {
    #[error("the CA cannot be reached at {url}: {reason}")]
    Unreachable { url: Url, reason: String },
    #[error("the CA's reply from {url} does not follow RFC 8555: {reason}")]
    NotAcme { url: Url, status: u16, reason: String },
    /// The directory lacks a step that a CA need not have.
    #[error("the CA's directory has no `{0}`")]
    NotOffered(&'static str),
    /// The CA has refused the request, in its own words.
    #[error("the CA says: {problem}")]
    Refused { problem: Box<Problem>, retry_after: Option<Duration> },
    /// An authorization or an order has become invalid. `record` is the name at which the CA has looked, where that is
    /// known, and `seen` what this server saw of the CA's queries.
    #[error(
        "the CA has not proven {name}: {problem}{}", seen.as_ref().map(|seen| format!("; seen here: {seen}")).unwrap_or_default()
    )]
    NotProven { name: String, record: Option<String>, problem: Box<Problem>, seen: Option<String> },
    #[error("the account's key rollover is pending: {0}")]
    RolloverPending(Box<AcmeError>),
    /// A rollover has failed, and is over.
    #[error("the account keeps its key, with which orders go on: {0}")]
    KeyKept(Box<AcmeError>),
    #[error("the CA has confirmed the account's new key, but knows the former one alone")]
    KeyNotChanged,
    #[error("the CA does not know the account's former key any more, and does not say whether it knows the new one")]
    FormerKeyUnknown,
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
    #[error("the CA has left the account `{found}` instead of deactivating it")]
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
    pub fn advice(&self) -> Cow<'static, str> {
        match self {
            Self::Refused { problem, .. } => problem.advice(Refused::Request).into(),
            Self::NotProven { record, problem, .. } => problem.advice(Refused::Proof(record.as_deref())).into(),
            Self::KeyKept(cause) => cause.advice(),
            other => other.plain_advice().into(),
        }
    }

    /// Advice on errors that hold no problem document.
    fn plain_advice(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "check the network, `directory` in [acme], and `ca-root` for a private CA",
            Self::NotAcme { .. } => "check `directory` in [acme]",
            Self::NotOffered("keyChange") => "the account keeps its key, and orders go on with it",
            Self::NotOffered(_) => "certificates are issued and renewed all the same; ask the CA how it does this",
            Self::RolloverPending(_) => {
                "the daemon asks the CA again when it next uses the account; `txtgate acme account rollover --abandon` \
                 keeps the former key"
            }
            Self::FormerKeyUnknown => "both keys stay; try again when the CA answers",
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
        let advice = self.advice();
        if advice.is_empty() { self.to_string() } else { format!("{self}; {advice}") }
    }

    /// How long the CA asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::RolloverPending(cause) | Self::KeyKept(cause) => cause.retry_after(),
            _ => None,
        }
    }

    /// Adds what this server saw of the CA's queries, where the CA has not proven a name.
    pub fn with_seen(mut self, what: String) -> Self {
        if let Self::NotProven { seen, .. } = &mut self {
            *seen = Some(what);
        }
        self
    }

    /// Replaces the wait that the CA has asked for by what is left of it.
    pub fn with_wait(mut self, left: Duration) -> Self {
        match &mut self {
            Self::Refused { retry_after: Some(wait), .. } => *wait = left,
            Self::RolloverPending(cause) => **cause = (**cause).clone().with_wait(left),
            _ => {}
        }
        self
    }

    /// Whether every request would fail now: the CA is busy, or cannot be reached.
    pub fn is_temporary(&self) -> bool {
        let is_busy = self.problem().is_some_and(|problem| matches!(problem.status, Some(429 | 503)));
        is_busy || self.is_unreachable()
    }

    fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::RolloverPending(cause) => cause.is_unreachable(),
            _ => false,
        }
    }

    /// The status of the CA's reply; `None` if there is no reply.
    fn status(&self) -> Option<u16> {
        match self {
            Self::NotAcme { status, .. } => Some(*status),
            other => other.problem()?.status,
        }
    }

    /// Whether the CA does not have this step, which is an optional one: its directory lacks it, or the reply is "not found",
    /// "not allowed", "not implemented" or no ACME.
    pub fn is_unsupported(&self) -> bool {
        let is_absent = matches!(self, Self::Refused { .. }) && matches!(self.status(), Some(404 | 405 | 501));
        is_absent || matches!(self, Self::NotOffered(_) | Self::NotAcme { .. })
    }

    /// Whether the CA may have done, or may still do, what it was asked for: no reply has come, or that of a server that
    /// fails.
    pub fn is_unclear(&self) -> bool {
        let has_failed = self.status().is_some_and(|status| status >= 500 && status != 501);
        has_failed || self.is_unreachable()
    }

    /// Whether the CA has refused the one who signed the request.
    pub fn refuses_signer(&self) -> bool {
        matches!(self.status(), Some(400 | 401 | 403))
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
            Self::RolloverPending(cause) | Self::KeyKept(cause) => cause.problem(),
            _ => None,
        }
    }

    /// Whether the CA has refused the request with the ACME error `name`.
    pub fn is(&self, name: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(name))
    }
}
