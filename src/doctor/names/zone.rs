//! Whether the zone of each name exists, and its nameservers answer for it.

use hickory_proto::rr::RecordType;

use crate::delegation::finding::{Assessment, Finding, question, question_at};
use crate::delegation::iterative::{IterativeError, IterativeResolver, ServerFailure, ZoneCut};
use crate::model::name::Name;
use crate::model::text::listed;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::domains::{domains, for_each};
use super::own::OwnServer;
use super::records::add_zone;

pub static CHECK: Check = Check {
    id: "name-zone",
    group: Group::Names,
    title: "Zones of the names",
    looks_at: "Walks from the root to the zone of each name, and asks each of its nameservers for the SOA record.",
    after: &[],
    faults: &[&UNREGISTERED, &UNCONFIGURED, &DEAD, &NOT_LOOKED_UP, &LAME, &SILENT, &WITHOUT_ADDRESS],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const UNREGISTERED: Fault = Fault {
    code: "name-unregistered",
    assessment: Assessment::Fault,
    meaning: "the domain is not delegated: it was never registered, or its registration has expired",
    mend: "register or renew the domain, or correct the name",
};

const UNCONFIGURED: Fault = Fault {
    code: "name-zone-unconfigured",
    assessment: Assessment::Fault,
    meaning: "NS records delegate the zone to this server, whose configuration does not have it, so no resolver finds any \
              record of the name",
    mend: "correct the nameservers at the registrar, or, for a zone of challenges alone, add it to the configuration as a \
           [[zone]]",
};

const DEAD: Fault = Fault {
    code: "name-zone-dead",
    assessment: Assessment::Fault,
    meaning: "no resolver finds any record of the name",
    mend: "have the domain's DNS provider serve the zone, or correct the nameservers at the registrar",
};

const NOT_LOOKED_UP: Fault = Fault {
    code: "name-not-looked-up",
    assessment: Assessment::Unknown,
    meaning: "this machine cannot ask the nameservers on the way to the name, so its records were not looked at",
    mend: "allow UDP and TCP to port 53 of other servers, or run `txtgate doctor` on a machine that may ask them",
};

const LAME: Fault = Fault {
    code: "name-server-lame",
    assessment: Assessment::Warning,
    meaning: "resolvers that ask this nameserver first need longer, and some of them fail",
    mend: "have it serve the zone, or take it out of the nameservers at the registrar",
};

const SILENT: Fault = Fault {
    code: "name-server-silent",
    assessment: Assessment::Warning,
    meaning: "resolvers that ask this nameserver first need longer, and some of them fail",
    mend: "start it or open its port 53, or take it out of the nameservers at the registrar",
};

const WITHOUT_ADDRESS: Fault = Fault {
    code: "name-server-without-address",
    assessment: Assessment::Warning,
    meaning: "nobody can ask this nameserver",
    mend: "add its address records, or take it out of the nameservers at the registrar",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let resolver = examination.iterative.clone();
    let own = OwnServer::of(examination);
    for_each(domains(&examination.names), findings, |domain| {
        let (resolver, own) = (resolver.clone(), own.clone());
        async move { check(&resolver, &own, &domain.base).await }
    })
    .await;
}

async fn check(resolver: &IterativeResolver, own: &OwnServer, base: &Name) -> Vec<ScopedFinding> {
    if let Some(zone) = own.zone_at(base) {
        let answer = format!("{base} lies in this server's zone {zone}");
        return vec![ScopedFinding::good(Finding::new(Assessment::Good, base, "", answer))];
    }
    let asked = question(RecordType::SOA, base);
    let zone = match resolver.zone_of(base).await {
        Ok(zone) => zone,
        Err(error) => return vec![unreachable(own, base, asked, &error)],
    };
    if zone.apex.as_ref().labels().count() < 2 && zone.apex != *base {
        let answer = format!("{} has no {base}", zone.apex.as_zone());
        return vec![UNREGISTERED.found(base, asked, answer)];
    }
    let mut found = check_servers(resolver, own, &zone).await;
    found.extend(zone.unresolved.iter().map(|server| {
        let subject = format!("{}, a nameserver of {}", server.name, zone.apex);
        WITHOUT_ADDRESS.found(subject, format!("A and AAAA of {}", server.name), &server.problem)
    }));
    if found.is_empty() {
        let answer = format!("it is in the zone {}; {}", zone.apex, all(zone.servers.len()));
        found.push(ScopedFinding::good(Finding::new(Assessment::Good, base, asked, answer)));
    }
    found
}

/// The finding of a walk that ended without an answer.
fn unreachable(own: &OwnServer, base: &Name, asked: String, error: &IterativeError) -> ScopedFinding {
    let IterativeError::Unanswered { zone, failures } = error else {
        return NOT_LOOKED_UP.found(base, asked, error);
    };
    if let Some(zone) = own.unconfigured_zone(error) {
        let zone = &zone.apex;
        return UNCONFIGURED.found(base, asked, error).advice(format!(
            "correct the nameservers of {zone} at the registrar or in the zone above, or, for a zone of challenges alone, \
             {}",
            add_zone(zone)
        ));
    }
    let is_above = zone.apex.as_ref().labels().count() < 2;
    let is_local = !failures.is_empty() && failures.iter().all(|(_, failure)| failure.is_local());
    if is_above || is_local {
        return NOT_LOOKED_UP.found(base, asked, error);
    }
    let servers = listed(failures.iter().map(|(server, _)| &server.name));
    let found = DEAD.found(base, asked, error);
    if failures.is_empty() {
        return found.advice(format!("correct the nameservers of {} at the registrar", zone.apex));
    }
    found.advice(format!("have {servers} serve the zone {}, or correct its nameservers at the registrar", zone.apex))
}

async fn check_servers(resolver: &IterativeResolver, own: &OwnServer, zone: &ZoneCut) -> Vec<ScopedFinding> {
    let mut found = Vec::new();
    for (server, reply) in resolver.ask_all(zone, &zone.apex, RecordType::SOA).await {
        let failure = match &reply {
            Ok(reply) => ServerFailure::of(reply, &zone.apex, &zone.apex),
            Err(error) => Some(ServerFailure::from(error)),
        };
        // An address that this machine has no route to may be fine for all others.
        let Some(failure) = failure.filter(|failure| !failure.is_local()) else { continue };
        let fault = if failure.is_lame() { &LAME } else { &SILENT };
        let asked = question_at(RecordType::SOA, &zone.apex, &server);
        let is_unconfigured = failure.is_lame() && own.is_asked_at(&server);
        let mut finding = fault.found(format!("{server}, a nameserver of {}", zone.apex), asked, failure);
        if is_unconfigured {
            finding = finding.advice(format!(
                "this server does not have the zone {}: take {} out of its nameservers at the registrar",
                zone.apex, server.name
            ));
        }
        found.push(finding);
    }
    found
}

fn all(count: usize) -> String {
    match count {
        1 => "its one nameserver address answers".to_owned(),
        count => format!("all {count} of its nameserver addresses answer"),
    }
}
