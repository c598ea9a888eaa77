//! Whether each address of the delegation answers over UDP and over TCP.

use std::io::ErrorKind;
use std::net::IpAddr;

use crate::delegation::finding::Assessment;
use crate::delegation::survey::ServerSurvey;
use crate::net::dns_client::AskError;
use crate::net::interfaces;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};

pub static CHECK: Check = Check {
    id: "reachable",
    group: Group::Delegation,
    title: "UDP and TCP, by the delegation",
    looks_at: "A question over UDP and one over TCP to each IPv4 and IPv6 address of the delegation.",
    after: &["delegated", "glue"],
    faults: &[&UDP_CLOSED, &TCP_CLOSED, &IPV6_DEAD, &DEAD, &FROM_INSIDE, &NO_ROUTE],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const UDP_CLOSED: Fault = Fault {
    code: "udp-closed",
    assessment: Assessment::Fault,
    meaning: "the server answers over TCP alone, and every resolver begins over UDP",
    mend: "open UDP port 53 in the firewalls in front of the server, and let `[dns] listen` have the address",
};

const TCP_CLOSED: Fault = Fault {
    code: "tcp-closed",
    assessment: Assessment::Fault,
    meaning: "answers that fit no datagram cannot be fetched, so validations with several values at a name fail",
    mend: "open TCP port 53 in the firewalls in front of the server",
};

const IPV6_DEAD: Fault = Fault {
    code: "ipv6-dead",
    assessment: Assessment::Fault,
    meaning: "resolvers that prefer IPv6 lose time, and those that have nothing else find nobody",
    mend: "let the server listen on the IPv6 address and open port 53 for it, or remove the AAAA records",
};

const DEAD: Fault = Fault {
    code: "nameserver-dead",
    assessment: Assessment::Fault,
    meaning: "resolvers that ask this nameserver get no answer; some try another one, and some give up",
    mend: "start the server at this address and open UDP and TCP port 53, or remove the nameserver from the parent zone",
};

const FROM_INSIDE: Fault = Fault {
    code: "nameserver-unreachable-from-inside",
    assessment: Assessment::Unknown,
    meaning: "many routers do not pass on what comes from inside to their own public address, so others may well reach it",
    mend: "ask from another network, such as `dig @ADDRESS ZONE SOA` and the same with `+tcp`; if that fails as well, \
           forward UDP and TCP port 53 to this machine",
};

const NO_ROUTE: Fault = Fault {
    code: "no-route",
    assessment: Assessment::Unknown,
    meaning: "this machine has no route to any address of the delegation, so others may well reach it",
    mend: "ask from a machine that has a route, such as `dig @ADDRESS ZONE SOA`",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    for surveyed in examination.surveyed_zones().await {
        let servers = &surveyed.survey.servers;
        for server in servers {
            let question = question(server, surveyed.zone.apex());
            if is_without_route(server) && !servers.iter().all(is_without_route) {
                // Others can tell about the zone. A machine without IPv6 is not a fault of the set-up.
                findings.good(&server.server, question, "not asked: this machine has no route to the address");
                continue;
            }
            match judge(server, surveyed.zone.apex()) {
                None => findings.good(&server.server, question, "answers over UDP and TCP"),
                Some(found) => findings.add(found.in_zone(&surveyed.zone.name)),
            }
        }
    }
}

fn question(server: &ServerSurvey, apex: &crate::model::name::Name) -> String {
    format!("SOA of {apex} at {} over UDP and TCP", server.server.address)
}

fn judge(server: &ServerSurvey, apex: &crate::model::name::Name) -> Option<ScopedFinding> {
    let question = question(server, apex);
    let subject = &server.server;
    let address = subject.address;
    let port = |transport: &str| format!("open {transport} port 53 of {address} in every firewall in front of it");
    match (udp_error(server), server.tcp.as_ref().err()) {
        (None, None) => None,
        (Some(error), None) => Some(
            UDP_CLOSED
                .found(subject, question, format!("over UDP: {error}"))
                .advice(format!("{}, and let `[dns] listen` have the address", port("UDP"))),
        ),
        (None, Some(error)) => {
            Some(TCP_CLOSED.found(subject, question, format!("over TCP: {error}")).advice(port("TCP")))
        }
        (Some(udp), Some(tcp)) => {
            let answer = if udp.to_string() == tcp.to_string() {
                udp.to_string()
            } else {
                format!("over UDP: {udp}; over TCP: {tcp}")
            };
            let fault = silent(server, udp);
            let found = fault.found(subject, question, answer);
            Some(match fault.code {
                code if code == IPV6_DEAD.code => found.advice(format!(
                    "let the server listen on {address} and open port 53 for it, or remove the AAAA record of {} from the \
                     zone and from its parent",
                    subject.name
                )),
                _ => found,
            })
        }
    }
}

/// Why nothing has come over UDP; `None` if anything has, even what a strict resolver refuses.
fn udp_error(server: &ServerSurvey) -> Option<&AskError> {
    let plain_answers = server.plain.as_ref().is_some_and(Result::is_ok);
    server.udp.as_ref().err().filter(|error| !matches!(error, AskError::CaseChanged) && !plain_answers)
}

fn silent(server: &ServerSurvey, error: &AskError) -> &'static Fault {
    let address = server.server.address;
    // A closed port is an answer of the machine at this address.
    let may_be_own_router = matches!(error, AskError::TimedOut(_))
        && interfaces::is_public(&address)
        && !interfaces::public().iter().any(|own| own.is_ipv4() == address.is_ipv4());
    match address {
        _ if is_without_route(server) => &NO_ROUTE,
        _ if may_be_own_router => &FROM_INSIDE,
        IpAddr::V6(_) => &IPV6_DEAD,
        IpAddr::V4(_) => &DEAD,
    }
}

fn is_without_route(server: &ServerSurvey) -> bool {
    let kinds = [ErrorKind::NetworkUnreachable, ErrorKind::AddrNotAvailable, ErrorKind::Unsupported];
    matches!(&server.udp, Err(AskError::Network(cause)) if kinds.contains(&cause.kind()))
}
