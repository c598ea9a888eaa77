//! Whether the names of the nameservers lead to addresses.

use crate::delegation::finding::Assessment;
use crate::delegation::survey::NameFault;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;
use super::super::zones::SurveyedZone;

pub static CHECK: Check = Check {
    id: "nameserver-names",
    group: Group::Delegation,
    title: "Names of the nameservers",
    looks_at: "The A and AAAA records of each nameserver in the delegation, at the nameservers of that name.",
    after: &["delegated"],
    faults: &[&ALIAS, &NAME_MISSING, &NO_ADDRESS, &UNANSWERED],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const ALIAS: Fault = Fault {
    code: "ns-is-cname",
    assessment: Assessment::Fault,
    meaning: "a nameserver's name must not be an alias (RFC 2181 section 10.3); most resolvers do not follow it",
    mend: "give the nameserver's name A and AAAA records in the place of the CNAME record, or name the CNAME's target",
};

const NAME_MISSING: Fault = Fault {
    code: "ns-does-not-exist",
    assessment: Assessment::Fault,
    meaning: "resolvers that try this nameserver find no address",
    mend: "add an A record for the nameserver's name, or remove its NS record from the parent zone",
};

const NO_ADDRESS: Fault = Fault {
    code: "ns-without-address",
    assessment: Assessment::Fault,
    meaning: "resolvers that try this nameserver find no address",
    mend: "add an A record for the nameserver's name, or remove its NS record from the parent zone",
};

const UNANSWERED: Fault = Fault {
    code: "ns-name-unanswered",
    assessment: Assessment::Fault,
    meaning: "resolvers that try this nameserver find no address while the nameservers of its own zone fail",
    mend: "repair the nameservers of the zone that the nameserver's name lies in, or use a name in another zone",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        judge(surveyed, findings);
    }
}

fn judge(surveyed: &SurveyedZone, findings: &mut Findings) {
    let apex = surveyed.zone.apex();
    for server in &surveyed.survey.names {
        let name = &server.name;
        let question = format!("A and AAAA of {name}");
        let fault = match &server.found {
            None => continue,
            Some(Ok(addresses)) => {
                findings.good(name, question, crate::model::text::listed(addresses));
                continue;
            }
            Some(Err(fault)) => fault,
        };
        let found = match fault {
            NameFault::Alias(target) => ALIAS.found(name, question, fault).advice(format!(
                "replace `{name}. CNAME {target}.` by A and AAAA records, or write `{apex}. NS {target}.` in the parent \
                 zone and \"{target}\" in `ns`"
            )),
            NameFault::NameError => NAME_MISSING.found(name, question, fault).advice(format!(
                "add an A record for {name}, or remove `{apex}. NS {name}.` from the parent zone"
            )),
            NameFault::NoAddress => NO_ADDRESS.found(name, question, fault).advice(format!(
                "add an A record for {name}, or remove `{apex}. NS {name}.` from the parent zone"
            )),
            NameFault::Unanswered(_) => UNANSWERED.found(name, question, fault),
        };
        findings.add(found.in_zone(&surveyed.zone.name));
    }
}
