//! A report in words: what the terminal and the console have in common.

use crate::delegation::finding::Assessment;
use crate::model::time::relative::relative;

use super::check::Group;
use super::report::{CheckReport, LastLookup, Report, ReportedFinding};

/// The sign before a check or a finding.
pub fn sign(assessment: Assessment) -> &'static str {
    match assessment {
        Assessment::Good => "✓",
        Assessment::Warning | Assessment::Unknown => "!",
        Assessment::Fault => "✗",
    }
}

impl Group {
    /// All headings, in the order of a report.
    pub const ALL: [Self; 4] = [Self::Machine, Self::Delegation, Self::Names, Self::Vantage];
}

impl Report {
    /// The checks below a heading that had something to look at.
    pub fn checks_of(&self, group: Group) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().filter(move |check| check.group == group && !check.findings.is_empty())
    }

    /// How many checks had something to look at, how long that took, and where to begin.
    pub fn summary(&self) -> String {
        let seconds = self.milliseconds as f64 / 1_000.0;
        let looked = self.checks.iter().filter(|check| !check.findings.is_empty()).count();
        match self.root_cause() {
            None => format!("The set-up is sound: {looked} checks in {seconds:.1} s."),
            Some(first) => {
                let code = first.code.as_deref().unwrap_or_default();
                format!("Begin with {code} ({}); {looked} checks in {seconds:.1} s.", first.subject)
            }
        }
    }
}

impl ReportedFinding {
    /// What the finding is about, and what came back.
    pub fn headline(&self) -> String {
        match &self.code {
            Some(code) => format!("{}: {} [{code}]", self.subject, self.answer),
            None => format!("{}: {}", self.question, self.answer),
        }
    }

    /// The earlier finding that explains this one.
    pub fn cause(&self) -> Option<String> {
        self.follows_from.as_ref().map(|cause| format!("follows from {cause}"))
    }

    /// The records to add, as zone files write them. If there are several, one of them is enough.
    pub fn records(&self) -> impl Iterator<Item = String> {
        self.needed.iter().flat_map(|needed| needed.records())
    }
}

/// What stands in place of [`LastLookup`]s where there are none.
pub const NO_LOOKUPS: &str = "none since the start of the daemon";

impl LastLookup {
    /// What was asked for, when, and by whom.
    pub fn line(&self) -> String {
        let Self { at, name, is_validation, networks } = self;
        let from: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let what = if *is_validation { "like a validation" } else { "one network" };
        format!("{name}, {} ({what}): {}", relative(at), from.join(", "))
    }
}
