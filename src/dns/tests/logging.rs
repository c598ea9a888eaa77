//! What the query log keeps is what was sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::config::QueryLogSettings;
use crate::dns::limits::ReplyLimits;
use crate::metrics::Metrics;
use crate::model::name::Owner;
use crate::model::time::PreciseTimestamp;
use crate::net::own_sockets;
use crate::querylog::QueryLog;
use crate::querylog::evidence::OwnerEvidence;
use crate::querylog::message::{CookieState, ReplyOutcome};

const SETTINGS: QueryLogSettings =
    QueryLogSettings { enabled: true, per_owner: 64, memory: 1 << 20, is_private: false, keep: None };

/// A responder and its log.
struct Logged {
    responder: Responder,
    log: QueryLog,
    metrics: Arc<Metrics>,
}

impl Logged {
    fn with(settings: QueryLogSettings, policy: ResponsePolicy) -> Self {
        Self::of(zone(), settings, policy)
    }

    fn of(zone: Zone, settings: QueryLogSettings, policy: ResponsePolicy) -> Self {
        let (zones, metrics) = (Zones::new(vec![zone]), Arc::new(Metrics::default()));
        let log = QueryLog::new(settings, zones.clone(), Clock::start(None), metrics.clone());
        let responder = responder_with(zones, policy).with_query_log(log.clone());
        Self { responder, log, metrics }
    }

    fn new(settings: QueryLogSettings) -> Self {
        Self::with(settings, ResponsePolicy::plain().unwrap())
    }

    fn ask(&self, from: &str, packet: &[u8], transport: Transport) {
        let local = SocketAddr::from(([192, 0, 2, 53], 53));
        let address: IpAddr = from.parse().unwrap();
        let source = MessageSource { address, port: 4_000, local, transport };
        self.responder.respond(packet, source, &mut Vec::new());
    }

    fn owner(&self, label: &str) -> OwnerEvidence {
        self.log.owner(&Owner { zone: APEX.parse().unwrap(), label: label.parse().unwrap() })
    }
}

fn txt_of(label: &str) -> Vec<u8> {
    edns(query(&format!("{label}.{APEX}"), 16))
}

fn text(letter: char) -> String {
    letter.to_string().repeat(43)
}

#[test]
fn a_query_is_logged_as_it_was_sent_with_the_values_that_it_got() {
    let logged = Logged::new(SETTINGS);
    let mut packet = with_opt(query("SHop.auth.eXample.org", 16), 1_400, 0, 0x8000, b"\x00\x0a\x00\x08clientck");
    packet[2] |= 1;
    logged.ask("198.51.100.7", &packet, Transport::Tcp);
    let evidence = logged.owner("shop");
    let [asked] = &evidence.queries[..] else { panic!("{evidence:?}") };
    assert_eq!(
        (asked.source.to_string(), asked.network.to_string()),
        ("198.51.100.7".into(), "198.51.100.0/24".into())
    );
    assert_eq!(
        (asked.name.as_str(), asked.rtype, asked.transport),
        ("SHop.auth.eXample.org", RecordType::TXT, Transport::Tcp)
    );
    assert_eq!((asked.edns_size, asked.dnssec_ok, asked.cookie), (Some(1_400), true, CookieState::ClientOnly));
    assert_eq!((asked.rcode, asked.outcome, asked.is_truncated), (ResponseCode::NoError, ReplyOutcome::Sent, false));
    assert_eq!((asked.listener, asked.is_below, asked.is_own), (Some(([192, 0, 2, 53], 53).into()), false, false));
    assert_eq!(asked.values, [text('n'), text('o')]);
    let got: Vec<(&str, usize)> =
        evidence.values.iter().map(|value| (value.value.as_str(), value.networks.len())).collect();
    assert!(got.contains(&(&text('n'), 1)) && got.contains(&(&text('o'), 1)), "{got:?}");
    assert!(!got.contains(&(&text('x'), 1)), "nobody got the expired one: {got:?}");
    let network = &evidence.values.iter().find(|value| value.value == text('n')).unwrap().networks[0];
    assert_eq!((network.answers, &network.transports[..]), (1, &[Transport::Tcp][..]));
}

