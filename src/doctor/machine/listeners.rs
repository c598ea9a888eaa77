//! Whether the daemon answers at each of its addresses, asked from inside.

use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use crate::delegation::finding::Assessment;
use crate::delegation::roots::Roots;
use crate::model::name::Name;
use crate::net::dns_client::{AskError, DnsClient, DnsReply, Protocol};
use crate::net::interfaces;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// The most addresses of the machine that are asked for one listener on all of them.
const MAX_ADDRESSES: usize = 8;

pub static CHECK: Check = Check {
    id: "listeners",
    group: Group::Machine,
    title: "DNS listeners",
    looks_at: "Whether the daemon answers for its first zone over UDP and TCP, IPv4 and IPv6, at each address that it \
               listens on; asked from this machine, which no firewall or NAT before it can hinder.",
    after: &["daemon"],
    faults: &[&SILENT, &WRONG, &LOOPBACK],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const SILENT: Fault = Fault {
    code: "listener-silent",
    assessment: Assessment::Fault,
    meaning: "the daemon gives no answer at an address that it listens on; CAs get none there either",
    mend: "look for rules of this machine's own firewall, as `nft list ruleset` shows them, and for warnings in the log",
};

const WRONG: Fault = Fault {
    code: "listener-wrong",
    assessment: Assessment::Fault,
    meaning: "another program answers there, or the daemon does not have the zone",
    mend: "find who listens: `ss -lnup` and `ss -lntp`; then stop the other program, or name addresses of the daemon's \
           own in `dns.listen`",
};

const LOOPBACK: Fault = Fault {
    code: "listens-on-loopback",
    assessment: Assessment::Warning,
    meaning: "only this machine reaches the daemon, unless a proxy passes queries on to it",
    mend: "write `listen = [\"0.0.0.0:53\", \"[::]:53\"]` to [dns], and restart the daemon",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let Some(daemon) = &examination.daemon else { return };
    let Some(zone) = examination.config.zones.first() else { return };
    let is_public = examination.roots == Roots::default();
    if is_public && daemon.dns.iter().all(|address| address.ip().is_loopback()) {
        let shown: Vec<String> = daemon.dns.iter().map(ToString::to_string).collect();
        findings.add(LOOPBACK.found("dns.listen", "the addresses of DNS", shown.join(", ")));
    }
    let mut asking = JoinSet::new();
    let addresses: Vec<SocketAddr> = daemon.dns.iter().flat_map(|&address| reachable(address)).collect();
    // A connection from a proxy's network has to begin with a header, which this one has not.
    let is_proxied = !examination.config.dns.proxies.is_empty();
    let protocols = [Some(Protocol::Udp), (!is_proxied).then_some(Protocol::Tcp)];
    let questions = addresses.iter().flat_map(|&address| protocols.into_iter().flatten().map(move |by| (address, by)));
    for (index, (address, protocol)) in questions.enumerate() {
        let (client, apex) = (examination.dns.clone(), zone.name.apex().clone());
        asking.spawn(async move { (index, address, protocol, ask(&client, address, protocol, &apex).await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(index, ..)| *index);
    for (_, address, protocol, answer) in answers {
        judge(address, protocol, zone.name.apex(), answer, findings);
    }
}

async fn ask(client: &DnsClient, address: SocketAddr, protocol: Protocol, apex: &Name) -> Result<DnsReply, AskError> {
    client.ask(address, protocol, apex, RecordType::SOA).await
}

fn judge(
    address: SocketAddr,
    protocol: Protocol,
    apex: &Name,
    answer: Result<DnsReply, AskError>,
    findings: &mut Findings,
) {
    let subject = format!("{address} over {protocol}");
    let question = format!("SOA of {apex} at {subject}");
    match answer {
        Ok(reply) if reply.is_truncated() || (reply.is_authoritative() && reply.rcode() == ResponseCode::NoError) => {
            findings.good(subject, question, "the daemon answers");
        }
        Ok(reply) => {
            let answer = format!("answers {}, and not as an authority for {apex}", reply.rcode());
            findings.add(WRONG.found(subject, question, answer));
        }
        // Other questions of this examination fill the queue, which says nothing about the listener.
        Err(AskError::Busy) => {}
        Err(error) => findings.add(SILENT.found(subject, question, error)),
    }
}

/// The addresses at which a listener can be asked: those of the machine for one on all addresses.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let loopback = interfaces::reachable(address).ip();
    let own = interfaces::all().into_iter().map(|(ip, _)| ip);
    let others = own.filter(|ip| ip.is_ipv4() == address.is_ipv4() && !ip.is_loopback());
    let all = std::iter::once(loopback).chain(others).take(MAX_ADDRESSES);
    all.map(|ip| SocketAddr::new(ip, address.port())).collect()
}
