//! The result of a check: printed as it is, or turned into a decision.

use std::fmt;

use hickory_proto::rr::RecordType;
use serde::{Deserialize, Serialize};

use crate::model::name::Name;
use crate::net::dns_client::LookupError;

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What the finding is about: a name, a zone or a nameserver.
    pub subject: String,
    /// What was asked, such as `CNAME of _acme-challenge.example.com`.
    pub question: String,
    /// What came back.
    pub answer: String,
    /// Whether a CA can work with the answer.
    pub assessment: Assessment,
    /// What the answer means; empty if the answer itself says it.
    pub meaning: String,
    /// What to do about it; empty if nothing is to be done, or if a record is needed.
    pub advice: String,
    /// The record that has to be added.
    pub needed: Option<NeededRecord>,
}

/// Whether a CA can work with what a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assessment {
    /// The DNS says what a CA needs.
    Good,
    /// A CA can work with it, but it differs from the configuration.
    Warning,
    /// A CA finds nothing, or something wrong.
    Fault,
    /// The question has no answer. A record may be there or not.
    Unknown,
}

/// A record that has to be in somebody's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeededRecord {
    /// The owner name of the record.
    pub name: String,
    /// The target of a CNAME record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The data of a TXT record that may stand there instead, as zone files write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txt: Option<String>,
}

impl NeededRecord {
    /// The record as zone files write it. If there are several, one of them is enough.
    pub fn records(&self) -> impl Iterator<Item = String> {
        let cname = self.target.iter().map(|target| format!("{}. CNAME {target}.", self.name));
        cname.chain(self.txt.iter().map(|txt| format!("{}. TXT {txt}", self.name)))
    }
}

impl fmt::Display for NeededRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: Vec<String> = self.records().map(|record| format!("`{record}`")).collect();
        f.write_str(&records.join(" or "))
    }
}

impl Finding {
    /// A finding without meaning and advice.
    pub fn new(
        assessment: Assessment,
        subject: impl fmt::Display,
        question: impl Into<String>,
        answer: impl fmt::Display,
    ) -> Self {
        Self {
            subject: subject.to_string(),
            question: question.into(),
            answer: answer.to_string(),
            assessment,
            meaning: String::new(),
            advice: String::new(),
            needed: None,
        }
    }

    /// The finding of a look-up that gave no records: a fault if the DNS says so, otherwise unknown.
    pub fn of_failure(subject: impl fmt::Display, question: impl Into<String>, error: &LookupError) -> Self {
        let assessment = if error.is_conclusive() { Assessment::Fault } else { Assessment::Unknown };
        Self::new(assessment, subject, question, error)
    }

    /// Says what the answer means.
    pub fn meaning(mut self, meaning: impl Into<String>) -> Self {
        self.meaning = meaning.into();
        self
    }

    /// Says what to do.
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Whether the question has no answer.
    pub fn is_unknown(&self) -> bool {
        self.assessment == Assessment::Unknown
    }

    /// Whether a CA finds nothing, or something wrong.
    pub fn is_fault(&self) -> bool {
        self.assessment == Assessment::Fault
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.answer)?;
        if !self.meaning.is_empty() {
            write!(f, ": {}", self.meaning)?;
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        if let Some(needed) = &self.needed {
            write!(f, "; add {needed}")?;
        }
        Ok(())
    }
}

/// A question to recursive resolvers.
pub fn question(rtype: RecordType, name: &Name) -> String {
    format!("{rtype} of {name}")
}

/// A question to one server.
pub fn question_at(rtype: RecordType, name: &Name, server: impl fmt::Display) -> String {
    format!("{rtype} of {name} at {server}")
}
