//! Transfers within the process: names, limits, and clients that read slowly.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::time::timeout;

use super::fixture::value;
use super::*;
use crate::config::Config;
use crate::dns::tcp::ConnectionHandler;
use crate::dns::transfer_question::serial_of;
use crate::model::prefix::Prefix;
use crate::model::serial::Serial;
use crate::model::wire::Walk;
use crate::net::connections::Connections;
use crate::replication::Transfers;

const AXFR: u16 = 252;
const IXFR: u16 = 251;
/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn transfers(zones: &Zones) -> Transfers {
    let text = format!(
        "[[zone]]\nname = \"{APEX}\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n\
         [[secondary]]\nname = \"ns2\"\nnetworks = [\"127.0.0.1/32\"]\n"
    );
    Transfers::new(zones.clone(), &Config::parse(Path::new("c.toml"), &text).unwrap())
}

fn responder_for(zones: &Zones) -> Responder {
    responder_of(zones.clone()).with_transfers(transfers(zones))
}

/// A connection to a responder; the buffer between them holds `room` bytes.
fn connect(responder: Responder, room: usize) -> (DuplexStream, watch::Sender<bool>) {
    connect_for(responder, room, PATIENCE)
}

/// The same; the client may take so long for each message.
fn connect_for(responder: Responder, room: usize, transfer: Duration) -> (DuplexStream, watch::Sender<bool>) {
    let (client, server) = duplex(room);
    let (sender, shutdown) = watch::channel(false);
    let mut handler = ConnectionHandler::new(responder, shutdown);
    handler.timeouts.transfer = transfer;
    tokio::spawn(async move {
        let permit = Connections::new(4, 4).admit(Prefix::of(std::net::Ipv4Addr::LOCALHOST.into()));
        handler.serve(server, source(Transport::Tcp), &permit).await;
    });
    (client, sender)
}

async fn receive(stream: &mut DuplexStream) -> Message {
    let read = async {
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        Message::from_vec(&message).unwrap()
    };
    timeout(PATIENCE, read).await.expect("a message")
}

/// The TXT records up to the second SOA record, with how often each name is there.
async fn rest(stream: &mut DuplexStream, mut messages: Vec<Message>) -> BTreeMap<String, Vec<String>> {
    let soas = |messages: &[Message]| {
        messages
            .iter()
            .flat_map(|message| &message.answers)
            .filter(|found| found.record_type() == RecordType::SOA)
            .count()
    };
    while soas(&messages) < 2 {
        messages.push(receive(stream).await);
    }
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for record in messages.iter().flat_map(|message| &message.answers) {
        if let RData::TXT(txt) = &record.data {
            found.entry(record.name.to_string()).or_default().push(txt.to_string());
        }
    }
    found
}

async fn ask(stream: &mut DuplexStream, message: &[u8]) {
    stream.write_u16(message.len() as u16).await.unwrap();
    stream.write_all(message).await.unwrap();
}

#[tokio::test]
async fn names_are_whole_and_configured_records_stand_before_live_ones() {
    let zone = zone();
    zone.live.put("_ujmmovf2vn55tgye", Some(OwnerState::of(&[value('l', true)])));
    zone.live.put("0f8fad5b-d9cb-469f-a165-70867728950e", Some(OwnerState::of(&[value('u', true)])));
    // The name is in the fixture's configuration.
    zone.live.put("ns1", Some(OwnerState::of(&[value('h', true)])));
    let zones = Zones::new(vec![zone]);
    let (mut stream, _shutdown) = connect(responder_for(&zones), 1 << 16);
    ask(&mut stream, &query(APEX, AXFR)).await;
    let found = rest(&mut stream, Vec::new()).await;
    for name in ["_ujmmovf2vn55tgye._acme-challenge", "0f8fad5b-d9cb-469f-a165-70867728950e", "shop", "persist"] {
        assert!(found.contains_key(&format!("{name}.{APEX}.")), "{name}: {found:?}");
    }
    for name in ["ns1", "empty", "off", "over", "_ujmmovf2vn55tgye"] {
        assert!(!found.contains_key(&format!("{name}.{APEX}.")), "{name}: {found:?}");
    }
    assert_eq!(found[&format!("many.{APEX}.")].len(), 52);
}

