//! Whether all nameservers serve the same zone, up to date.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use tokio::time::sleep;

use crate::delegation::finding::Assessment;
use crate::delegation::survey::{ServerSurvey, SoaView};
use crate::model::name::Name;
use crate::model::serial::Serial;
use crate::model::text::listed;
use crate::net::dns_client::Protocol;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::super::zones::OwnZone;

/// How many times a secondary that is behind is asked again, and how long it gets each time: a transfer takes a moment.
const RETRIES: u32 = 2;
const PAUSE: Duration = Duration::from_secs(1);

pub static CHECK: Check = Check {
    id: "same-zone",
    group: Group::Delegation,
    title: "One zone everywhere",
    looks_at: "The SOA and NS records at each nameserver of the delegation, compared with those of this server. A secondary gets two \
               seconds to catch up.",
    after: &["delegated", "nameservers", "glue"],
    faults: &[&ANOTHER_ZONE, &BEHIND, &AHEAD, &OTHER_NS],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const ANOTHER_ZONE: Fault = Fault {
    code: "another-zone",
    assessment: Assessment::Fault,
    meaning: "another server has a zone of the same name, so what is published here is not to be found there",
    mend: "remove the nameserver from the parent zone, or make it a secondary of this server",
};

const BEHIND: Fault = Fault {
    code: "secondary-behind",
    assessment: Assessment::Fault,
    meaning: "a CA that asks this nameserver sees older values, and the validation fails",
    mend: "check that the secondary gets NOTIFY from this server and may transfer the zone (AXFR), and look into its log",
};

const AHEAD: Fault = Fault {
    code: "serial-ahead",
    assessment: Assessment::Fault,
    meaning: "the nameserver has a later version than this server: another primary writes the zone, or this server was \
              restored from an old backup",
    mend: "let one server alone write the zone, and transfer it to the others",
};

const OTHER_NS: Fault = Fault {
    code: "apex-ns-differs",
    assessment: Assessment::Warning,
    meaning: "the nameserver serves this version of the zone with NS records of its own, so resolvers learn other \
              nameservers from it than from this server",
    mend: "let the nameserver serve the zone as it is transferred; some DNS providers replace NS records unless told not to",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        for server in &surveyed.survey.servers {
            let Some(soa) = server.soa() else { continue };
            let found = judge(examination, &surveyed.zone, server, soa, findings).await;
            if let Some(found) = found {
                findings.add(found.in_zone(&surveyed.zone.name));
            }
        }
    }
}

async fn judge(
    examination: &Examination,
    zone: &OwnZone,
    server: &ServerSurvey,
    soa: SoaView,
    findings: &mut Findings,
) -> Option<ScopedFinding> {
    let apex = zone.apex();
    let question = format!("SOA of {apex}");
    let subject = &server.server;
    if !zone.is_transferred(&soa) {
        let theirs = format!("its SOA record names {} and {}", soa.mname, soa.rname);
        let answer = format!("{theirs}, and that of this server {} and {}", zone.soa.mname, zone.soa.rname);
        let advice = format!(
            "remove `{apex}. NS {}.` from the parent zone, or correct the address of {}; or make the server at {} a \
             secondary of this one",
            subject.name, subject.name, subject.address
        );
        return Some(ANOTHER_ZONE.found(subject, question, answer).advice(advice));
    }
    let wanted = zone.serial?;
    let mut serial = soa.serial;
    for _ in 0..RETRIES {
        if !wanted.is_after(serial) {
            break;
        }
        sleep(PAUSE).await;
        serial = ask_serial(examination, zone, server).await.unwrap_or(serial);
    }
    let now = current(examination, zone).unwrap_or(wanted);
    if wanted.is_after(serial) {
        return Some(BEHIND.found(subject, question, format!("serial {serial}, and this server has {wanted}")));
    }
    if serial.is_after(now) {
        return Some(AHEAD.found(subject, question, format!("serial {serial}, and this server has {now}")));
    }
    if !server.names.is_empty() && sorted(&server.names) != sorted(&zone.nameservers) {
        let answer = format!("NS {}, and `ns` has {}", listed(&server.names), listed(&zone.nameservers));
        return Some(OTHER_NS.found(subject, format!("NS of {apex}"), answer));
    }
    findings.good(subject, question, format!("serial {serial}, as here"));
    None
}

fn sorted(names: &[Name]) -> Vec<&Name> {
    let mut names: Vec<&Name> = names.iter().collect();
    names.sort_unstable();
    names
}

async fn ask_serial(examination: &Examination, zone: &OwnZone, server: &ServerSurvey) -> Option<Serial> {
    let at = SocketAddr::new(server.server.address, examination.dns_port());
    let reply = examination.dns.ask(at, Protocol::UdpThenTcp, zone.apex(), RecordType::SOA).await.ok()?;
    reply.answers().iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(Serial(soa.serial)),
        _ => None,
    })
}

/// The serial of this server by now: it may have changed since the survey began.
fn current(examination: &Examination, zone: &OwnZone) -> Option<Serial> {
    let publisher = examination.publisher.as_ref()?;
    publisher.zones().load().iter().find(|served| served.name == zone.name).map(crate::zone::Zone::serial)
}