#[test]
fn names_of_nobody_are_not_logged_and_names_below_an_owner_are() {
    let logged = Logged::new(SETTINGS);
    for name in ["nobody", "deep.nobody", "ns1", "out"] {
        logged.ask("198.51.100.7", &txt_of(name), Transport::Udp);
    }
    logged.ask("198.51.100.7", &edns(query(APEX, 6)), Transport::Udp);
    logged.ask("198.51.100.7", &edns(query("example.com", 16)), Transport::Udp);
    logged.ask("198.51.100.7", &txt_of("_acme-challenge.www.shop"), Transport::Udp);
    logged.ask("198.51.100.7", &edns(query(&format!("shop.{APEX}"), 257)), Transport::Udp);
    logged.ask("198.51.100.7", &txt_of("to-shop"), Transport::Udp);
    let evidence = logged.owner("shop");
    let told: Vec<(String, u16, bool, ResponseCode, usize)> = evidence
        .queries
        .iter()
        .map(|asked| {
            let label = asked.name.strip_suffix(".auth.example.org").unwrap().to_owned();
            (label, asked.rtype.into(), asked.is_below, asked.rcode, asked.values.len())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("_acme-challenge.www.shop".into(), 16, true, ResponseCode::NXDomain, 0),
            ("shop".into(), 257, false, ResponseCode::NoError, 0),
            ("to-shop".into(), 16, false, ResponseCode::NoError, 2),
        ],
        "a CNAME of the zone file leads to the owner"
    );
    assert_eq!(logged.metrics.queries_logged.value(), 3);
}

#[test]
fn what_was_limited_or_truncated_got_no_values() {
    let policy = ResponsePolicy { limits: ReplyLimits::new(1), ..ResponsePolicy::plain().unwrap() };
    let logged = Logged::with(SETTINGS, policy);
    for (network, label) in [("198.51.100.7", "many"), ("203.0.113.9", "persist"), ("203.0.113.9", "persist")] {
        logged.ask(network, &txt_of(label), Transport::Udp);
    }
    logged.ask("198.51.100.7", &txt_of("many"), Transport::Tcp);
    let told = |evidence: &OwnerEvidence| -> Vec<(ReplyOutcome, bool, usize)> {
        let queries = evidence.queries.iter();
        queries.map(|asked| (asked.outcome, asked.is_truncated, asked.values.len())).collect()
    };
    let limited = told(&logged.owner("persist"));
    assert_eq!(limited, [(ReplyOutcome::Sent, false, 3), (ReplyOutcome::Slipped, true, 0)]);
    let evidence = logged.owner("many");
    assert_eq!(told(&evidence), [(ReplyOutcome::Sent, true, 0), (ReplyOutcome::Sent, false, 52)]);
    assert!(evidence.values.iter().all(|value| value.networks.len() == 1 && value.networks[0].answers == 1));
}

/// The log tells by the serial which commits a reply is before: one that was withheld as well.
#[test]
fn each_query_has_the_serial_of_the_zone_whatever_was_sent() {
    let policy = ResponsePolicy { limits: ReplyLimits::new(1), ..ResponsePolicy::plain().unwrap() };
    let logged = Logged::with(SETTINGS, policy);
    let below = txt_of("_acme-challenge.shop");
    for packet in [&txt_of("shop"), &txt_of("shop"), &edns(query(&format!("shop.{APEX}"), 1)), &below] {
        logged.ask("198.51.100.7", packet, Transport::Udp);
        logged.ask("198.51.100.7", packet, Transport::Tcp);
    }
    let serials: Vec<_> = logged.owner("shop").queries.iter().map(|asked| asked.serial).collect();
    assert!(serials.len() >= 6 && serials.iter().all(|serial| *serial == Some(zone().serial())), "{serials:?}");
}

#[test]
fn a_fault_of_the_signer_is_logged_for_the_owner_that_was_asked_for() {
    let keys = Keys { apex: name(APEX), phase: Phase::Offered, keys: vec![key(Algorithm::EcdsaP256)], ttl: 60 };
    let behind = Clock::start(None).after(Some(Timestamp::from_unix(4_200_000_000)));
    let signing = Signing::new(keys, behind).map(Arc::new);
    let logged = Logged::of(Zone { signing, ..zone() }, SETTINGS, ResponsePolicy::plain().unwrap());
    logged.ask("198.51.100.7", &with_opt(query(&format!("shop.{APEX}"), 16), 1_232, 0, 0x8000, b""), Transport::Udp);
    let asked = logged.owner("shop").queries;
    let told: Vec<_> = asked.iter().map(|asked| (asked.rcode, asked.serial, asked.values.len())).collect();
    assert_eq!(told, [(ResponseCode::ServFail, Some(zone().serial()), 0)]);
}

