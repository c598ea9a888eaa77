//! The report of an examination, as people and programs get it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::delegation::finding::{Assessment, NeededRecord};
use crate::model::identifier::Identifier;
use crate::model::network::QueryNetwork;

use super::check::{Check, Group};
use super::findings::{Findings, Scope, ScopedFinding};

/// The code of a check that did not end in time. What it did not look at explains nothing.
pub const UNFINISHED: &str = "check-unfinished";

/// What an examination has found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// When it ended, in RFC 3339.
    pub at: String,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Whether a running daemon examined itself. If not, what only the daemon sees was not looked at.
    pub by_daemon: bool,
    /// The names that were examined.
    pub names: Vec<Identifier>,
    /// The code of the root cause; `None` if nothing is wrong.
    pub first: Option<String>,
    /// The checks, from causes to effects.
    pub checks: Vec<CheckReport>,
    /// What could not be looked at from here, and why.
    pub not_seen: Vec<String>,
    /// What was last asked for published values, the newest first.
    #[serde(default)]
    pub last_lookups: Vec<LastLookup>,
}

/// Answers with a published value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastLookup {
    /// When the first was sent, in RFC 3339.
    pub at: String,
    /// The name of this server that was asked for.
    pub name: String,
    /// Whether as many networks have asked within seconds as a CA's validation does.
    pub is_validation: bool,
    /// The networks that have got the value.
    pub networks: Vec<QueryNetwork>,
}

/// What one check has found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckReport {
    /// The name of the check.
    pub check: String,
    /// The heading that it stands under.
    pub group: Group,
    /// What it is about.
    pub title: String,
    /// The worst of its findings; [`Assessment::Good`] if there are none.
    pub assessment: Assessment,
    /// What it has found, good findings included.
    pub findings: Vec<ReportedFinding>,
}

/// One finding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportedFinding {
    /// The code of the fault; `None` where nothing is wrong.
    pub code: Option<String>,
    /// Whether a CA can work with what was found.
    pub assessment: Assessment,
    /// What the finding is about: a name, a zone, a nameserver, a file.
    pub subject: String,
    /// What was asked.
    pub question: String,
    /// What came back.
    pub answer: String,
    /// What that means; may be empty.
    pub meaning: String,
    /// What to do; may be empty.
    pub mend: String,
    /// The record that has to be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<NeededRecord>,
    /// The name of a certificate that the finding concerns; `None` if it concerns a zone or the whole server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Identifier>,
    /// The code of the earlier fault that explains this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows_from: Option<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.first.is_none()
    }

    /// Everything that is wrong, from causes to effects.
    pub fn problems(&self) -> impl Iterator<Item = &ReportedFinding> {
        self.checks.iter().flat_map(|check| &check.findings).filter(|finding| finding.code.is_some())
    }

    /// The root cause: the first finding of the worst kind that follows from no other.
    pub fn root_cause(&self) -> Option<&ReportedFinding> {
        root_cause(&self.checks)
    }
}

/// The reports of checks, in their order, with what follows from what.
pub fn reports(results: Vec<(&'static Check, Findings)>) -> Vec<CheckReport> {
    let mut causes: BTreeMap<&'static str, (&'static Check, Vec<ScopedFinding>)> = BTreeMap::new();
    let mut reports = Vec::with_capacity(results.len());
    for (check, findings) in results {
        let found = findings.into_vec();
        let reported = found.iter().map(|finding| reported(finding, cause(check, finding, &causes))).collect();
        reports.push(CheckReport::new(check, reported));
        causes.insert(check.id, (check, found));
    }
    reports
}

/// The code of the root cause.
pub fn first(checks: &[CheckReport]) -> Option<String> {
    root_cause(checks).and_then(|finding| finding.code.clone())
}

fn root_cause(checks: &[CheckReport]) -> Option<&ReportedFinding> {
    let all = || checks.iter().flat_map(|check| &check.findings).filter(|finding| finding.code.is_some());
    [Assessment::Fault, Assessment::Warning, Assessment::Unknown]
        .into_iter()
        .find_map(|kind| all().find(|finding| finding.assessment == kind && finding.follows_from.is_none()))
}

