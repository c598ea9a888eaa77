use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::{NS, TXT};
use hickory_proto::rr::{RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::model::name::OwnerLabel;

use super::*;

/// A nameserver on 127.0.0.1 that shows these values over UDP and TCP; none: it refuses.
async fn nameserver(udp: &[&str], tcp: &[&str]) -> u16 {
    let showing = |values: &[&str]| {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        move |message: &mut Message| show(message, &values)
    };
    answering(showing(udp), showing(tcp)).await
}

/// A nameserver on 127.0.0.1 that fills in its answers like this.
async fn answering(
    udp: impl Fn(&mut Message) + Send + 'static,
    tcp: impl Fn(&mut Message) + Send + Sync + 'static,
) -> u16 {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut bytes).await {
            _ = socket.send_to(&reply(&bytes[..length], &udp), peer).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            let reply = reply(&query, &tcp);
            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    port
}

fn reply(query: &[u8], fill: impl Fn(&mut Message)) -> Vec<u8> {
    let mut message = Message::from_vec(query).unwrap();
    message.metadata.message_type = MessageType::Response;
    fill(&mut message);
    message.to_vec().unwrap()
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

fn owner() -> Owner {
    Owner { zone: "auth.example.org".parse::<ZoneName>().unwrap(), label: OwnerLabel::Challenge }
}

fn of(port: u16) -> Delegation {
    let name = "ns1.auth.example.org".parse().unwrap();
    Delegation { servers: vec![Server { name, address: [127, 0, 0, 1].into() }], port }
}

#[tokio::test]
async fn values_must_be_shown_over_both_transports() {
    let (one, two) = ("1".repeat(43), "2".repeat(43));
    let values = [one.clone(), two.clone()];
    let both = [&one[..], &two, "other"];
    let mut right = of(nameserver(&both, &both).await);
    assert!(right.shows(&DnsClient::new(&[]), &owner(), &values).await.is_ok());
    assert_eq!(right.servers.len(), 1, "it is asked again for the next name");
    for (udp, tcp, found) in [
        (&both[..], &both[1..], "over TCP shows 2 TXT records without 111"),
        (&both[..1], &both[..], "over UDP shows 1 TXT records without 222"),
        (&["lame"][..], &both[..], "over UDP does not serve the zone"),
        (&[][..], &[][..], "over UDP answers Query Refused: it is not this server"),
    ] {
        let wrong = of(nameserver(udp, tcp).await).shows(&DnsClient::new(&[]), &owner(), &values).await.unwrap_err();
        let said = wrong.explained();
        assert!(said.contains(found) && said.contains("ns1.auth.example.org (127.0.0.1)"), "{said}");
        assert!(said.contains("compare the delegation"), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_left_out_and_does_not_stop_the_order() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut delegation = of(closed);
    assert!(delegation.shows(&DnsClient::new(&[]), &owner(), &["1".repeat(43)]).await.is_ok());
    assert_eq!(delegation.servers, []);
}

/// What a parent's server on this port says of the zone `auth.example.org`.
async fn referred(port: u16) -> Result<std::result::Result<Named, String>> {
    let server = Server { name: "ns.example.org".parse().unwrap(), address: [127, 0, 0, 1].into() };
    referral(
        &DnsClient::new(&[]),
        &"auth.example.org".parse().unwrap(),
        &"example.org".parse().unwrap(),
        &[server],
        port,
    )
    .await
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
    let (named, _) = referred(answering(truncate, refer).await).await.unwrap().unwrap();
    assert_eq!(named, ["ns1.test".parse().unwrap()]);
    let denied = referred(answering(truncate, deny).await).await.unwrap_err();
    assert!(denied.explained().contains("does not delegate auth.example.org"), "{}", denied.explained());
}

#[tokio::test]
async fn only_an_authority_says_that_there_is_no_delegation() {
    let reason = referred(answering(|_| (), |_| ()).await).await.unwrap().unwrap_err();
    assert!(reason.contains("is no authority for example.org"), "{reason}");
    assert!(referred(answering(deny, |_| ()).await).await.is_err());
}
