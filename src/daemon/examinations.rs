//! What the doctor's examinations of the daemon say of delegations, for the notifications.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::delegation::finding::Assessment;
use crate::doctor::check::Group;
use crate::doctor::report::{Report, ReportedFinding};
use crate::doctor::request::ExaminationRequest;
use crate::doctor::service::Doctor;
use crate::notify::matter::{Matter, MatterKind};

/// The time between two examinations while a delegation is broken.
const AGAIN: Duration = Duration::from_secs(3_600);

/// What is wrong with delegations: faults that follow from no other, one for each zone or nameserver.
pub fn broken(report: &Report) -> Vec<Matter> {
    let delegation = report.checks.iter().filter(|check| check.group == Group::Delegation);
    let faults = delegation.flat_map(|check| &check.findings).filter(|finding| is_cause(finding));
    let mut found = BTreeMap::new();
    for finding in faults {
        let ReportedFinding { subject, answer, meaning, mend, .. } = finding;
        let matter = || {
            let summary = format!("the delegation is broken at {subject}: {answer}");
            let texts = [meaning.as_str(), mend, "`txtgate doctor` shows all of it."];
            let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
            Matter::new(MatterKind::Delegation, subject, &summary, &texts.join("; "))
        };
        found.entry(subject.clone()).or_insert_with(matter);
    }
    found.into_values().collect()
}

fn is_cause(finding: &ReportedFinding) -> bool {
    finding.code.is_some() && finding.assessment == Assessment::Fault && finding.follows_from.is_none()
}

/// While a delegation is broken, examines it again: after `first`, so that a fault of a moment is not reported, and then each
/// hour, so that its end is reported soon.
pub async fn keep_confirming(doctor: Doctor, first: Duration) {
    let mut reports = doctor.reports();
    while reports.changed().await.is_ok() {
        let is_broken = || doctor.reports().borrow().as_ref().is_some_and(|report| !broken(report).is_empty());
        let mut wait = first;
        while is_broken() {
            sleep(wait).await;
            // A doctor that is busy is asked the next time.
            _ = doctor.examine(ExaminationRequest::default(), |_| ()).await;
            wait = AGAIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::CheckReport;

    fn finding(subject: &str, assessment: Assessment, follows_from: Option<&str>) -> ReportedFinding {
        ReportedFinding {
            code: Some("lame".into()),
            name: None,
            assessment,
            subject: subject.into(),
            question: "q".into(),
            answer: "it refuses".into(),
            meaning: String::new(),
            mend: "start it".into(),
            needed: None,
            follows_from: follows_from.map(str::to_owned),
        }
    }

    fn report(group: Group, findings: Vec<ReportedFinding>) -> Report {
        let (assessment, title) = (Assessment::Fault, "t".to_owned());
        let check = CheckReport { check: "c".into(), group, title, assessment, findings };
        let at = "2026-01-01T00:00:00Z".to_owned();
        Report {
            at,
            milliseconds: 1,
            by_daemon: true,
            names: Vec::new(),
            first: None,
            checks: vec![check],
            not_seen: Vec::new(),
            last_lookups: Vec::new(),
        }
    }

    #[test]
    fn causes_at_the_delegation_are_reported_once_for_each_subject() {
        let findings = vec![
            finding("ns1.test", Assessment::Fault, None),
            finding("ns1.test", Assessment::Fault, None),
            finding("ns2.test", Assessment::Fault, Some("glue")),
            finding("ns3.test", Assessment::Warning, None),
            finding("ns4.test", Assessment::Unknown, None),
        ];
        let found = broken(&report(Group::Delegation, findings.clone()));
        let [matter] = &found[..] else { panic!("{found:?}") };
        assert_eq!(matter.subject, "ns1.test");
        assert_eq!(matter.summary, "the delegation is broken at ns1.test: it refuses");
        assert_eq!(matter.details, "start it; `txtgate doctor` shows all of it.");
        assert!(broken(&report(Group::Names, findings)).is_empty());
    }
}
