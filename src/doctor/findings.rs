//! Where a check puts what it finds.

use std::fmt;

use crate::delegation::finding::{Assessment, Finding, NeededRecord};
use crate::model::identifier::Identifier;
use crate::model::name::ZoneName;

use super::fault::Fault;

/// The most findings of one check that are kept.
const MAX_FINDINGS: usize = 500;

/// The findings of one check, in its order.
#[derive(Debug, Default)]
pub struct Findings(Vec<ScopedFinding>);

/// A finding with its code, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopedFinding {
    /// The code of the fault; `None` where nothing is wrong.
    pub code: Option<&'static str>,
    /// What the finding concerns.
    pub scope: Scope,
    /// What was found.
    pub finding: Finding,
}

/// What a finding concerns. A fault explains only faults within its scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// The whole server.
    #[default]
    Server,
    /// One zone of this server, and the names that lead into it.
    Zone(ZoneName),
    /// One name of a certificate.
    Name(Identifier),
}

impl Scope {
    /// Whether a fault here explains faults in `other`.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server, _) | (Self::Zone(_), Self::Name(_)) => true,
            _ => self == other,
        }
    }
}

impl Findings {
    /// Adds a finding. Beyond 500, which no set-up reaches, findings are left out.
    pub fn add(&mut self, finding: ScopedFinding) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push(finding);
        }
    }

    /// Adds something that is as it should be.
    pub fn good(&mut self, subject: impl fmt::Display, question: impl Into<String>, answer: impl fmt::Display) {
        self.add(ScopedFinding::good(Finding::new(Assessment::Good, subject, question, answer)));
    }

    /// The findings so far.
    pub fn iter(&self) -> impl Iterator<Item = &ScopedFinding> {
        self.0.iter()
    }

    /// Whether anything is wrong so far.
    pub fn has_faults(&self) -> bool {
        self.0.iter().any(|found| found.finding.is_fault())
    }

    /// The findings, by value.
    pub fn into_vec(self) -> Vec<ScopedFinding> {
        self.0
    }
}

impl ScopedFinding {
    /// Something that is as it should be.
    pub fn good(finding: Finding) -> Self {
        Self { code: None, scope: Scope::default(), finding }
    }

    /// Says that the finding concerns one zone alone.
    pub fn in_zone(self, zone: &ZoneName) -> Self {
        Self { scope: Scope::Zone(zone.clone()), ..self }
    }

    /// Says that the finding concerns one name alone.
    pub fn for_name(self, name: &Identifier) -> Self {
        Self { scope: Scope::Name(name.clone()), ..self }
    }

    /// Says what the answer means here, in the place of the table's general meaning.
    pub fn meaning(self, meaning: impl Into<String>) -> Self {
        Self { finding: self.finding.meaning(meaning), ..self }
    }

    /// Says what to do here, in the place of the table's general advice: names, addresses, records, commands.
    pub fn advice(self, advice: impl Into<String>) -> Self {
        Self { finding: self.finding.advice(advice), ..self }
    }

    /// Names the record that has to be added.
    pub fn needs(mut self, record: NeededRecord) -> Self {
        self.finding.needed = Some(record);
        self
    }
}

impl Fault {
    /// A finding of this fault, with the table's meaning and advice. `question` is what was asked, and `answer` what came
    /// back.
    pub fn found(
        &self,
        subject: impl fmt::Display,
        question: impl Into<String>,
        answer: impl fmt::Display,
    ) -> ScopedFinding {
        self.of(Finding::new(self.assessment, subject, question, answer))
    }

    /// The same from a finding of [`delegation`](crate::delegation), whose own meaning and advice stay.
    pub fn of(&self, mut finding: Finding) -> ScopedFinding {
        finding.assessment = self.assessment;
        if finding.meaning.is_empty() {
            finding.meaning = self.meaning.to_owned();
        }
        if finding.advice.is_empty() {
            finding.advice = self.mend.to_owned();
        }
        ScopedFinding { code: Some(self.code), scope: Scope::default(), finding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_explains_what_is_within_its_scope() {
        let zone = Scope::Zone("auth.example.org".parse().unwrap());
        let other = Scope::Zone("auth.example.net".parse().unwrap());
        let name = Scope::Name("example.com".parse().unwrap());
        for (cause, effect, covers) in [
            (&Scope::Server, &zone, true),
            (&zone, &zone, true),
            (&zone, &name, true),
            (&name, &name, true),
            (&zone, &other, false),
            (&name, &zone, false),
            (&zone, &Scope::Server, false),
        ] {
            assert_eq!(cause.covers(effect), covers, "{cause:?} {effect:?}");
        }
    }
}