/// The finding of an earlier check that explains another one: a fault, or that something could not be asked. A cause that
/// has a cause itself leads to that one.
fn cause(
    check: &Check,
    effect: &ScopedFinding,
    earlier: &BTreeMap<&'static str, (&'static Check, Vec<ScopedFinding>)>,
) -> Option<String> {
    effect.code?;
    for id in check.after {
        let Some((before, found)) = earlier.get(id) else { continue };
        let explaining = found.iter().find(|other| may_explain(other) && other.scope.covers(&effect.scope));
        if let Some(code) = explaining.and_then(|other| other.code) {
            return Some(code.to_owned());
        }
        if let Some(code) = cause(before, effect, earlier) {
            return Some(code);
        }
    }
    None
}

fn may_explain(finding: &ScopedFinding) -> bool {
    finding.finding.is_fault() || (finding.finding.is_unknown() && finding.code != Some(UNFINISHED))
}

fn reported(scoped: &ScopedFinding, follows_from: Option<String>) -> ReportedFinding {
    let finding = scoped.finding.clone();
    ReportedFinding {
        code: scoped.code.map(str::to_owned),
        assessment: finding.assessment,
        subject: finding.subject,
        question: finding.question,
        answer: finding.answer,
        meaning: finding.meaning,
        mend: finding.advice,
        needed: finding.needed,
        name: match &scoped.scope {
            Scope::Name(name) => Some(name.clone()),
            Scope::Server | Scope::Zone(_) => None,
        },
        follows_from,
    }
}

impl CheckReport {
    fn new(check: &Check, findings: Vec<ReportedFinding>) -> Self {
        let worst = [Assessment::Fault, Assessment::Warning, Assessment::Unknown];
        let has = |kind: &Assessment| findings.iter().any(|finding| finding.assessment == *kind);
        Self {
            check: check.id.to_owned(),
            group: check.group,
            title: check.title.to_owned(),
            assessment: worst.into_iter().find(has).unwrap_or(Assessment::Good),
            findings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    const BROKEN: Fault = Fault { code: "broken", assessment: Assessment::Fault, meaning: "m", mend: "repair it" };
    const UNASKED: Fault = Fault { code: "unasked", assessment: Assessment::Unknown, meaning: "m", mend: "ask again" };
    const ODD: Fault = Fault { code: "odd", assessment: Assessment::Warning, meaning: "m", mend: "look at it" };

    const fn check(id: &'static str, after: &'static [&'static str]) -> Check {
        Check {
            id,
            group: Group::Machine,
            title: "t",
            looks_at: "l",
            after,
            faults: &[&BROKEN, &ODD],
            run: |_, _| Box::pin(async {}),
        }
    }

    static FIRST: Check = check("first", &[]);
    static SECOND: Check = check("second", &["first"]);
    static THIRD: Check = check("third", &["second"]);

    fn with(fault: &Fault, name: Option<&str>) -> Findings {
        let mut findings = Findings::default();
        let found = fault.found("s", "q", "a");
        findings.add(match name {
            Some(name) => found.for_name(&name.parse().unwrap()),
            None => found,
        });
        findings
    }

    #[test]
    fn effects_name_their_cause_also_across_a_check_that_found_nothing() {
        let found =
            reports(vec![(&FIRST, with(&BROKEN, None)), (&SECOND, Findings::default()), (&THIRD, with(&ODD, None))]);
        assert_eq!(found[2].findings[0].follows_from.as_deref(), Some("broken"));
        assert_eq!(
            found.iter().map(|check| check.assessment).collect::<Vec<_>>(),
            [Assessment::Fault, Assessment::Good, Assessment::Warning]
        );
        assert_eq!(first(&found).as_deref(), Some("broken"));
    }

    #[test]
    fn a_fault_of_one_name_explains_nothing_about_another() {
        let found =
            reports(vec![(&FIRST, with(&BROKEN, Some("a.example"))), (&SECOND, with(&BROKEN, Some("b.example")))]);
        assert_eq!(found[1].findings[0].follows_from, None);
        let found = reports(vec![(&FIRST, with(&ODD, None)), (&SECOND, with(&BROKEN, None))]);
        assert_eq!(found[1].findings[0].follows_from, None, "a warning explains no fault");
        assert_eq!(first(&found).as_deref(), Some("broken"), "a fault comes before an earlier warning");
        let found = reports(vec![(&FIRST, with(&UNASKED, None)), (&SECOND, with(&BROKEN, None))]);
        assert_eq!(found[1].findings[0].follows_from.as_deref(), Some("unasked"));
        assert_eq!(first(&found).as_deref(), Some("unasked"), "nothing else can be told");
        assert_eq!(first(&reports(vec![(&FIRST, Findings::default())])), None);
    }
}
