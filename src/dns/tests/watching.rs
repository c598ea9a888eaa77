//! What observers see is what was sent: after rate limits, truncation and cookies, refusals included.

use super::*;
use crate::dns::identity::ServerIdentity;
use crate::dns::limits::ReplyLimits;
use crate::dns::query_event::{CookieState, QueryEvent, ReplyOutcome};
use crate::dns::watch::NameWatch;
use crate::metrics::Metrics;

const COOKIE: &[u8] = b"\x00\x0a\x00\x08clientck";

fn ask_of(responder: &Responder, name: &str) {
    responder.respond(&query(name, 16), source(Transport::Tcp), &mut Vec::new()).replied().unwrap();
}

/// A responder that sends one reply a second to each network, and a watch over everything.
fn limited() -> (Responder, NameWatch) {
    let identity = ServerIdentity::default().into();
    let policy = ResponsePolicy { limits: ReplyLimits::new(1), identity, ..ResponsePolicy::plain().unwrap() };
    let responder = responder_with(Zones::new(vec![zone()]), policy);
    let watch = responder.replies.watchers.watch(name(".")).unwrap();
    (responder, watch)
}

fn from_afar() -> MessageSource {
    MessageSource::of("192.0.2.9".parse().unwrap(), Transport::Udp)
}

/// The reply to a message, and the one event that it makes.
async fn observe(responder: &Responder, watch: &mut NameWatch, packet: &[u8]) -> (Vec<u8>, QueryEvent) {
    let mut out = Vec::new();
    let responded = responder.respond(packet, from_afar(), &mut out).replied();
    let event = next(watch).await.expect("an event");
    assert_eq!(responded.is_some(), event.outcome.is_sent());
    assert_eq!(event.size, out.len());
    assert!(next(watch).await.is_none(), "one event for each message");
    (out, event)
}

async fn next(watch: &mut NameWatch) -> Option<QueryEvent> {
    tokio::time::timeout(std::time::Duration::from_millis(1), watch.next()).await.ok().flatten()
}

#[tokio::test]
async fn a_watch_sees_its_name_as_it_was_sent_and_nothing_else() {
    let responder = responder();
    let mut watch = responder.replies.watchers.watch(name("shop.auth.example.org")).unwrap();
    ask_of(&responder, "empty.auth.example.org");
    ask_of(&responder, "SHOP.auth.eXample.org");
    let event = watch.next().await.unwrap();
    let question = event.question.unwrap();
    assert_eq!(question.name.to_string(), "SHOP.auth.eXample.org", "the case is kept (0x20)");
    assert_eq!(question.name.canonical(), Some(name("shop.auth.example.org")));
    assert_eq!((question.rtype, event.rcode, event.opcode), (RecordType::TXT, ResponseCode::NoError, 0));
    assert_eq!(event.values, [value('n', true).txt.to_string(), value('o', true).txt.to_string()]);
    assert_eq!((event.source, event.edns, event.key), (source(Transport::Tcp), None, None));
    assert_eq!((event.outcome, event.is_truncated), (ReplyOutcome::Sent, false));
}

#[tokio::test]
async fn past_the_limit_an_event_says_slipped_or_dropped_and_holds_no_values() {
    let (responder, mut watch) = limited();
    let persistent = edns(query("persist.auth.example.org", 16));
    let (_, event) = observe(&responder, &mut watch, &persistent).await;
    assert_eq!((event.outcome, event.values.len()), (ReplyOutcome::Sent, 3));
    let (reply, event) = observe(&responder, &mut watch, &persistent).await;
    assert_eq!((reply[2] & 2, event.outcome), (2, ReplyOutcome::Slipped));
    assert!(event.is_truncated && event.values.is_empty(), "{event:?}");
    let elsewhere = edns(query("example.com", 1));
    let (_, event) = observe(&responder, &mut watch, &elsewhere).await;
    assert_eq!((event.outcome, event.rcode), (ReplyOutcome::Sent, ResponseCode::Refused));
    assert_eq!(event.ede.map(|ede| ede.code), Some(20));
    let (reply, event) = observe(&responder, &mut watch, &elsewhere).await;
    assert_eq!((&reply[..], event.outcome, event.size), (&[][..], ReplyOutcome::Dropped, 0));
    assert_eq!((event.rcode, event.ede), (ResponseCode::Refused, None), "what it would have been, and no text");
}

