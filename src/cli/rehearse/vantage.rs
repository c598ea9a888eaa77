//! Vantage points of a CA: each walks from the root to the values, from an address of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use ipnet::IpNet;
use tokio::task::JoinSet;

use crate::delegation::walk::{Found, Signatures, Step, StepOutcome, Walk, Walker};
use crate::model::name::Name;
use crate::model::txt::TxtValue;
use crate::net::dns_client::{DnsClient, Protocol};

use super::internet::Internet;
use super::listener::DnsListener;
use super::report::{StepReport, TcpReport, VantagePoint, VantageReport};
use super::served::contain;

/// How many vantage points there are: the most that a public CA has told of.
const VANTAGES: u8 = 6;
/// The second byte of the first one's address: 127.101.0.1.
const FIRST: u8 = 101;

/// The addresses of a vantage point. Each has a network of its own, as far as the loopback has several.
fn sources(vantage: u8) -> [IpAddr; 2] {
    [Ipv4Addr::new(127, FIRST + vantage, 0, 1).into(), Ipv6Addr::LOCALHOST.into()]
}

/// Walks to the values of a name from all vantage points at once; from a single one if there are no values, because the
/// daemon takes several for a validation that nothing explains, and raises an alarm.
pub async fn walks(client: &DnsClient, internet: &Internet, name: &Name, values: &[TxtValue]) -> Vec<VantageReport> {
    let walker = Walker::new(client.clone(), vec![internet.root.clone()], internet.routes.clone());
    let mut walks = JoinSet::new();
    let count = if values.is_empty() { 1 } else { VANTAGES };
    for vantage in 0..count {
        let (name, values) = (name.clone(), values.to_vec());
        let walker = walker.clone().from_sources(&sources(vantage)).starting_at(vantage.into());
        walks.spawn(async move { (vantage, report(vantage, &walker.walk(&name, RecordType::TXT).await, &values)) });
    }
    let mut reports = walks.join_all().await;
    reports.sort_by_key(|(vantage, _)| *vantage);
    reports.into_iter().map(|(_, report)| report).collect()
}

fn report(vantage: u8, walk: &Walk, values: &[TxtValue]) -> VantageReport {
    let signatures = walk.end.as_ref().ok().map(|found| &found.signatures);
    VantageReport {
        point: VantagePoint { number: vantage + 1, sources: sources(vantage).map(|source| source.to_string()).into() },
        problem: match &walk.end {
            Ok(found) => problem(found, values),
            Err(error) => Some(error.to_string()),
        },
        signed: signatures == Some(&Signatures::Valid),
        steps: walk.steps.iter().map(step_report).collect(),
    }
}

/// Why a CA would not take the answer.
fn problem(found: &Found, values: &[TxtValue]) -> Option<String> {
    let server = &found.server;
    if let Signatures::Invalid(problem) = &found.signatures {
        return Some(format!("a validating resolver answers SERVFAIL: {problem}"));
    }
    if found.reply.rcode() == ResponseCode::NXDomain {
        return Some(format!("{} does not exist, says {server} of {}", found.name, found.zone));
    }
    let seen = found.reply.txt_values();
    let missing = values.iter().filter(|value| !seen.iter().any(|seen| seen == value.as_bytes())).count();
    (missing > 0).then(|| format!("{server} has {} of the {} values", values.len() - missing, values.len()))
}

fn step_report(step: &Step) -> StepReport {
    StepReport {
        zone: step.zone.to_string(),
        server: step.server.to_string(),
        sent: step.sent.trim_end_matches('.').to_owned(),
        rtype: step.rtype.to_string(),
        protocol: step.protocol.to_string(),
        microseconds: u64::try_from(step.elapsed.as_micros()).unwrap_or(u64::MAX),
        answer: answer(&step.outcome),
        glue: glue(&step.outcome),
        sound: !matches!(step.outcome, StepOutcome::Fault(_)),
    }
}

fn answer(outcome: &StepOutcome) -> String {
    match outcome {
        StepOutcome::Referral(referred) => {
            let signed = if referred.ds.is_empty() { "" } else { ", signed" };
            format!("see {}{signed}", referred.zone)
        }
        other => other.to_string(),
    }
}

fn glue(outcome: &StepOutcome) -> Vec<String> {
    match outcome {
        StepOutcome::Referral(referred) => referred.glue.iter().map(|server| server.address.to_string()).collect(),
        _ => Vec::new(),
    }
}

/// The addresses of a vantage point that is none of `proxies`, whose connections must begin with a header that resolvers do
/// not send. `None` if the whole loopback is a proxy.
pub fn direct_sources(proxies: &[IpNet]) -> Option<[IpAddr; 2]> {
    let is_direct = |vantage: &u8| sources(*vantage).iter().all(|source| !contain(proxies, *source));
    (0..VANTAGES).find(is_direct).map(sources)
}

/// Asks each listener for the values over TCP, to which resolvers turn where a reply is long.
pub async fn over_tcp(
    client: &DnsClient,
    listeners: &[DnsListener],
    proxies: &[IpNet],
    name: &Name,
    values: &[TxtValue],
) -> Vec<TcpReport> {
    let Some(source) = direct_sources(proxies) else { return Vec::new() };
    let mut reports = Vec::new();
    for listener in listeners {
        let asked = client.ask_strictly(&source, listener.socket, Protocol::Tcp, name, RecordType::TXT).await;
        let problem = match asked.reply {
            Err(error) => Some(error.to_string()),
            Ok(reply) => {
                let seen = reply.txt_values();
                let has_all = values.iter().all(|value| seen.iter().any(|seen| seen == value.as_bytes()));
                (!has_all).then(|| format!("the answer ({}) lacks values", reply.rcode()))
            }
        };
        reports.push(TcpReport { listener: listener.configured.to_string(), problem });
    }
    reports
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use crate::cli::rehearse::plan::Plan;
    use crate::config::Config;
    use crate::config::keys::SHIPPED;

    use super::*;

    #[tokio::test]
    async fn a_listener_that_speaks_only_tcp_fails_at_each_vantage_point() {
        let config = Config::parse(Path::new("config.toml"), SHIPPED).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [DnsListener { configured: config.dns.listen[0], socket: listener.local_addr().unwrap() }];
        let plan = Plan::of(&config, &[], &listeners).unwrap();
        let placed = [(&plan.targets[0], "label.auth.example.org".parse().unwrap())];
        let internet = Internet::start(&plan, &listeners, &placed, &[]).await.unwrap();
        let client = DnsClient::new(&[]);
        let challenge = "_acme-challenge.example.com".parse().unwrap();
        let reports = walks(&client, &internet, &challenge, &["x".repeat(43).parse().unwrap()]).await;
        assert_eq!(reports.len(), usize::from(VANTAGES));
        for report in &reports {
            let problem = report.problem.as_deref().unwrap_or_default();
            assert!(problem.contains("no nameserver of auth.example.org gives a usable answer"), "{problem}");
            let steps: Vec<bool> = report.steps.iter().map(|step| step.sound).collect();
            assert_eq!(steps, [true, true, true, true, true, true, false]);
        }
    }
}
