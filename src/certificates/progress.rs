//! How far each name of an order is, for people who wait for it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::identifier::Identifier;

use crate::acme::error::Result;

/// How far a name is. Each state comes after those before it; the last three are ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing is known of it yet.
    #[default]
    Waiting,
    /// What the CA looks at leads here, or says what it must.
    Delegated,
    /// The challenge's value, or the persistent authorization, is published.
    Published,
    /// The zone's nameservers show the value, those that can be asked from here.
    Seen,
    /// The CA is told that it may look.
    Answered,
    /// What the CA looks at does neither.
    RecordMissing,
    /// The CA has seen the value, now or in an authorization that still holds.
    Proven,
    /// It has not been proven.
    Failed,
}

impl State {
    /// Whether nothing more comes in this order.
    pub fn is_end(self) -> bool {
        self >= Self::RecordMissing
    }
}

impl fmt::Display for State {
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

/// A name, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The name, with `*.` where it is for a wildcard.
    pub name: String,
    /// How far it is.
    pub state: State,
    /// What is in the way.
    pub problem: Option<String>,
}

/// All names of an order, as many as a certificate has. Nothing but orders and the operator's questions locks it.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Vec<Step>>);

impl Progress {
    /// Forgets the last order; the next one is for these names.
    pub fn start(&self, names: &[Identifier]) {
        let waiting = |name: &Identifier| Step { name: name.to_string(), state: State::Waiting, problem: None };
        *self.lock() = names.iter().map(waiting).collect();
    }

    /// Lets a name be so far, unless it is already.
    pub fn reach(&self, name: &str, state: State) {
        self.change(name, state, None);
    }

    /// Lets a name be as far as what was done for it, or failed.
    pub fn note<T>(&self, name: &str, state: State, done: Result<T>) -> Result<T> {
        match &done {
            Ok(_) => self.change(name, state, None),
            Err(error) => self.change(name, State::Failed, Some(error.explained())),
        }
        done
    }

    /// Ends a name whose record is missing; `found` is what is there.
    pub fn miss(&self, name: &str, found: &str) {
        self.change(name, State::RecordMissing, Some(found.to_owned()));
    }

    /// Each name, in the certificate's order; none where nothing was ordered yet.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().clone()
    }

    fn change(&self, name: &str, state: State, problem: Option<String>) {
        let mut steps = self.lock();
        let its = steps.iter_mut().find(|step| step.name.eq_ignore_ascii_case(name));
        if let Some(step) = its.filter(|step| step.state < state && !step.state.is_end()) {
            (step.state, step.problem) = (state, problem);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::error::AcmeError;

    #[test]
    fn a_name_goes_forward_and_ends_once() {
        let progress = Progress::default();
        assert_eq!(progress.steps(), []);
        progress.start(&["a.example".parse().unwrap(), "*.a.example".parse().unwrap()]);
        progress.reach("a.example", State::Published);
        progress.reach("A.EXAMPLE", State::Delegated);
        progress.reach("nobody.example", State::Proven);
        let states = || progress.steps().into_iter().map(|step| (step.state, step.problem)).collect::<Vec<_>>();
        assert_eq!(states(), [(State::Published, None), (State::Waiting, None)]);
        progress.reach("*.a.example", State::Proven);
        let failed = || Err::<(), _>(AcmeError::Setup("x".into()));
        assert!(progress.note("*.a.example", State::Seen, failed()).is_err());
        assert!(progress.note("a.example", State::Seen, failed()).is_err());
        let why = Some("cannot set up HTTPS: x".to_owned());
        assert_eq!(states(), [(State::Failed, why), (State::Proven, None)]);
        progress.start(&["a.example".parse().unwrap()]);
        assert_eq!(states(), [(State::Waiting, None)]);
    }
}
