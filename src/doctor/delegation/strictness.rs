//! Whether each nameserver of the delegation answers questions as CAs ask them.

use hickory_proto::op::ResponseCode;

use crate::delegation::finding::Assessment;
use crate::delegation::survey::ServerSurvey;
use crate::model::name::Name;
use crate::net::dns_client::AskError;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};

pub static CHECK: Check = Check {
    id: "strict-questions",
    group: Group::Delegation,
    title: "EDNS and the case of letters",
    looks_at: "A question with EDNS and a size of 1,232 bytes, in letters of random case, to each nameserver of the delegation; \
               where the zone is signed, also one whose answer is longer than 512 bytes.",
    after: &["delegated", "glue"],
    faults: &[&EDNS_DROPPED, &LARGE_LOST, &EDNS_REFUSED, &CASE_CHANGED],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const EDNS_DROPPED: Fault = Fault {
    code: "edns-dropped",
    assessment: Assessment::Fault,
    meaning: "questions with EDNS are lost on the way, and every resolver asks with EDNS",
    mend: "let the firewall in front of the server pass DNS messages with EDNS; look for \"DNS inspection\" or a limit of \
           512 bytes in its settings",
};

const LARGE_LOST: Fault = Fault {
    code: "large-answers-lost",
    assessment: Assessment::Fault,
    meaning: "longer answers over UDP are lost on the way, so validating resolvers time out",
    mend: "let every firewall and tunnel in front of the server pass datagrams of up to 1,232 bytes",
};

const EDNS_REFUSED: Fault = Fault {
    code: "edns-refused",
    assessment: Assessment::Fault,
    meaning: "the server does not know EDNS, with which every resolver asks",
    mend: "update the software of the nameserver",
};

const CASE_CHANGED: Fault = Fault {
    code: "case-changed",
    assessment: Assessment::Fault,
    meaning: "strict resolvers, such as those of CAs, take the answers for forgeries",
    mend: "update the software of the nameserver, or the firewall or load balancer in front of it, which turns the letters \
           of questions into lower case",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        for server in &surveyed.survey.servers {
            let question = question(surveyed.zone.apex());
            if let Some(found) = judge(server, &question) {
                findings.add(found.in_zone(&surveyed.zone.name));
            } else if server.udp.is_ok() {
                findings.good(&server.server, question, "answers with EDNS, and keeps the case");
            }
        }
    }
}

fn question(apex: &Name) -> String {
    format!("SOA of {apex} with EDNS, in letters of random case")
}

fn judge(server: &ServerSurvey, question: &str) -> Option<ScopedFinding> {
    let subject = &server.server;
    let plain = server.plain.as_ref().and_then(|reply| reply.as_ref().ok());
    let knows_no_edns = [ResponseCode::FormErr, ResponseCode::NotImp, ResponseCode::BADVERS];
    match &server.udp {
        Err(AskError::CaseChanged) => {
            Some(CASE_CHANGED.found(subject, question, "repeats the question in letters of another case"))
        }
        _ if server.loses_large => {
            Some(LARGE_LOST.found(subject, question, "no answer with signatures arrives; without them there is one"))
        }
        Err(error) => {
            plain?;
            Some(EDNS_DROPPED.found(subject, question, format!("{error}; without EDNS there is an answer")))
        }
        Ok(reply) if knows_no_edns.contains(&reply.rcode()) => {
            plain.filter(|plain| plain.rcode() == ResponseCode::NoError)?;
            let answer = format!("answers {}; without EDNS there is an answer", reply.rcode());
            Some(EDNS_REFUSED.found(subject, question, answer))
        }
        Ok(_) => None,
    }
}
