//! The zones that the tests ask, and a responder for them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::dns::watch::Watchers;
use crate::dns::{MessageSource, Responder, ResponsePolicy, Transport};
use crate::metrics::Metrics;
use crate::model::name::Name;
use crate::model::serial::Serial;
use crate::model::time::{Clock, RunningTime, Timestamp};
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::zone::live::Live;
use crate::zone::owner_state::OwnerState;
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::Phase;
use crate::zone::signing::{Keys, Signing};
use crate::zone::soa::Soa;
use crate::zone::zonefile::StaticRecords;
use crate::zone::{Zone, Zones};

pub const APEX: &str = "auth.example.org";
const ZONEFILE: &str = "\
ns1 A 192.0.2.1
ns2 A 192.0.2.2
@ CAA 0 issue \"letsencrypt.org\"
deep.down A 192.0.2.3
alias CNAME Ns1
alias2 CNAME alias
out CNAME www.Example.COM.
gone CNAME nothing
to-shop CNAME shop
to-empty CNAME empty
to-star CNAME *
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME c6
c6 CNAME c7
c7 CNAME c8
c8 CNAME shop
";

/// Two days before the responder's start.
const LONG_AGO: RunningTime = RunningTime::from_seconds(-200_000);

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn value(letter: char, is_live: bool) -> LiveValue {
    let expires = if is_live { RunningTime::MAX } else { LONG_AGO };
    let txt = letter.to_string().repeat(43).parse().unwrap();
    LiveValue { txt, published: Timestamp::default(), expires }
}

/// A persistent value of this length, which never expires.
pub fn persistent(length: usize) -> PersistentValue {
    let text = format!("ca.example; accounturi=urn:{:x<1$}", "", length - 27);
    PersistentValue { value: text.parse().unwrap(), published: Timestamp::default(), expires: None }
}

pub fn zone() -> Zone {
    let soa = Soa {
        mname: name("ns1.auth.example.org"),
        rname: name("hostmaster.example.org"),
        refresh: 1,
        retry: 2,
        expire: 3,
        negative_ttl: 30,
    };
    let ns = [name("ns1.auth.example.org"), name("ns2.auth.example.org")];
    let statics = StaticRecords::parse(&APEX.parse().unwrap(), &ns, ZONEFILE).unwrap();
    let live = Live::new(Serial(7));
    live.put("shop", Some(OwnerState::of(&[value('n', true), value('x', false), value('o', true)])));
    live.put("past", Some(OwnerState::of(&[value('x', false)])));
    live.put("empty", Some(OwnerState::Empty));
    live.put("off", Some(OwnerState::Disabled));
    live.put("over", Some(OwnerState::Expired(LONG_AGO)));
    live.put("persist", Some(OwnerState::of(&[value('n', true)]).with(vec![persistent(60), persistent(400)])));
    let many: Vec<LiveValue> = ('A'..='Z').chain('a'..='z').map(|letter| value(letter, true)).collect();
    live.put("many", Some(OwnerState::of(&many)));
    Zone { name: APEX.parse().unwrap(), soa, txt_ttl: 1, statics, live: Arc::new(live), dnssec: None, signing: None }
}

pub fn key(algorithm: Algorithm) -> Arc<ZoneKey> {
    Arc::new(ZoneKey::generate(algorithm).unwrap())
}

pub fn signed_by(phase: Phase, keys: Vec<Arc<ZoneKey>>) -> Zone {
    let keys = Keys { apex: name(APEX), phase, keys, ttl: 60 };
    Zone { signing: Signing::new(keys, Clock::start(None)).map(Arc::new), ..zone() }
}

pub fn responder() -> Responder {
    responder_of(Zones::new(vec![zone()]))
}

pub fn responder_of(zones: Zones) -> Responder {
    responder_with(zones, ResponsePolicy::plain().unwrap())
}

pub fn responder_with(zones: Zones, policy: ResponsePolicy) -> Responder {
    Responder::new(zones, Clock::start(None), Arc::new(Metrics::default()), Watchers::default(), policy)
}

pub fn source(transport: Transport) -> MessageSource {
    MessageSource::of(IpAddr::V4(Ipv4Addr::LOCALHOST), transport)
}
