//! A nameserver and a zone for the tests of the checks.

use std::sync::Arc;

use hickory_proto::op::{Message, MessageType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::model::serial::Serial;
use crate::zone::Zone;
use crate::zone::live::Live;
use crate::zone::owner_state::OwnerState;
use crate::zone::soa::Soa;
use crate::zone::zonefile::StaticRecords;

/// The zone `auth.example.org` with an owner `shop` and a disabled one, `off`.
pub fn zone() -> Zone {
    zone_named("auth.example.org", "ns1 A 192.0.2.1")
}

/// A zone with these records.
pub fn zone_named(apex: &str, zonefile: &str) -> Zone {
    let name = apex.parse().unwrap();
    let nameserver = "ns1.auth.example.org".parse().unwrap();
    let statics = StaticRecords::parse(&name, &[nameserver], zonefile).unwrap();
    let soa = Soa {
        mname: "ns1.auth.example.org".parse().unwrap(),
        rname: "hostmaster.example.org".parse().unwrap(),
        refresh: 1,
        retry: 2,
        expire: 3,
        negative_ttl: 30,
    };
    let live = Live::new(Serial(1));
    live.put("shop", Some(OwnerState::Empty));
    live.put("off", Some(OwnerState::Disabled));
    Zone { name, soa, txt_ttl: 1, statics, live: Arc::new(live), dnssec: None, signing: None }
}

/// A nameserver on 127.0.0.1 that fills in its answers like this.
pub async fn nameserver(
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
