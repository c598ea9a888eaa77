//! What a check is: a description, the faults that it can find, and a function.

use std::pin::Pin;

use serde::{Deserialize, Serialize};

use super::examination::Examination;
use super::fault::Fault;
use super::findings::Findings;

/// The future of a check.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One check: what it looks at, what it can find, and how.
///
/// A check reports into its [`Findings`] as it goes. Findings that are there when the time limit ends the check are
/// reported. A check must not block the thread: files and commands that can stall belong to `spawn_blocking`.
#[derive(Debug)]
pub struct Check {
    /// The name of the check in reports, in kebab case.
    pub id: &'static str,
    /// The heading that the check stands under.
    pub group: Group,
    /// What the check is about, in two to five words.
    pub title: &'static str,
    /// What the check looks at and how, in a sentence or two, for the documentation.
    pub looks_at: &'static str,
    /// The ids of earlier checks whose faults explain those of this one.
    pub after: &'static [&'static str],
    /// Everything that the check can find wrong.
    pub faults: &'static [&'static Fault],
    /// Runs the check.
    pub run: for<'a> fn(&'a Examination, &'a mut Findings) -> Running<'a>,
}

/// The headings of a report, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The machine, the daemon and its configuration.
    Machine,
    /// The zones of this server, from the root down.
    Delegation,
    /// The names of certificates.
    Names,
    /// What recursive resolvers elsewhere see.
    Vantage,
}

impl Group {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Machine => "Machine and daemon",
            Self::Delegation => "Delegation",
            Self::Names => "Names",
            Self::Vantage => "Seen from elsewhere",
        }
    }
}