/// The values of an answer that did not fit were once shown as if they had been sent.
#[tokio::test]
async fn a_truncated_answer_has_no_values() {
    let (responder, mut watch) = limited();
    let (reply, event) = observe(&responder, &mut watch, &edns(query("many.auth.example.org", 16))).await;
    assert_eq!((reply[2] & 2, event.outcome, event.is_truncated), (2, ReplyOutcome::Sent, true));
    assert!(event.values.is_empty(), "{event:?}");
    let tcp = source(Transport::Tcp);
    responder.respond(&query("many.auth.example.org", 16), tcp, &mut Vec::new()).replied().unwrap();
    let event = next(&mut watch).await.unwrap();
    assert_eq!((event.values.len(), event.is_truncated), (52, false));
}

#[tokio::test]
async fn each_state_of_a_cookie_is_told() {
    let (responder, mut watch) = limited();
    let shop = || query("shop.auth.example.org", 16);
    let (_, event) = observe(&responder, &mut watch, &edns(shop())).await;
    assert_eq!((event.cookie, event.edns.unwrap().udp_size), (CookieState::Absent, 1_232));
    let (reply, event) = observe(&responder, &mut watch, &with_opt(shop(), 1_400, 0, 0x8000, COOKIE)).await;
    let asked = event.edns.unwrap();
    assert_eq!((event.cookie, asked.udp_size, asked.dnssec_ok), (CookieState::ClientOnly, 1_400, true));
    let mut learnt = reply[reply.len() - 28..].to_vec();
    let (_, event) = observe(&responder, &mut watch, &with_opt(shop(), 1_232, 0, 0, &learnt)).await;
    assert_eq!(event.cookie, CookieState::Valid);
    *learnt.last_mut().unwrap() ^= 1;
    let (_, event) = observe(&responder, &mut watch, &with_opt(shop(), 1_232, 0, 0, &learnt)).await;
    assert_eq!((event.cookie, event.outcome, event.values.len()), (CookieState::Invalid, ReplyOutcome::Sent, 2));
    let malformed = with_opt(shop(), 1_232, 0, 0, b"\x00\x0a\x00\x03abc");
    let (_, event) = observe(&responder, &mut watch, &malformed).await;
    assert_eq!((event.cookie, event.rcode), (CookieState::Malformed, ResponseCode::FormErr));
}

#[tokio::test]
async fn refused_messages_are_events_of_their_own_names() {
    let policy = ResponsePolicy::plain().unwrap();
    let responder = responder_with(Zones::new(vec![zone()]), policy);
    let mut watch = responder.replies.watchers.watch(name("shop.auth.example.org")).unwrap();
    let shop = || query("shop.auth.example.org", 16);
    let mut not_implemented = edns(shop());
    not_implemented[2] |= 0x20;
    let mut class_hesiod = shop();
    *class_hesiod.last_mut().unwrap() = 4;
    for (packet, rcode) in [
        (with_opt(shop(), 1_232, 1, 0, &[]), ResponseCode::BADVERS),
        (not_implemented, ResponseCode::NotImp),
        (class_hesiod, ResponseCode::Refused),
        (query("shop.auth.example.org", 252), ResponseCode::Refused),
        (query("shop.auth.example.org", 41), ResponseCode::FormErr),
        ([shop(), vec![0]].concat(), ResponseCode::FormErr),
    ] {
        let (_, event) = observe(&responder, &mut watch, &packet).await;
        assert_eq!((event.rcode, event.outcome), (rcode, ReplyOutcome::Sent), "{packet:02x?}");
    }
    let two = [&shop()[..4], &[0, 2], &shop()[6..], &shop()[12..]].concat();
    let mut everything = responder.replies.watchers.watch(name(".")).unwrap();
    let (_, event) = observe(&responder, &mut everything, &two).await;
    assert_eq!((event.question, event.rcode), (None, ResponseCode::FormErr));
    assert!(next(&mut watch).await.is_none(), "a message without one question is about no name");
}

