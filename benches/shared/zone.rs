//! The zone that the benchmarks ask: a live value at each label, as a server with so many accounts has.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use txtgate::dns::{MessageSource, Transport};
use txtgate::model::name::{Name, Subdomain};
use txtgate::model::serial::Serial;
use txtgate::model::time::{RunningTime, Timestamp};
use txtgate::model::txt::LiveValue;
use txtgate::zone::Zone;
use txtgate::zone::live::Live;
use txtgate::zone::owner_state::OwnerState;
use txtgate::zone::signing::Signing;
use txtgate::zone::soa::Soa;
use txtgate::zone::zonefile::StaticRecords;

pub type Failure = Box<dyn std::error::Error>;

pub const APEX: &str = "auth.example.org";
pub const TXT: u16 = 16;
pub const A: u16 = 1;

/// The labels of 10,000 accounts.
pub fn labels() -> Vec<String> {
    (0..10_000).map(|_| Subdomain::random().as_str().to_owned()).collect()
}

/// A zone with a value at each label.
pub fn zone(labels: &[String], signing: Option<Signing>) -> Result<Zone, Failure> {
    let ns: Name = "ns1.auth.example.org".parse()?;
    let live = Live::new(Serial(1));
    for label in labels {
        let published = Timestamp::default();
        let expires = RunningTime::MAX;
        live.put(label, Some(OwnerState::of(&[LiveValue { txt: "v".repeat(43).parse()?, published, expires }])));
    }
    Ok(Zone {
        name: APEX.parse()?,
        soa: Soa {
            mname: ns.clone(),
            rname: "hostmaster.example.org".parse()?,
            refresh: 3_600,
            retry: 600,
            expire: 86_400,
            negative_ttl: 60,
        },
        txt_ttl: 1,
        statics: StaticRecords::parse(&APEX.parse()?, &[ns], "ns1 A 192.0.2.1")?,
        live: Arc::new(live),
        dnssec: None,
        signing: signing.map(Arc::new),
    })
}

/// With EDNS and DO, as resolvers ask.
pub fn query(label: &str, rtype: u16) -> Vec<u8> {
    let mut packet = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01".to_vec();
    for label in [label, "auth", "example", "org", ""] {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(b"\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00");
    packet
}

/// From where no limit holds.
pub fn source() -> MessageSource {
    MessageSource::of(IpAddr::V4(Ipv4Addr::LOCALHOST), Transport::Udp)
}
