//! Whether the parent zone delegates the zone at all.

use crate::delegation::finding::Assessment;
use crate::delegation::survey::{ParentAnswer, ParentServer, ParentSurvey};
use crate::model::text::listed;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::super::zones::SurveyedZone;

pub static CHECK: Check = Check {
    id: "delegated",
    group: Group::Delegation,
    title: "The delegation",
    looks_at: "The NS records that each nameserver of the parent zone has for the zone.",
    after: &["parent-zone"],
    faults: &[&NOT_DELEGATED, &CNAME_INSTEAD, &ZONE_AT_PARENT, &PARENTS_DIFFER],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const NOT_DELEGATED: Fault = Fault {
    code: "not-delegated",
    assessment: Assessment::Fault,
    meaning: "no resolver finds this server, so no CA does",
    mend: "add the NS records of the zone, and the addresses of its nameservers, to the parent zone",
};

const CNAME_INSTEAD: Fault = Fault {
    code: "cname-instead-of-ns",
    assessment: Assessment::Fault,
    meaning: "resolvers follow the CNAME and never ask this server",
    mend: "replace the CNAME record in the parent zone by the NS records of the zone",
};

const ZONE_AT_PARENT: Fault = Fault {
    code: "zone-at-parent",
    assessment: Assessment::Fault,
    meaning: "the parent's nameserver answers from a zone of its own, and never refers to this server",
    mend: "delete the zone at the DNS provider of the parent zone; its NS records belong into the parent zone",
};

const PARENTS_DIFFER: Fault = Fault {
    code: "parent-servers-differ",
    assessment: Assessment::Fault,
    meaning: "resolvers get different delegations, by which of the parent's nameservers they ask",
    mend: "wait until the last change of the parent zone has reached all its nameservers; if the difference stays, \
           their transfers are broken",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        if let Ok(parent) = &surveyed.survey.parent {
            judge(surveyed, parent, findings);
        }
    }
}

fn judge(surveyed: &SurveyedZone, parent: &ParentSurvey, findings: &mut Findings) {
    let apex = surveyed.zone.apex();
    let question = format!("NS of {apex} at the nameservers of {}", parent.zone.apex);
    let usable: Vec<&ParentServer> =
        parent.servers.iter().filter(|server| !matches!(server.answer, ParentAnswer::Failure(_))).collect();
    let Some(first) = usable.first() else { return };
    let found = match parent.answer() {
        None | Some(ParentAnswer::Failure(_)) => return,
        Some(ParentAnswer::Nothing) => not_delegated(surveyed, parent, &question),
        Some(ParentAnswer::Alias(target)) => cname(surveyed, parent, target, &question),
        Some(ParentAnswer::OwnZone(_)) if !is_parents_nameserver_ours(surveyed, parent) => {
            own_zone(surveyed, parent, &first.server.to_string(), &question)
        }
        Some(ParentAnswer::Delegation(_) | ParentAnswer::OwnZone(_)) => match difference(&usable) {
            Some(answer) => PARENTS_DIFFER.found(apex, question, answer),
            None => {
                let names = listed(surveyed.survey.names.iter().map(|server| &server.name));
                return findings.good(apex, question, format!("delegated to {names}"));
            }
        },
    };
    findings.add(found.in_zone(&surveyed.zone.name));
}

fn not_delegated(surveyed: &SurveyedZone, parent: &ParentSurvey, question: &str) -> ScopedFinding {
    let apex = surveyed.zone.apex();
    let answer = format!("the zone {} has no NS record for {apex}", parent.zone.apex);
    NOT_DELEGATED.found(apex, question, answer).advice(records_to_add(surveyed, parent))
}

fn cname(
    surveyed: &SurveyedZone,
    parent: &ParentSurvey,
    target: &crate::model::name::Name,
    question: &str,
) -> ScopedFinding {
    let apex = surveyed.zone.apex();
    let advice = format!("remove `{apex}. CNAME {target}.` there, and {}", records_to_add(surveyed, parent));
    let answer = format!("the zone {} has a CNAME to {target} there", parent.zone.apex);
    CNAME_INSTEAD.found(apex, question, answer).advice(advice)
}

fn own_zone(surveyed: &SurveyedZone, parent: &ParentSurvey, server: &str, question: &str) -> ScopedFinding {
    let (apex, above) = (surveyed.zone.apex(), &parent.zone.apex);
    let advice =
        format!("delete the zone {apex} at the DNS provider of {above}, and {}", records_to_add(surveyed, parent));
    ZONE_AT_PARENT.found(apex, question, format!("{server} has a zone {apex} itself")).advice(advice)
}

/// What to add, and to which zone.
fn records_to_add(surveyed: &SurveyedZone, parent: &ParentSurvey) -> String {
    format!("add to the zone {}: {}", parent.zone.apex, listed(surveyed.zone.delegation_records()))
}

/// Whether the nameservers of the parent serve our zone because they are secondaries of it. Then there is no referral.
fn is_parents_nameserver_ours(surveyed: &SurveyedZone, parent: &ParentSurvey) -> bool {
    let is_parents = |address| parent.servers.iter().any(|above| above.server.address == address);
    let mut delegated = surveyed.survey.servers.iter().filter(|server| is_parents(server.server.address));
    delegated.any(|server| server.soa().is_some_and(|soa| surveyed.zone.is_transferred(&soa)))
}

/// Two nameservers of the parent that do not say the same.
fn difference(usable: &[&ParentServer]) -> Option<String> {
    let first = usable.first()?;
    let names = |server: &ParentServer| match &server.answer {
        ParentAnswer::Delegation(referral) | ParentAnswer::OwnZone(referral) => {
            let mut names = referral.names.clone();
            names.sort_unstable();
            names
        }
        _ => Vec::new(),
    };
    let other = usable.iter().find(|other| names(other) != names(first))?;
    Some(format!("{} {}; {} {}", first.server, first.answer, other.server, other.answer))
}
