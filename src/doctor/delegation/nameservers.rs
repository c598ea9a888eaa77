//! Whether parent and configuration name the same nameservers.

use crate::delegation::finding::Assessment;
use crate::model::name::Name;
use crate::model::text::listed;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;
use super::super::zones::{SurveyedZone, address_record};

pub static CHECK: Check = Check {
    id: "nameservers",
    group: Group::Delegation,
    title: "NS records",
    looks_at: "The NS records in the parent zone, compared with `ns` of the configuration, which is the NS set of the zone.",
    after: &["delegated"],
    faults: &[&ELSEWHERE, &LEFT_OVER, &ONLY_AT_PARENT, &ONLY_HERE],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const ELSEWHERE: Fault = Fault {
    code: "delegated-elsewhere",
    assessment: Assessment::Fault,
    meaning: "the parent delegates the zone to other nameservers, which do not serve it, so no CA asks this server",
    mend: "replace the NS records in the parent zone by those in `ns`",
};

const LEFT_OVER: Fault = Fault {
    code: "ns-left-over",
    assessment: Assessment::Fault,
    meaning: "resolvers that ask this nameserver find nothing: a validation fails whenever one of the CA's does",
    mend: "remove the NS record from the parent zone",
};

const ONLY_AT_PARENT: Fault = Fault {
    code: "ns-only-at-parent",
    assessment: Assessment::Warning,
    meaning: "the nameserver serves the zone, and the zone itself does not name it, so resolvers use it or not by chance",
    mend: "add the nameserver to `ns` of the zone and reload, or remove its NS record from the parent zone",
};

const ONLY_HERE: Fault = Fault {
    code: "ns-only-here",
    assessment: Assessment::Warning,
    meaning: "the zone names a nameserver that its parent does not name, so resolvers use it or not by chance",
    mend: "add the NS record to the parent zone, or remove the nameserver from `ns` and reload",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        judge(surveyed, findings);
    }
}

fn judge(surveyed: &SurveyedZone, findings: &mut Findings) {
    let Ok(parent) = &surveyed.survey.parent else { return };
    let (zone, above) = (&surveyed.zone, &parent.zone.apex);
    let delegated: Vec<&Name> = surveyed.survey.names.iter().map(|server| &server.name).collect();
    if delegated.is_empty() {
        return;
    }
    let apex = zone.apex();
    let question = format!("NS of {apex} in the zone {above} and in `ns`");
    let extra: Vec<&Name> = delegated.iter().copied().filter(|name| !zone.nameservers.contains(name)).collect();
    let lacking: Vec<&Name> = zone.nameservers.iter().filter(|name| !delegated.contains(name)).collect();
    if extra.is_empty() && lacking.is_empty() {
        return findings.good(apex, question, format!("the same: {}", listed(&delegated)));
    }
    if extra.len() == delegated.len() && !extra.iter().any(|name| serves(surveyed, name)) {
        let answer = format!("the zone {above} names {}, and `ns` {}", listed(&delegated), listed(&zone.nameservers));
        let wrong = listed(delegated.iter().map(|name| format!("`{apex}. NS {name}.`")));
        let right = listed(zone.delegation_records());
        let advice = format!("remove from the zone {above}: {wrong}; add there: {right}");
        return findings.add(ELSEWHERE.found(apex, question, answer).advice(advice).in_zone(&zone.name));
    }
    for name in extra {
        let answer = format!("the zone {above} names {name}, which is not in `ns`");
        let record = format!("`{apex}. NS {name}.`");
        let found = match serves(surveyed, name) {
            true => ONLY_AT_PARENT.found(name, &question, answer).advice(format!(
                "add \"{name}\" to `ns` of the zone {apex} and reload, or remove {record} from the zone {above}"
            )),
            false => LEFT_OVER
                .found(name, &question, format!("{answer}, and does not serve the zone"))
                .advice(format!("remove {record} from the zone {above}")),
        };
        findings.add(found.in_zone(&zone.name));
    }
    for name in lacking {
        let own = zone.addresses.iter().filter(|server| server.name == *name);
        let records = listed([format!("`{apex}. NS {name}.`")].into_iter().chain(own.map(address_record)));
        let advice = format!("add to the zone {above}: {records}; or remove \"{name}\" from `ns` and reload");
        let answer = format!("{name} is in `ns`, and the zone {above} does not name it");
        findings.add(ONLY_HERE.found(name, &question, answer).advice(advice).in_zone(&zone.name));
    }
}

/// Whether one address of a nameserver answers with authority for the zone.
fn serves(surveyed: &SurveyedZone, name: &Name) -> bool {
    surveyed.survey.servers_of(name).any(|server| server.serves())
}
