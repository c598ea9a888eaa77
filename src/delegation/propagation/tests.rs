use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};
use tokio::time::timeout;

use crate::delegation::parent::Nameserver;
use crate::delegation::tests::{nameserver, zone};
use crate::net::dns_client::Detours;
use crate::net::dns_client::tests::Resolver;
use crate::zone::Zones;

use super::evidence::AddressState;
use super::wanted::Rules;
use super::*;

/// The address of the nameserver in the delegation, which leads to a nameserver of the test.
const NS1: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SOON: Duration = Duration::from_millis(600);

fn propagation(client: &DnsClient, limit: Duration) -> Propagation {
    Propagation::new(client, Zones::new(vec![zone()]), Clock::start(None), limit, Arc::default())
}

fn reaching(client: DnsClient, port: u16) -> DnsClient {
    client.with_detours(Detours::from([(NS1, ([127, 0, 0, 1], port).into())]))
}

fn delegation() -> Delegation {
    let name = "ns1.auth.example.org".parse().unwrap();
    Delegation { servers: vec![Nameserver { name, address: NS1 }], unresolved: Vec::new(), is_of_parent: true }
}

fn wanted(values: &[String], rules: Rules) -> Wanted {
    let owner = crate::model::name::Owner { zone: "auth.example.org".parse().unwrap(), label: "shop".parse().unwrap() };
    Wanted::new(&owner, values.to_vec(), rules).unwrap()
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

/// A nameserver on 127.0.0.1 that shows these values over UDP and TCP; without any it refuses.
async fn showing(udp: &[&str], tcp: &[&str]) -> u16 {
    let udp: Vec<String> = udp.iter().map(ToString::to_string).collect();
    let tcp: Vec<String> = tcp.iter().map(ToString::to_string).collect();
    nameserver(move |message| show(message, &udp), move |message| show(message, &tcp)).await
}

async fn evidence_at(port: u16, values: &[String], rules: Rules) -> AddressEvidence {
    let client = reaching(DnsClient::new(&[]), port);
    loop {
        let evidence = propagation(&client, SOON).wait_for(&delegation(), wanted(values, rules)).await;
        let [address] = &evidence.addresses[..] else { panic!("{evidence:?}") };
        // A machine that is busy may take longer than the wait.
        if !address.answer.ends_with("no answer yet") {
            return address.clone();
        }
    }
}

#[tokio::test]
async fn values_must_be_served_over_both_transports_for_a_certificate() {
    let [one, two] = ["1", "2"].map(|digit| digit.repeat(43));
    let values = [one.clone(), two.clone()];
    let both = [&one[..], &two, "other"];
    let found = evidence_at(showing(&both, &both).await, &values, Rules::ReachedFromHere).await;
    assert_eq!((found.state, found.answer.as_str()), (AddressState::Served, "3 TXT records"));
    assert!(found.detour.is_some() && found.rtt.is_some() && found.at.is_some(), "{found:?}");
    for (udp, tcp, expected) in [
        (&both[..], &both[1..], "over TCP: shows 2 TXT records without 111"),
        (&both[..1], &both[..], "over UDP: shows 1 TXT records without 222"),
        (&["lame"][..], &both[..], "over UDP: does not serve the zone"),
        (&[][..], &[][..], "over UDP: answers Query Refused"),
    ] {
        let found = evidence_at(showing(udp, tcp).await, &values, Rules::ReachedFromHere).await;
        assert!(found.state == AddressState::Lacking && found.answer.starts_with(expected), "{found:?}");
        let finding = found.finding(&"shop.auth.example.org".parse().unwrap());
        assert!(finding.is_fault() && finding.to_string().starts_with("ns1.auth.example.org (192.0.2.1)"), "{finding}");
        let found = evidence_at(showing(udp, tcp).await, &values, Rules::EveryAddress).await;
        assert_eq!(found.state == AddressState::Served, udp.len() == 3, "UDP alone decides: {found:?}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_reached_is_left_out_at_once_for_a_certificate_alone() {
    // tcpmux, which no machine serves any more.
    let values = ["1".repeat(43)];
    let client = reaching(DnsClient::new(&[]), 1);
    let propagation = propagation(&client, Duration::from_secs(60));
    let evidence = propagation.wait_for(&delegation(), wanted(&values, Rules::ReachedFromHere)).await;
    assert!(evidence.waited < Duration::from_secs(30), "{evidence:?}");
    let finding = evidence.addresses[0].finding(&"shop.auth.example.org".parse().unwrap());
    assert!(finding.is_unknown() && finding.to_string().contains("cannot be asked from here"), "{finding}");
    let delegation = delegation();
    let wait = propagation.wait_for(&delegation, wanted(&values, Rules::EveryAddress));
    assert!(timeout(SOON, wait).await.is_err(), "it may come up");
}

#[tokio::test]
async fn the_wait_ends_as_soon_as_the_value_is_there() {
    let value = "1".repeat(43);
    let shown = vec![value.clone()];
    let asked = AtomicUsize::new(0);
    let udp = move |message: &mut Message| {
        let is_there = asked.fetch_add(1, Ordering::Relaxed) >= 4;
        show(message, if is_there { &shown } else { &[] });
    };
    let client = reaching(DnsClient::new(&[]), nameserver(udp, |_| {}).await);
    let propagation = propagation(&client, Duration::from_secs(60));
    let evidence = propagation.wait_for(&delegation(), wanted(&[value], Rules::EveryAddress)).await;
    assert!(evidence.is_served(), "{evidence:?}");
}

/// What this process serves itself counts where it listens on the very address, and nowhere else.
#[tokio::test]
async fn an_own_address_that_gives_no_answer_is_asked_in_memory() {
    let value: crate::model::txt::TxtValue = "1".repeat(43).parse().unwrap();
    let zone = zone();
    let expires = crate::model::time::RunningTime::MAX;
    let live = crate::model::txt::LiveValue { txt: value, published: Default::default(), expires };
    zone.live.put("shop", Some(crate::zone::owner_state::OwnerState::One(live)));
    let client = reaching(DnsClient::new(&[]), 1);
    let propagation = Propagation::new(&client, Zones::new(vec![zone]), Clock::start(None), SOON, Arc::default());
    let wanted = || wanted(&[value.to_string()], Rules::EveryAddress);
    assert!(!propagation.wait_for(&delegation(), wanted()).await.is_served());
    propagation.listens_on(&["127.0.0.1:2".parse().unwrap(), "[::]:1".parse().unwrap()]);
    assert!(!propagation.wait_for(&delegation(), wanted()).await.is_served());
    for listener in ["0.0.0.0:1", "127.0.0.1:1"] {
        propagation.listens_on(&[listener.parse().unwrap()]);
        let evidence = propagation.wait_for(&delegation(), wanted()).await;
        assert!(evidence.is_served() && evidence.addresses[0].answer.contains("in memory"), "{evidence:?}");
    }
}

/// The parent zone cannot be asked: each wait would begin with a search that fails slowly.
#[tokio::test]
async fn waiters_share_one_search_for_the_delegation() {
    let resolver = Resolver::start().await;
    resolver.fail();
    let value = "1".repeat(43);
    let port = showing(&[&value], &[]).await;
    let propagation = propagation(&reaching(resolver.client(), port), Duration::from_secs(20));
    let mut waits = JoinSet::new();
    for _ in 0..20 {
        let (propagation, wanted) = (propagation.clone(), wanted(std::slice::from_ref(&value), Rules::EveryAddress));
        waits.spawn(async move {
            let permit = propagation.permit(None).unwrap();
            propagation.wait(&permit, wanted, Duration::MAX).await
        });
    }
    while let Some(evidence) = waits.join_next().await {
        let evidence = evidence.unwrap();
        assert!(evidence.is_served(), "{evidence:?}");
        assert!(evidence.notes[0].contains("the nameservers of the configuration"), "{evidence:?}");
    }
    let asked = resolver.asked();
    assert!(asked > 0 && asked < 20, "{asked} questions for 20 waits");
    assert_eq!(propagation.waiting(), 0);
}
