//! The addresses that come with the delegation.

use std::net::IpAddr;

use crate::delegation::finding::Assessment;
use crate::delegation::parent::Nameserver;
use crate::delegation::roots::Roots;
use crate::delegation::survey::{NameSurvey, ParentSurvey};
use crate::model::text::listed;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::super::zones::{SurveyedZone, address_record, is_reachable_from_everywhere};

pub static CHECK: Check = Check {
    id: "glue",
    group: Group::Delegation,
    title: "Addresses in the parent zone",
    looks_at: "The addresses that the parent zone tells for nameservers within the zone (glue), compared with the records of \
               the configuration; and whether the address of each nameserver can be reached from everywhere.",
    after: &["delegated"],
    faults: &[&MISSING, &WRONG, &DIFFERS, &INCOMPLETE, &PRIVATE],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const MISSING: Fault = Fault {
    code: "glue-missing",
    assessment: Assessment::Fault,
    meaning: "the nameserver's name lies in the zone itself, so only the parent can tell resolvers its address",
    mend: "add the address of the nameserver to the parent zone, where registrars call it glue or a host record",
};

const WRONG: Fault = Fault {
    code: "glue-wrong",
    assessment: Assessment::Fault,
    meaning: "the parent zone sends resolvers to an address where nobody serves the zone",
    mend: "correct the address of the nameserver in the parent zone",
};

const DIFFERS: Fault = Fault {
    code: "glue-differs",
    assessment: Assessment::Warning,
    meaning: "the parent zone and the zone itself tell different addresses of the nameserver; resolvers use both",
    mend: "make the address in the parent zone and the record in the configuration the same",
};

const INCOMPLETE: Fault = Fault {
    code: "glue-incomplete",
    assessment: Assessment::Warning,
    meaning: "resolvers cannot begin with the address that the parent zone lacks; those with IPv6 alone find nobody \
              without an AAAA record",
    mend: "add the address to the parent zone, or remove it from `records` of the zone",
};

const PRIVATE: Fault = Fault {
    code: "address-private",
    assessment: Assessment::Fault,
    meaning: "the address leads nowhere from outside of this network, so no CA reaches it",
    mend: "write the public address of the nameserver; behind NAT that of the router, which passes on port 53",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        let Ok(parent) = &surveyed.survey.parent else { continue };
        for server in &surveyed.survey.names {
            judge(surveyed, parent, server, &examination.roots, findings);
        }
    }
}

fn judge(surveyed: &SurveyedZone, parent: &ParentSurvey, server: &NameSurvey, roots: &Roots, findings: &mut Findings) {
    let question = format!("addresses of {} in the zone {}", server.name, parent.zone.apex);
    let mut problems = Vec::new();
    let unreachable = server.addresses().iter().filter(|address| !is_reachable_from_everywhere(address, roots));
    problems.extend(unreachable.map(|address| private(server, *address, &question)));
    if server.found.is_none() {
        problems.extend(compare(surveyed, parent, server, &question));
    }
    if problems.is_empty() && !server.addresses().is_empty() {
        findings.good(&server.name, question, listed(server.addresses()));
    }
    problems.into_iter().for_each(|problem| findings.add(problem.in_zone(&surveyed.zone.name)));
}

fn private(server: &NameSurvey, address: IpAddr, question: &str) -> ScopedFinding {
    let advice = format!(
        "replace {address} in the address records of {} by the public address of the nameserver; behind NAT that of the \
         router, which passes on port 53",
        server.name
    );
    PRIVATE.found(&server.name, question, format!("{address} is an address of a private network")).advice(advice)
}

/// Compares the glue of a name within the zone with its records in the configuration.
fn compare(surveyed: &SurveyedZone, parent: &ParentSurvey, server: &NameSurvey, question: &str) -> Vec<ScopedFinding> {
    let (name, above) = (&server.name, &parent.zone.apex);
    let own = surveyed.zone.addresses_of(name);
    let record = |address: &IpAddr| address_record(&Nameserver { name: name.clone(), address: *address });
    let records = |addresses: &[IpAddr]| listed(addresses.iter().map(record));
    if server.glue.is_empty() {
        let wanted = if own.is_empty() { format!("an A record of {name}") } else { records(&own) };
        let answer = format!("the zone {above} has no address of {name}");
        return vec![MISSING.found(name, question, answer).advice(format!("add to the zone {above}: {wanted}"))];
    }
    if own.is_empty() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for wrong in server.glue.iter().filter(|address| !own.contains(address)) {
        let answer = format!("{above} tells {wrong}, and the zone itself {}", listed(&own));
        let advice = format!("replace in the zone {above} {} by {}", record(wrong), records(&own));
        let serves = surveyed.survey.servers_of(name).any(|asked| asked.server.address == *wrong && asked.serves());
        let fault = if serves { &DIFFERS } else { &WRONG };
        problems.push(fault.found(name, question, answer).advice(advice));
    }
    if problems.is_empty() {
        let lacking: Vec<IpAddr> = own.iter().copied().filter(|address| !server.glue.contains(address)).collect();
        if !lacking.is_empty() {
            let answer = format!("the zone itself has {} as well, which {above} does not tell", listed(&lacking));
            let advice = format!("add to the zone {above}: {}", records(&lacking));
            problems.push(INCOMPLETE.found(name, question, answer).advice(advice));
        }
    }
    problems
}