#[tokio::test]
async fn a_fault_of_ours_is_an_event() {
    let (responder, mut watch) = limited();
    let mut out = Vec::new();
    let packet = query("shop.auth.example.org", 16);
    responder.caught(&packet, from_afar(), &mut out, |_| panic!("on purpose"));
    let event = next(&mut watch).await.unwrap();
    assert_eq!((event.rcode, event.size, event.question), (ResponseCode::ServFail, 12, None));
}

/// The counters' sum, by what became of the messages.
fn counted(metrics: &Arc<Metrics>) -> [u64; 5] {
    let text = metrics.render(&[]);
    let sum = |family: &str| {
        let lines = text.lines().filter(|line| line.starts_with(family));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    [
        sum("txtgate_dns_answers_total{"),
        sum("txtgate_dns_limited_total{became=\"truncated\"}"),
        sum("txtgate_dns_limited_total{became=\"dropped\"}"),
        sum("txtgate_dns_dropped_total "),
        sum("txtgate_dns_truncated_total "),
    ]
}

#[tokio::test]
async fn the_metrics_count_the_messages_that_were_sent() {
    let (responder, mut watch) = limited();
    let mut dice = mutated::Dice(0x6576_656e_7473);
    // The first reply is within the limit, so one is truncated for its size alone.
    let (_, first) = observe(&responder, &mut watch, &query("many.auth.example.org", 16)).await;
    assert!(first.is_truncated && first.outcome == ReplyOutcome::Sent, "{first:?}");
    let mut events = vec![first];
    let mut sent = 1;
    for round in 1..2_000 {
        let label = ["shop", "many", "nothing", "empty", "alias"][dice.roll(5)];
        let mut packet = edns(query(&format!("{label}.auth.example.org"), [1, 16, 41, 252][dice.roll(4)]));
        if round % 3 == 0 {
            mutated::mutate(&mut packet, &mut dice);
        }
        let transport = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Quic][dice.roll(4)];
        let source = MessageSource { transport, ..from_afar() };
        sent += u64::from(responder.respond(&packet, source, &mut Vec::new()).replied().is_some());
        events.extend(next(&mut watch).await);
    }
    let count = |is: fn(&QueryEvent) -> bool| events.iter().filter(|event| is(event)).count() as u64;
    let [answers, slipped, dropped, unanswered, truncated] = counted(&responder.replies.metrics);
    assert_eq!((answers, sent), (sent, count(|event| event.outcome.is_sent())));
    assert_eq!(slipped, count(|event| event.outcome == ReplyOutcome::Slipped));
    assert_eq!(dropped, count(|event| event.outcome == ReplyOutcome::Dropped));
    assert_eq!(truncated, count(|event| event.is_truncated));
    assert_eq!(2_000, answers + dropped + unanswered);
    let over_udp = count(|event| event.outcome.is_sent() && event.source.transport == Transport::Udp);
    let text = responder.replies.metrics.render(&[]);
    let over = |kind: &str| -> u64 {
        let start = format!("txtgate_dns_connection_answers_total{{transport=\"{kind}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    };
    assert_eq!(answers, over_udp + over("tcp") + over("tls") + over("quic"));
    assert!(slipped > 100 && dropped > 50 && truncated > slipped, "{slipped} {dropped} {truncated}");
}

#[tokio::test]
async fn watchers_are_few_their_queues_short_and_they_leave() {
    let responder = responder();
    let mut watches: Vec<_> = (0..16).map(|_| responder.replies.watchers.watch(name(APEX)).unwrap()).collect();
    assert!(responder.replies.watchers.watch(name(APEX)).is_err());
    for _ in 0..3_000 {
        ask_of(&responder, "shop.auth.example.org");
    }
    let mut seen = 0;
    while tokio::time::timeout(std::time::Duration::from_millis(50), watches[0].next()).await.is_ok() {
        seen += 1;
    }
    assert_eq!(seen, 1_024);
    drop(watches);
    assert!(!responder.replies.watchers.are_there());
    assert!(responder.replies.watchers.watch(name(APEX)).is_ok());
}