/// A zone with so many names, of one value each.
fn large(names: usize) -> Zones {
    let zone = zone();
    for number in 0..names {
        zone.live.put(&format!("name-{number}"), Some(OwnerState::of(&[value('b', true)])));
    }
    Zones::new(vec![zone])
}

#[tokio::test]
async fn a_slow_client_gets_one_serial_and_holds_up_no_update() {
    let zones = large(20_000);
    let responder = responder_for(&zones);
    let (mut stream, _shutdown) = connect(responder.clone(), 1 << 10);
    ask(&mut stream, &query(APEX, AXFR)).await;
    let first = receive(&mut stream).await;
    let RData::SOA(soa) = &first.answers[0].data else { panic!("a SOA record first") };
    let serial = soa.serial;
    {
        let zones = zones.load();
        for number in 0..20_000_u32 {
            let after = if number % 2 == 0 { None } else { Some(OwnerState::of(&[value('a', true)])) };
            zones[0].live.apply([(format!("name-{number}").as_str(), after)], Serial(serial + 1 + number));
        }
        assert_eq!(zones[0].serial(), Serial(serial + 20_000));
    }
    let found = rest(&mut stream, vec![first]).await;
    let names = found.iter().filter(|(name, _)| name.starts_with("name-"));
    assert_eq!(names.clone().count(), 20_000);
    let before = value('b', true).txt.to_string();
    assert!(names.into_iter().all(|(_, texts)| *texts == [before.clone()]), "values of another serial");
    // The connection goes on, and from here differences lead to the present.
    ask(&mut stream, &ixfr(serial)).await;
    let mut records = 0;
    while records < 20_000 * 3 {
        records += receive(&mut stream).await.answers.len();
    }
}

fn ixfr(serial: u32) -> Vec<u8> {
    let mut message = query(APEX, IXFR);
    message[9] = 1;
    message.extend_from_slice(name(APEX).as_wire());
    message.extend_from_slice(&[0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    message.extend_from_slice(&serial.to_be_bytes());
    message.extend_from_slice(&[0; 16]);
    message
}

#[test]
fn the_serial_of_an_ixfr_belongs_to_its_zone() {
    let message = ixfr(77);
    let mut walk = Walk::behind_header(&message);
    walk.skip_name().unwrap();
    walk.take(4).unwrap();
    assert_eq!(serial_of(&mut walk.clone(), name(APEX).as_ref()), Some(Serial(77)));
    assert_eq!(serial_of(&mut walk, name("other.test").as_ref()), None);
}

#[tokio::test]
async fn no_more_than_ten_transfers_run_at_a_time() {
    let zones = large(20_000);
    let responder = responder_for(&zones);
    let mut open = Vec::new();
    for _ in 0..10 {
        let (mut stream, shutdown) = connect(responder.clone(), 1 << 10);
        ask(&mut stream, &query(APEX, AXFR)).await;
        assert_eq!(receive(&mut stream).await.metadata.response_code, ResponseCode::NoError);
        open.push((stream, shutdown));
    }
    let (mut stream, _shutdown) = connect(responder, 1 << 16);
    ask(&mut stream, &query(APEX, AXFR)).await;
    assert_eq!(receive(&mut stream).await.metadata.response_code, ResponseCode::ServFail);
    // One that ends makes room.
    drop(open.pop());
    let admitted = async {
        loop {
            ask(&mut stream, &query(APEX, AXFR)).await;
            if receive(&mut stream).await.metadata.response_code == ResponseCode::NoError {
                return;
            }
        }
    };
    timeout(PATIENCE, admitted).await.expect("room");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left() {
    let zones = large(20_000);
    let (mut stream, _shutdown) = connect_for(responder_for(&zones), 1 << 10, Duration::from_millis(300));
    ask(&mut stream, &query(APEX, AXFR)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert!(received.len() < 1 << 16, "{}", received.len());
}

#[tokio::test]
async fn the_end_of_the_daemon_ends_a_transfer() {
    let zones = large(20_000);
    let (mut stream, shutdown) = connect(responder_for(&zones), 1 << 10);
    ask(&mut stream, &query(APEX, AXFR)).await;
    receive(&mut stream).await;
    shutdown.send(true).unwrap();
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("an end").unwrap();
    assert!(received.len() < 1 << 18, "{}", received.len());
}
