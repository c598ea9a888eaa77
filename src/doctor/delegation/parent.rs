//! The way from the root to the parent zone.

use crate::delegation::finding::Assessment;
use crate::delegation::iterative::{IterativeError, ServerFailure, ZoneCut, failures_shown};
use crate::delegation::parent::Nameserver;
use crate::delegation::survey::{ParentAnswer, ParentSurvey};
use crate::model::name::Name;
use crate::model::text::listed;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::super::zones::SurveyedZone;

pub static CHECK: Check = Check {
    id: "parent-zone",
    group: Group::Delegation,
    title: "The way from the root",
    looks_at: "The nameservers from the root down to the parent of each zone, asked directly, without a resolver in between.",
    after: &[],
    faults: &[
        &ROOT_UNREACHABLE,
        &PARENT_UNREACHABLE,
        &PARENT_FAILS,
        &DOMAIN_MISSING,
        &PARENT_SERVER_DOWN,
        &PARENT_CASE_CHANGED,
    ],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const ROOT_UNREACHABLE: Fault = Fault {
    code: "root-unreachable",
    assessment: Assessment::Unknown,
    meaning: "this machine cannot ask the servers of the root, so nothing about the delegation is known",
    mend: "allow this machine to send DNS questions to port 53 of any address over UDP and TCP, or name the servers of \
           a private root with --hints",
};

const PARENT_UNREACHABLE: Fault = Fault {
    code: "parent-unreachable",
    assessment: Assessment::Fault,
    meaning: "no resolver gets past this zone, so no CA finds the zones below it",
    mend: "ask the operator of the zone's nameservers to start them again, or name other nameservers at the registrar",
};

const PARENT_FAILS: Fault = Fault {
    code: "parent-fails",
    assessment: Assessment::Fault,
    meaning: "the nameservers answer with a failure, so no CA finds the zones below this one",
    mend: "ask the operator of the zone's nameservers why they do not serve the zone; \
           a zone that has expired or does not load is the usual reason",
};

const DOMAIN_MISSING: Fault = Fault {
    code: "domain-missing",
    assessment: Assessment::Fault,
    meaning: "the domain is not registered, or its registration has expired",
    mend: "register or renew the domain, or correct `name` of the zone in the configuration",
};

const PARENT_SERVER_DOWN: Fault = Fault {
    code: "parent-server-down",
    assessment: Assessment::Warning,
    meaning: "resolvers lose time, and some fail, where they ask this one of the parent's nameservers",
    mend: "ask the operator of the parent zone to repair this nameserver, or to remove its NS record",
};

const PARENT_CASE_CHANGED: Fault = Fault {
    code: "parent-changes-case",
    assessment: Assessment::Fault,
    meaning: "strict resolvers take the answers for forgeries: the letters of the question come back in another case",
    mend: "update the software of this nameserver, or the firewall or load balancer in front of it",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        judge(surveyed, findings);
    }
}

fn judge(surveyed: &SurveyedZone, findings: &mut Findings) {
    let apex = surveyed.zone.apex();
    let question = format!("the parent zone of {apex}");
    match &surveyed.survey.parent {
        Err(IterativeError::Unanswered { zone, failures }) => {
            findings.add(unanswered(zone, failures, &question).in_zone(&surveyed.zone.name));
        }
        Err(error) => findings.add(PARENT_UNREACHABLE.found(apex, question, error).in_zone(&surveyed.zone.name)),
        Ok(parent) => match missing_domain(parent, apex) {
            Some(domain) => {
                let answer =
                    format!("the nameservers of {} say that {domain} does not exist", parent.zone.apex.as_zone());
                findings.add(DOMAIN_MISSING.found(domain, question, answer).in_zone(&surveyed.zone.name));
            }
            None => judge_servers(surveyed, parent, &question, findings),
        },
    }
}

fn unanswered(zone: &ZoneCut, failures: &[(Nameserver, ServerFailure)], question: &str) -> ScopedFinding {
    let subject = format!("the zone {}", zone.apex.as_zone());
    if zone.apex == Name::root() {
        return ROOT_UNREACHABLE.found("the root", question, failures_shown(failures));
    }
    if failures.is_empty() {
        let problems = zone.unresolved.iter().map(|server| format!("{}: {}", server.name, server.problem));
        return PARENT_UNREACHABLE.found(
            subject,
            question,
            format!("no nameserver has an address: {}", listed(problems)),
        );
    }
    let fault = match failures.iter().any(|(_, failure)| matches!(failure, ServerFailure::Silent(_))) {
        _ if failures.iter().all(|(_, failure)| failure.is_local()) => &ROOT_UNREACHABLE,
        true => &PARENT_UNREACHABLE,
        false => &PARENT_FAILS,
    };
    fault.found(subject, question, failures_shown(failures))
}

/// The domain that a top-level domain denies, where that is a zone between it and ours.
fn missing_domain(parent: &ParentSurvey, apex: &Name) -> Option<Name> {
    let is_top_level = parent.zone.apex.as_ref().labels().count() <= 1;
    if !parent.is_name_error || !is_top_level {
        return None;
    }
    let mut domain = apex.clone();
    while let Some(above) = domain.parent().filter(|above| *above != parent.zone.apex) {
        domain = above;
    }
    (domain != *apex).then_some(domain)
}

fn judge_servers(surveyed: &SurveyedZone, parent: &ParentSurvey, question: &str, findings: &mut Findings) {
    let zone = parent.zone.apex.as_zone();
    let mut usable = Vec::new();
    let mut problems = Vec::new();
    for asked in &parent.servers {
        let subject = format!("the nameserver {} of {zone}", asked.server);
        match &asked.answer {
            ParentAnswer::Failure(failure) if failure.is_local() => {}
            ParentAnswer::Failure(failure) => problems.push(PARENT_SERVER_DOWN.found(subject, question, failure)),
            _ if asked.changes_case => {
                let answer = "repeats the question in letters of another case";
                problems.push(PARENT_CASE_CHANGED.found(subject, question, answer));
            }
            _ => usable.push(asked.server.to_string()),
        }
    }
    for unresolved in &parent.zone.unresolved {
        let subject = format!("the nameserver {} of {zone}", unresolved.name);
        problems.push(PARENT_SERVER_DOWN.found(subject, question, &unresolved.problem));
    }
    let all_fail = !parent.servers.is_empty() && parent.answer().is_none();
    if all_fail {
        let answer = listed(parent.servers.iter().map(|server| format!("{} {}", server.server, server.answer)));
        problems.insert(0, PARENT_FAILS.found(format!("the zone {zone}"), question, answer));
    }
    if problems.is_empty() {
        findings.good(surveyed.zone.apex(), question, format!("{zone}, at {}", listed(usable)));
    }
    problems.into_iter().for_each(|problem| findings.add(problem.in_zone(&surveyed.zone.name)));
}