#[test]
fn equal_queries_in_a_row_count_as_one_and_a_ring_keeps_the_newest() {
    let logged = Logged::new(QueryLogSettings { per_owner: 8, ..SETTINGS });
    for _ in 0..50 {
        logged.ask("198.51.100.7", &txt_of("shop"), Transport::Udp);
    }
    let asked = logged.owner("shop").queries;
    assert_eq!((asked.len(), asked[0].repeats), (1, 49), "{asked:?}");
    assert!(asked[0].until >= asked[0].at);
    for network in 0..20 {
        logged.ask(&format!("203.0.{network}.1"), &txt_of("shop"), Transport::Udp);
        logged.ask(&format!("203.0.{network}.1"), &txt_of(&format!("{network}.shop")), Transport::Udp);
    }
    let evidence = logged.owner("shop");
    let below = evidence.queries.iter().filter(|asked| asked.is_below).count();
    assert_eq!((evidence.queries.len(), below), (8, 2), "a flood below the name leaves room for the others");
    assert_eq!(evidence.queries.last().unwrap().source.to_string(), "203.0.19.1");
    let newest = evidence.values.iter().find(|value| value.value == text('n')).unwrap();
    assert_eq!((newest.networks.len(), newest.networks[0].answers), (21, 50), "who got a value outlasts the queries");
}

#[test]
fn equal_queries_count_as_one_after_older_ones_between_were_forgotten() {
    let logged = Logged::new(QueryLogSettings { per_owner: 8, ..SETTINGS });
    logged.ask("198.51.100.7", &txt_of("shop"), Transport::Udp);
    for name in ["a.shop", "b.shop", "c.shop", "d.shop"] {
        logged.ask(&format!("203.0.113.{}", name.as_bytes()[0]), &txt_of(name), Transport::Udp);
    }
    logged.ask("198.51.100.7", &txt_of("shop"), Transport::Udp);
    let evidence = logged.owner("shop");
    let told: Vec<(&str, u32)> = evidence.queries.iter().map(|asked| (asked.name.as_str(), asked.repeats)).collect();
    let names = ["shop.auth.example.org", "c.shop.auth.example.org", "d.shop.auth.example.org"];
    assert_eq!(told, [(names[0], 1), (names[1], 0), (names[2], 0)]);
}

#[test]
fn private_addresses_are_cut_before_they_are_kept_and_an_off_log_keeps_nothing() {
    let logged = Logged::new(QueryLogSettings { is_private: true, ..SETTINGS });
    logged.ask("198.51.100.7", &txt_of("shop"), Transport::Udp);
    logged.ask("2001:db8:1:2::3", &txt_of("shop"), Transport::Udp);
    let sources: Vec<String> = logged.owner("shop").queries.iter().map(|asked| asked.source.to_string()).collect();
    assert_eq!(sources, ["198.51.100.0", "2001:db8:1::"]);
    let off = Logged::new(QueryLogSettings::OFF);
    off.ask("198.51.100.7", &txt_of("shop"), Transport::Udp);
    let evidence = off.owner("shop");
    assert_eq!((evidence.queries.len(), evidence.values.len()), (0, 2), "what is published is known nevertheless");
}

#[test]
fn a_value_that_followed_a_query_in_the_same_second_counts_from_then_on() {
    loop {
        let second = PreciseTimestamp::now().seconds();
        let zone = zone();
        let live = zone.live.clone();
        let logged = Logged::of(zone, SETTINGS, ResponsePolicy::plain().unwrap());
        logged.ask("198.51.100.7", &txt_of("empty"), Transport::Udp);
        let published = LiveValue { published: PreciseTimestamp::now().seconds(), ..fixture::value('f', true) };
        live.put("empty", Some(OwnerState::of(&[published])));
        let evidence = logged.owner("empty");
        // Otherwise the second has passed meanwhile.
        if PreciseTimestamp::now().seconds() == second {
            assert_eq!((evidence.queries.len(), evidence.values.len()), (1, 1));
            assert!(evidence.values[0].published >= evidence.queries[0].at, "{evidence:?}");
            return;
        }
    }
}

