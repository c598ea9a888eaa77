//! Whether each nameserver of the delegation serves the zone.

use hickory_proto::op::ResponseCode;

use crate::delegation::finding::Assessment;
use crate::delegation::survey::ServerSurvey;
use crate::model::name::Name;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};

pub static CHECK: Check = Check {
    id: "authority",
    group: Group::Delegation,
    title: "Authority for the zone",
    looks_at: "Whether each nameserver of the delegation answers for the zone, with the AA bit.",
    after: &["delegated", "nameservers", "glue", "reachable"],
    faults: &[&REFUSES, &FAILS, &NOT_AUTHORITATIVE],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const REFUSES: Fault = Fault {
    code: "nameserver-refuses",
    assessment: Assessment::Fault,
    meaning: "the server at this address does not have the zone (a lame delegation)",
    mend: "add the zone to that server's configuration, or remove the nameserver from the parent zone and from `ns`",
};

const FAILS: Fault = Fault {
    code: "nameserver-fails",
    assessment: Assessment::Fault,
    meaning: "the server at this address knows the zone and cannot serve it; for a secondary, it has usually expired",
    mend: "look into that server's log; for a secondary, check that it may transfer the zone from this server",
};

const NOT_AUTHORITATIVE: Fault = Fault {
    code: "not-authoritative",
    assessment: Assessment::Fault,
    meaning: "resolvers refuse answers without the AA bit from a nameserver of the zone (a lame delegation)",
    mend: "let the nameserver's address lead to the authoritative server itself, not to a resolver or forwarder",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        let apex = surveyed.zone.apex();
        for server in &surveyed.survey.servers {
            match judge(server, apex) {
                None => {}
                Some(Ok(())) => findings.good(&server.server, question(apex), "serves the zone"),
                Some(Err(found)) => findings.add(found.in_zone(&surveyed.zone.name)),
            }
        }
    }
}

fn question(apex: &Name) -> String {
    format!("SOA of {apex}")
}

/// `None` if nothing has come from the server.
fn judge(server: &ServerSurvey, apex: &Name) -> Option<Result<(), Box<ScopedFinding>>> {
    let reply = server.reply()?;
    let question = question(apex);
    let subject = &server.server;
    let answer = format!("{} answers {}", subject.address, reply.rcode());
    let found = match reply.rcode() {
        ResponseCode::NoError if server.serves() => return Some(Ok(())),
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let answer = match reply.is_authoritative() {
                true => format!("{} has no SOA record of {apex}", subject.address),
                false => format!("{} answers without the AA bit", subject.address),
            };
            NOT_AUTHORITATIVE.found(subject, question, answer)
        }
        ResponseCode::Refused | ResponseCode::NotAuth => REFUSES.found(subject, question, answer).advice(format!(
            "add the zone {apex} to the server at {}, or remove `{apex}. NS {}.` from the parent zone and \"{}\" from `ns`",
            subject.address, subject.name, subject.name
        )),
        // What a server without EDNS says; another check tells.
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS
            if server.plain.as_ref().is_some_and(Result::is_ok) =>
        {
            return None;
        }
        _ => FAILS.found(subject, question, answer),
    };
    Some(Err(found.into()))
}
