use hickory_proto::op::Message;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};

use crate::delegation::tests::{nameserver, zone, zone_named};
use crate::net::dns_client::tests::Resolver;

use super::*;

/// A nameserver on 127.0.0.1 that shows these values over UDP and TCP; without any it refuses.
async fn showing(udp: &[&str], tcp: &[&str]) -> u16 {
    let udp: Vec<String> = udp.iter().map(ToString::to_string).collect();
    let tcp: Vec<String> = tcp.iter().map(ToString::to_string).collect();
    nameserver(move |message| show(message, &udp), move |message| show(message, &tcp)).await
}

fn is_good(finding: &Finding) -> bool {
    finding.assessment == Assessment::Good
}

fn show(message: &mut Message, values: &[String]) {
    message.metadata.authoritative = values.first().is_none_or(|value| value != "lame");
    if values.is_empty() {
        message.metadata.response_code = ResponseCode::Refused;
    }
    let name = message.queries[0].name().clone();
    for value in values {
        message.add_answer(Record::from_rdata(name.clone(), 1, RData::TXT(TXT::new(vec![value.clone()]))));
    }
}

fn challenge() -> Name {
    "_acme-challenge.auth.example.org".parse().unwrap()
}

fn delegation(port: u16) -> Delegation {
    let name = "ns1.auth.example.org".parse().unwrap();
    Delegation { servers: vec![Nameserver { name, address: [127, 0, 0, 1].into() }], port }
}

#[tokio::test]
async fn values_must_be_shown_over_both_transports() {
    let one = "1".repeat(43);
    let two = "2".repeat(43);
    let values = [one.clone(), two.clone()];
    let both = [&one[..], &two, "other"];
    let client = DnsClient::new(&[]);
    let mut right = delegation(showing(&both, &both).await);
    let findings = right.check_values(&client, &challenge(), &values).await;
    assert!(findings.len() == 2 && findings.iter().all(is_good), "{findings:?}");
    assert_eq!(right.servers.len(), 1, "it is asked again for the next name");
    for (udp, tcp, at, found) in [
        (&both[..], &both[1..], 1, "over TCP: shows 2 TXT records without 111"),
        (&both[..1], &both[..], 0, "over UDP: shows 1 TXT records without 222"),
        (&["lame"][..], &both[..], 0, "over UDP: does not serve the zone"),
        (&[][..], &[][..], 0, "over UDP: answers Query Refused: it is not this server"),
    ] {
        let mut wrong = delegation(showing(udp, tcp).await);
        let findings = wrong.check_values(&client, &challenge(), &values).await;
        let said = findings[at].to_string();
        assert!(findings[at].is_fault() && said.starts_with("ns1.auth.example.org (127.0.0.1) "), "{said}");
        assert!(said.contains(found) && said.contains("compare the delegation"), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unknown_and_left_out() {
    // tcpmux, which no machine serves any more.
    let mut delegation = delegation(1);
    let findings = delegation.check_values(&DnsClient::new(&[]), &challenge(), &["1".repeat(43)]).await;
    assert!(findings.len() == 2 && findings.iter().all(Finding::is_unknown), "{findings:?}");
    assert!(findings[0].to_string().contains("cannot be asked over UDP from here"), "{findings:?}");
    assert_eq!(delegation.servers, []);
}

/// A resolver that fails shows neither that there is no delegation nor that a nameserver has no address.
#[tokio::test]
async fn a_delegation_that_cannot_be_looked_up_is_unknown_and_not_missing() {
    let resolver = Resolver::start().await;
    resolver.fail();
    let (delegation, findings) = Delegation::find(&zone(), &resolver.client()).await;
    let servers = delegation.unwrap().servers;
    assert!(servers.len() == 1 && servers[0].to_string() == "ns1.auth.example.org (192.0.2.1)", "{servers:?}");
    assert!(findings.len() == 1 && findings[0].is_unknown(), "{findings:?}");
    assert!(findings[0].to_string().contains("could not look up NS of example.org"), "{findings:?}");

    let outside = zone_named("auth.example.net", "");
    let (delegation, findings) = Delegation::find(&outside, &resolver.client()).await;
    assert_eq!(delegation.unwrap().servers, []);
    assert!(findings.len() == 2 && findings.iter().all(Finding::is_unknown), "{findings:?}");
    assert!(findings[1].to_string().contains("could not look up A of ns1.auth.example.org"), "{findings:?}");
}

#[test]
fn nameservers_that_only_one_side_has_are_warnings() {
    let apex: Name = "auth.example.org".parse().unwrap();
    let [one, two] = ["ns1.example.org", "ns2.example.org"].map(|name| name.parse::<Name>().unwrap());
    let findings = differences(&apex, &[one.clone(), two.clone()], std::slice::from_ref(&one));
    assert!(
        findings.len() == 1 && findings[0].answer.contains("names the nameserver ns2.example.org, which is not in")
    );
    let findings = differences(&apex, std::slice::from_ref(&one), &[one.clone(), two]);
    assert!(findings.len() == 1 && findings[0].answer.contains("does not name the nameserver ns2.example.org"));
    assert_eq!(findings[0].assessment, Assessment::Warning);
}
