//! Why a hook fails, and what to do about it.

use std::path::PathBuf;

use thiserror::Error;

use crate::file::Unusable;
use crate::model::name::{Name, NameError};
use crate::model::txt::TxtValueError;

/// Why a hook failed. No variant holds a key, a registration secret, or the path of a server's URL, which may be one.
#[derive(Debug, Error)]
pub enum HookError {
    // --- the call ---
    #[error(
        "no ACME client called: there are no arguments, and no CERTBOT_DOMAIN and CERTBOT_VALIDATION in the \
         environment; see `txtgate hook --help`"
    )]
    NobodyCalled,
    #[error(
        "{word:?} with {count} more arguments is not a call of certbot, dehydrated, uacme, lego, acmetool or mod_md; \
         see `txtgate hook --help`"
    )]
    Unknown { word: String, count: usize },
    #[error("dehydrated gives three arguments for each challenge, a domain, a token and a value; found {0} in all")]
    Triples(usize),
    #[error("the client's domain {text:?} is not valid: {problem}")]
    Domain { text: String, problem: NameError },
    #[error("the client's value for the TXT record is not valid: {problem}")]
    Txt { problem: TxtValueError },
    #[error("declined: {0:?} is not dns-01")]
    OtherChallenge(String),
    #[error("this hook takes part in dns-01 challenges only")]
    OtherEvent,

    // --- settings ---
    #[error("{place}: {problem}")]
    Setting { place: String, problem: String },
    #[error(
        "no server: write `server = \"https://...\"` into {}, set TXTGATE_SERVER, or give --server", .0.display()
    )]
    NoServer(PathBuf),

    // --- the account file ---
    #[error("cannot {what} {}", Unusable(path, source))]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{}: {problem}", path.display())]
    Accounts { path: PathBuf, problem: String },
    #[error("{} is locked by another hook for over {seconds} s; if none runs any more, try again", path.display())]
    Locked { path: PathBuf, seconds: u64 },
    #[error(
        "no account in {} has the fulldomain {name}, to which a CNAME leads; put that account into the file, or point \
         the CNAME at one that is there", path.display()
    )]
    NoSuchFulldomain { path: PathBuf, name: Name },

    #[error(
        "_acme-challenge.{domain} leads to {end} by CNAME, which is the fulldomain of no account in {}: put that account into \
         the file; or delete the CNAME, and run the client again for an account of its own", path.display()
    )]
    LeadsElsewhere { path: PathBuf, domain: Name, end: Name },

    // --- the server ---
    #[error("cannot reach {server}: {problem}")]
    Unreachable { server: String, problem: String },
    #[error("{server} refuses to {what}: {said}{advice}")]
    Refused { server: String, what: &'static str, said: String, advice: String },
    #[error("{server}: {problem}")]
    NotServed { server: String, problem: String },
    #[error("{server} has registered an account and its reply does not read: {problem}")]
    Unreadable { server: String, problem: String },

    // --- what is left to do ---
    #[error(
        "{0} domain(s) registered just now, which nobody can validate before the CNAME above is in the DNS; add it and \
         run the client again (or let the hook wait for it: `wait = \"10m\"`)"
    )]
    AddRecords(usize),
    #[error(
        "after {seconds} s the value is not seen at {name}: {found}; is the CNAME in the DNS? Where it has just been \
         added, wait longer than resolvers remember that it was not{}",
        verdict.as_ref().map(|verdict| format!("; the server has seen this: {verdict}")).unwrap_or_default()
    )]
    Unseen { name: Name, seconds: u64, found: String, verdict: Option<String> },
    #[error("cannot ask resolvers: {0}")]
    Runtime(std::io::Error),
}

impl HookError {
    /// Adds what the server has seen to a wait that ran out.
    pub fn with_verdict(mut self, seen: Option<String>) -> Self {
        if let Self::Unseen { verdict, .. } = &mut self {
            *verdict = seen;
        }
        self
    }

    /// The exit code of the process: 1 for a failure (by which uacme declines a challenge), 2 for an error in arguments or
    /// settings, 3 if records have to be added first, 42 for events of acmetool that are not about dns-01.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NobodyCalled | Self::Unknown { .. } | Self::Triples(_) | Self::Domain { .. } | Self::Txt { .. } => 2,
            Self::Setting { .. } | Self::NoServer(_) | Self::Accounts { .. } => 2,
            Self::AddRecords(_) | Self::Unseen { .. } => 3,
            Self::OtherEvent => 42,
            _ => 1,
        }
    }
}