#[test]
fn memory_is_bounded_and_what_is_missing_is_told() {
    let logged = Logged::new(QueryLogSettings { memory: 6_000, ..SETTINGS });
    logged.ask("198.51.100.7", &txt_of("shop"), Transport::Udp);
    let before = logged.owner("shop");
    assert_eq!(before.queries.len(), 1);
    for network in 0..20 {
        logged.ask(&format!("203.0.{network}.1"), &txt_of("many"), Transport::Tcp);
    }
    let after = logged.owner("shop");
    assert!(after.queries.is_empty() && after.complete_since >= before.queries[0].at, "{after:?}");
    assert!(logged.metrics.query_log_bytes.value() <= 6_000);
}

#[test]
fn a_validation_after_values_were_forgotten_is_no_alarm() {
    let unexpected = |memory: usize| {
        let logged = Logged::new(QueryLogSettings { memory, ..SETTINGS });
        let start = PreciseTimestamp::now();
        while PreciseTimestamp::now() == start {
            std::thread::yield_now();
        }
        let validate = |label: &str| {
            (0..3).for_each(|network| logged.ask(&format!("198.51.{network}.1"), &txt_of(label), Transport::Udp));
        };
        validate("shop");
        // One network, from which no validation is learnt.
        for address in 0..20 {
            logged.ask(&format!("203.0.113.{address}"), &txt_of("many"), Transport::Tcp);
        }
        validate("empty");
        logged.log.take_unexpected(Duration::ZERO).len()
    };
    assert_eq!((unexpected(1 << 20), unexpected(6_000)), (1, 0));
}

#[test]
fn what_the_queue_cannot_hold_is_counted() {
    let logged = Logged::new(SETTINGS);
    for number in 0..10_000 {
        logged.ask(&format!("198.51.{}.7", number % 16), &txt_of("shop"), Transport::Udp);
    }
    let evidence = logged.owner("shop");
    let (kept, lost) = (logged.metrics.queries_logged.value(), logged.metrics.queries_lost.value());
    assert_eq!(kept + lost, 10_000);
    assert!(lost > 0 && evidence.complete_since > evidence.queries[0].at);
}

#[test]
fn a_network_over_its_share_leaves_the_log_of_all_owners_complete() {
    let logged = Logged::new(SETTINGS);
    let before = logged.owner("many").complete_since;
    // Emptied in between, so that the queue has room for all of them.
    for _ in 0..8 {
        (0..500).for_each(|_| logged.ask("198.51.100.7", &txt_of("shop"), Transport::Udp));
        logged.owner("shop");
    }
    let metrics = &logged.metrics;
    let (kept, over_share) = (metrics.queries_logged.value(), metrics.queries_over_share.value());
    assert_eq!((kept + over_share, metrics.queries_lost.value()), (4_000, 0), "each is counted, and none is lost");
    assert_eq!((logged.owner("many").complete_since, logged.owner("shop").complete_since), (before, before));
}

#[test]
fn the_daemons_own_queries_are_nobodys_validation() {
    let logged = Logged::new(SETTINGS);
    own_sockets::note("198.51.100.99:4000".parse().unwrap());
    logged.ask("198.51.100.99", &txt_of("shop"), Transport::Udp);
    logged.ask("198.51.100.8", &txt_of("empty"), Transport::Udp);
    let evidence = logged.owner("shop");
    assert!(
        evidence.queries[0].is_own && evidence.values.iter().all(|value| value.networks.is_empty()),
        "{evidence:?}"
    );
    assert!(!logged.owner("empty").queries[0].is_own);
    assert_eq!(logged.log.last_answer(), None);
}

#[tokio::test]
async fn a_stream_has_each_query_of_its_owner() {
    let logged = Logged::new(SETTINGS);
    let shop = Owner { zone: APEX.parse().unwrap(), label: "shop".parse().unwrap() };
    let mut stream = logged.log.follow([shop].into()).unwrap();
    for name in ["empty", "shop", "shop", "x.shop"] {
        logged.ask("198.51.100.7", &txt_of(name), Transport::Udp);
    }
    logged.owner("shop");
    let mut names = Vec::new();
    while let Ok(Some(followed)) = tokio::time::timeout(std::time::Duration::from_millis(1), stream.next()).await {
        names.push((followed.query.name.clone(), followed.query.values.len()));
    }
    let shop = "shop.auth.example.org".to_owned();
    assert_eq!(names, [(shop.clone(), 2), (shop.clone(), 2), (format!("x.{shop}"), 0)]);
}
