use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{self, RData, Record};

use crate::delegation::tests::nameserver;

use super::*;

const ROOT: &str = "192.0.2.1";
const ORG: &str = "192.0.2.2";
const EXAMPLE: &str = "192.0.2.3";

/// What a nameserver answers to a name in lower case, and the type.
type Answers = fn(&str, RecordType, &mut Message);

fn name(text: &str) -> rr::Name {
    rr::Name::from_ascii(text).unwrap()
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

fn refer(message: &mut Message, zone: &str, ns: &str, address: Option<&str>) {
    message.add_authority(record(zone, RData::NS(NS(name(ns)))));
    if let Some(address) = address {
        message.add_additional(record(ns, RData::A(A(address.parse().unwrap()))));
    }
}

fn deny(message: &mut Message, zone: &str, rcode: ResponseCode) {
    message.metadata.authoritative = true;
    message.metadata.response_code = rcode;
    message.add_authority(record(zone, RData::SOA(SOA::new(name("ns."), name("a."), 1, 1, 1, 1, 1))));
}

fn answer(message: &mut Message, owner: &str, data: RData) {
    message.metadata.authoritative = true;
    message.add_answer(record(owner, data));
}

fn txt(text: &str) -> RData {
    RData::TXT(TXT::new(vec![text.to_owned()]))
}

fn root(_: &str, _: RecordType, message: &mut Message) {
    refer(message, "org.", "ns.org.", Some(ORG));
}

fn org(_: &str, _: RecordType, message: &mut Message) {
    refer(message, "example.org.", "ns.example.org.", Some(EXAMPLE));
}

async fn start(answers: Answers) -> SocketAddr {
    let fill = move |message: &mut Message| {
        let query = message.queries[0].clone();
        answers(&query.name().to_lowercase().to_ascii(), query.query_type(), message);
    };
    SocketAddr::from(([127, 0, 0, 1], nameserver(fill, fill).await))
}

/// Walks through a root, `org` and `example.org`.
async fn walk(root: Answers, org: Answers, example: Answers, asked: &str) -> Walk {
    let mut table = HashMap::new();
    for (address, answers) in [(ROOT, root), (ORG, org), (EXAMPLE, example)] {
        table.insert(address.parse().unwrap(), start(answers).await);
    }
    let server = Nameserver { name: "a.root".parse().unwrap(), address: ROOT.parse().unwrap() };
    let walker = Walker::new(DnsClient::new(&[]), vec![server], table.into());
    walker.from_sources(&["127.3.0.1".parse().unwrap()]).walk(&asked.parse().unwrap(), RecordType::TXT).await
}

fn texts(walk: &Walk) -> Vec<String> {
    let found = walk.end.as_ref().unwrap();
    found.reply.txt_values().into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

#[tokio::test]
async fn each_nameserver_learns_one_label_more_than_it_serves() {
    let example: Answers = |asked, rtype, message| match (asked, rtype) {
        ("b.example.org.", RecordType::A) => deny(message, "example.org.", ResponseCode::NoError),
        ("a.b.example.org.", RecordType::TXT) => answer(message, "a.b.example.org.", txt("value")),
        other => panic!("{other:?} was asked"),
    };
    let walk = walk(root, org, example, "a.b.example.org").await;
    assert_eq!(texts(&walk), ["value"]);
    let asked: Vec<_> = walk.steps.iter().map(|step| (step.sent.to_lowercase(), step.rtype)).collect();
    let expected = [("org.", RecordType::A), ("example.org.", RecordType::A), ("b.example.org.", RecordType::A)];
    assert_eq!(asked[..3], expected.map(|(name, rtype)| (name.to_owned(), rtype)));
    assert_eq!(walk.end.unwrap().signatures, Signatures::Unsigned);
}

#[tokio::test]
async fn a_name_error_on_the_way_is_final() {
    let example: Answers = |_, _, message| deny(message, "example.org.", ResponseCode::NXDomain);
    let found = walk(root, org, example, "a.b.example.org").await;
    assert_eq!(found.end.unwrap().reply.rcode(), ResponseCode::NXDomain);
    assert_eq!(found.steps.len(), 3, "the whole name is never asked for");
}

#[tokio::test]
async fn an_alias_is_followed_from_the_root() {
    let example: Answers = |asked, _, message| match asked {
        "a.example.org." => {
            answer(message, "a.example.org.", RData::CNAME(CNAME(name("b.example.org."))));
            // Not for this answer to say.
            answer(message, "b.example.org.", txt("beside"));
        }
        _ => answer(message, "b.example.org.", txt("value")),
    };
    let found = walk(root, org, example, "a.example.org").await;
    assert_eq!((texts(&found), found.steps.len()), (vec!["value".to_owned()], 6));
    let circle: Answers = |_, _, message| {
        let asked = message.queries[0].name().clone();
        answer(message, &asked.to_ascii(), RData::CNAME(CNAME(name("a.example.org."))));
    };
    let found = walk(root, org, circle, "a.example.org").await;
    assert!(matches!(found.end, Err(WalkError::LongChain(_))), "{found:?}");
}

#[tokio::test]
async fn what_a_strict_resolver_does_not_take_is_a_fault_of_its_server() {
    let lame: Answers = |_, _, message| _ = message.add_answer(record("a.example.org.", txt("value")));
    let upwards: Answers = |_, _, message| refer(message, "org.", "ns.org.", Some(ORG));
    let refused: Answers = |_, _, message| message.metadata.response_code = ResponseCode::Refused;
    let lowered: Answers = |_, _, message| {
        let lower = message.queries[0].name().to_lowercase();
        message.queries[0].set_name(lower);
        answer(message, "a-name-of-so-many-letters-that-some-are-capitals.example.org.", txt("value"));
    };
    let long = "a-name-of-so-many-letters-that-some-are-capitals.example.org";
    for (example, asked, fault) in [
        (lame, "a.example.org", "does not serve example.org"),
        (upwards, "a.example.org", "a referral to org"),
        (refused, "a.example.org", "the answer is Query Refused"),
        (lowered, long, "letters of another case"),
    ] {
        let walk = walk(root, org, example, asked).await;
        let error = walk.end.unwrap_err().to_string();
        assert!(error.contains(fault) && error.contains("ns.example.org (192.0.2.3)"), "{error}");
    }
}

#[tokio::test]
async fn glue_is_believed_from_the_zone_of_its_name_alone() {
    let example: Answers = |_, _, message| answer(message, "a.example.org.", txt("value"));
    let foreign: Answers = |_, _, message| refer(message, "example.org.", "ns.example.net.", Some(EXAMPLE));
    let error = walk(root, foreign, example, "a.example.org").await.end.unwrap_err().to_string();
    assert!(error.contains("no nameserver of example.org has an address: ns.example.net: "), "{error}");
    let missing: Answers = |_, _, message| refer(message, "example.org.", "ns.example.org.", None);
    let error = walk(root, missing, example, "a.example.org").await.end.unwrap_err().to_string();
    assert!(error.contains("delegated to ns.example.org without that name's address"), "{error}");
    let elsewhere: Answers = |_, _, message| refer(message, "example.org.", "ns.example.org.", Some("192.0.2.9"));
    let error = walk(root, elsewhere, example, "a.example.org").await.end.unwrap_err().to_string();
    assert!(error.contains("no server has this address"), "{error}");
}

#[test]
fn one_label_more_at_a_time() {
    let name = |text: &str| text.parse::<Name>().unwrap();
    for (known, expected) in [(".", "org"), ("org", "b.org"), ("b.org", "a.b.org"), ("a.b.org", "a.b.org")] {
        assert_eq!(one_label_more(&name(known), &name("a.b.org")), name(expected));
    }
}
