use std::net::Ipv4Addr;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, NS};
use hickory_proto::rr::{RData, Record};

use crate::delegation::tests::nameserver;
use crate::net::dns_client::tests::Resolver;

use super::*;

/// What a parent's server on this port says of the zone `auth.example.org`.
async fn referred(port: u16) -> Result<Referral, Box<Finding>> {
    let server = Nameserver { name: "ns.example.org".parse().unwrap(), address: Ipv4Addr::LOCALHOST.into() };
    let parent = ParentZone { apex: "example.org".parse().unwrap(), servers: vec![server] };
    parent.referral(&"auth.example.org".parse().unwrap(), &DnsClient::new(&[]), port).await
}

fn refer(message: &mut Message) {
    let (apex, ns) = (message.queries[0].name().clone(), hickory_proto::rr::Name::from_ascii("ns1.test.").unwrap());
    message.authorities.push(Record::from_rdata(apex, 1, RData::NS(NS(ns))));
}

fn truncate(message: &mut Message) {
    (message.metadata.truncation, message.metadata.authoritative) = (true, true);
}

fn deny(message: &mut Message) {
    message.metadata.authoritative = true;
}

/// As a server does that limits its rate: it has an empty answer with TC for every other datagram.
#[tokio::test]
async fn a_truncated_answer_of_the_parent_does_not_say_that_there_is_no_delegation() {
    let referral = referred(nameserver(truncate, refer).await).await.unwrap();
    assert_eq!(referral.names, ["ns1.test".parse().unwrap()]);
    let denied = referred(nameserver(truncate, deny).await).await.unwrap_err();
    assert!(denied.is_fault() && denied.to_string().contains("does not delegate auth.example.org"), "{denied}");
}

#[tokio::test]
async fn only_an_authority_says_that_there_is_no_delegation() {
    let unknown = referred(nameserver(|_| (), |_| ()).await).await.unwrap_err();
    assert!(unknown.is_unknown() && unknown.answer.contains("is not authoritative for example.org"), "{unknown}");
    let failing = |message: &mut Message| message.metadata.response_code = ResponseCode::ServFail;
    let unknown = referred(nameserver(failing, failing).await).await.unwrap_err();
    assert!(unknown.is_unknown() && unknown.answer.contains("answers Server Failure"), "{unknown}");
    assert!(referred(nameserver(deny, |_| ()).await).await.unwrap_err().is_fault());
}

#[tokio::test]
async fn the_parent_is_the_nearest_zone_above() {
    let resolver = Resolver::start().await;
    let name = |text: &str| hickory_proto::rr::Name::from_ascii(text).unwrap();
    resolver.tell("deep.example.org.", &[]);
    resolver
        .tell("example.org.", &[RData::NS(NS(name("ns.example.org."))), RData::NS(NS(name("broken.example.org.")))]);
    resolver.tell("ns.example.org.", &[RData::A(A::new(192, 0, 2, 9))]);
    let apex: Name = "auth.deep.example.org".parse().unwrap();
    let parent = ParentZone::find(&apex, &resolver.client()).await.unwrap();
    assert_eq!((parent.apex.to_string(), parent.servers.len()), ("example.org".to_owned(), 1));
}

#[tokio::test]
async fn a_parent_whose_nameservers_cannot_be_looked_up_is_unknown() {
    let resolver = Resolver::start().await;
    let broken = hickory_proto::rr::Name::from_ascii("broken.example.org.").unwrap();
    resolver.tell("example.org.", &[RData::NS(NS(broken))]);
    let apex: Name = "auth.example.org".parse().unwrap();
    let finding = ParentZone::find(&apex, &resolver.client()).await.unwrap_err();
    assert!(finding.is_unknown() && finding.answer.contains("could not look up A of broken.example.org"), "{finding}");
}
