//! The progress of an order, for people who wait for it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::info;

use crate::model::identifier::Identifier;

use super::error::{CertificateError, Result};

/// The progress of one name. Each state follows those before it; the last three are final.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameState {
    /// Nothing is known yet.
    #[default]
    Waiting,
    /// The record that the CA looks at leads here, or says what it must.
    Delegated,
    /// The challenge's value, or the persistent authorization, is published.
    Published,
    /// Those of the zone's nameservers that can be reached show the value.
    Seen,
    /// The CA has been told that it may look.
    Answered,
    /// The record that the CA looks at is missing.
    RecordMissing,
    /// The CA has seen the value, in this order or in an authorization that is still valid.
    Proven,
    /// The name could not be proven.
    Failed,
}

impl NameState {
    /// Whether the state is final for this order.
    pub fn is_final(self) -> bool {
        self >= Self::RecordMissing
    }
}

impl fmt::Display for NameState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Delegated => "its record is there",
            Self::Published => "value published",
            Self::Seen => "seen at the nameservers",
            Self::Answered => "the CA is looking",
            Self::RecordMissing => "waiting for its record",
            Self::Proven => "proven",
            Self::Failed => "failed",
        })
    }
}

/// A name and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameProgress {
    /// The name, with `*.` for a wildcard.
    pub name: String,
    /// The state.
    pub state: NameState,
    /// Why the name is not proven.
    pub problem: Option<String>,
}

/// The progress of one certificate's orders.
#[derive(Debug)]
pub struct OrderProgress {
    /// Names the certificate in the log.
    title: String,
    shared: Mutex<ProgressState>,
}

#[derive(Debug, Default)]
struct ProgressState {
    stage: Option<String>,
    caa_record: Option<String>,
    names: Vec<NameProgress>,
}

impl OrderProgress {
    /// The progress of the certificate with this name: nothing yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), shared: Mutex::default() }
    }

    /// Begins an order for these names, and forgets the last one.
    pub fn start(&self, names: &[Identifier]) {
        let waiting =
            names.iter().map(|name| NameProgress { name: name.to_string(), state: NameState::Waiting, problem: None });
        self.lock().names = waiting.collect();
    }

    /// Begins a stage of the work, and logs it.
    pub fn stage(&self, stage: impl Into<String>) {
        let stage = stage.into();
        info!(name = %self.title, "{stage}");
        self.lock().stage = Some(stage);
    }

    /// Ends the work.
    pub fn end(&self) {
        self.lock().stage = None;
    }

    /// The stage of the work; `None` if nothing is being done.
    pub fn current_stage(&self) -> Option<String> {
        self.lock().stage.clone()
    }

    /// Shows the CAA record that lets this account alone get the certificate.
    pub fn set_caa_record(&self, record: Option<String>) {
        self.lock().caa_record = record;
    }

    /// That CAA record, once the account is known.
    pub fn caa_record(&self) -> Option<String> {
        self.lock().caa_record.clone()
    }

    /// Moves a name on to a state, unless it is there or further.
    pub fn reach(&self, name: &str, state: NameState) {
        self.change(name, state, None);
    }

    /// Ends a name with an error.
    pub fn fail(&self, name: &str, error: &CertificateError) {
        self.change(name, NameState::Failed, Some(error.explained()));
    }

    /// Moves a name on to a state after a success, or ends it with the error. Returns the outcome.
    pub fn record<T>(&self, name: &str, state: NameState, outcome: Result<T>) -> Result<T> {
        match &outcome {
            Ok(_) => self.reach(name, state),
            Err(error) => self.fail(name, error),
        }
        outcome
    }

    /// Ends a name whose record is missing; `found` says what is there instead.
    pub fn miss(&self, name: &str, found: &str) {
        self.change(name, NameState::RecordMissing, Some(found.to_owned()));
    }

    /// Ends a name that could not be checked or cannot be proven.
    pub fn give_up(&self, name: &str, problem: &str) {
        self.change(name, NameState::Failed, Some(problem.to_owned()));
    }

    /// The names in the order of the certificate; none before the first order.
    pub fn names(&self) -> Vec<NameProgress> {
        self.lock().names.clone()
    }

    /// The names that have failed, and why.
    pub fn failed(&self) -> Vec<(String, String)> {
        let shared = self.lock();
        let failed = shared.names.iter().filter(|progress| progress.state == NameState::Failed);
        failed.map(|progress| (progress.name.clone(), progress.problem.clone().unwrap_or_default())).collect()
    }

    fn change(&self, name: &str, state: NameState, problem: Option<String>) {
        let mut shared = self.lock();
        let found = shared.names.iter_mut().find(|progress| progress.name.eq_ignore_ascii_case(name));
        if let Some(progress) = found.filter(|progress| progress.state < state && !progress.state.is_final()) {
            progress.state = state;
            progress.problem = problem;
        }
    }

    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_forward_and_ends_once() {
        let progress = OrderProgress::new("test");
        assert_eq!(progress.names(), []);
        progress.start(&["a.example".parse().unwrap(), "*.a.example".parse().unwrap()]);
        progress.reach("a.example", NameState::Published);
        progress.reach("A.EXAMPLE", NameState::Delegated);
        progress.reach("nobody.example", NameState::Proven);
        let states = || progress.names().into_iter().map(|name| (name.state, name.problem)).collect::<Vec<_>>();
        assert_eq!(states(), [(NameState::Published, None), (NameState::Waiting, None)]);
        progress.reach("*.a.example", NameState::Proven);
        let failed = || Err::<(), _>(CertificateError::Invalid("x".into()));
        assert!(progress.record("*.a.example", NameState::Seen, failed()).is_err());
        assert!(progress.record("a.example", NameState::Seen, failed()).is_err());
        assert_eq!(states(), [(NameState::Failed, Some("x".to_owned())), (NameState::Proven, None)]);
        progress.start(&["a.example".parse().unwrap()]);
        assert_eq!(states(), [(NameState::Waiting, None)]);
    }
}
