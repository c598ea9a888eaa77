//! Stories that are made up, and what their pictures and tables say.

use std::time::Duration;

use maud::Markup;

use super::drawing::{picture, silent, table};
use super::*;

const START: u64 = 1_800_000_000_000;
const VALUE: &str = "the-value";

fn at(millis: i64) -> PreciseTimestamp {
    PreciseTimestamp::from_millis(START.saturating_add_signed(millis))
}

fn network(number: u8) -> QueryNetwork {
    QueryNetwork::V4([127, 0, number])
}

/// A query so many milliseconds after the publication, with these values in its answer.
fn query(number: u8, millis: i64, values: &[&str]) -> QueryView {
    query_of(network(number), millis, values)
}

fn query_of(network: QueryNetwork, millis: i64, values: &[&str]) -> QueryView {
    serde_json::from_value(serde_json::json!({
        "time": at(millis), "until": at(millis), "repeats": 0, "name": "s.auth.test", "asked": "s.auth.test", "below": false,
        "type": "TXT", "source": "127.0.0.1", "network": network, "own": false, "transport": "udp", "listener": null,
        "edns_size": 1232, "dnssec_ok": false, "cookie": "absent", "rcode": "NOERROR", "outcome": "sent", "truncated": false,
        "values": values
    }))
    .unwrap()
}

fn verdict(code: VerdictCode, missing: &[QueryNetwork]) -> Verdict {
    Verdict { code, text: "what it means".into(), networks: 0, missing: missing.to_vec() }
}

/// The story of the value, a minute after its publication.
fn story<'a>(verdict: &'a Verdict, queries: &[QueryView]) -> ValueStory<'a> {
    let queries: Vec<&QueryView> = queries.iter().collect();
    ValueStory::of(VALUE, (at(0), None), Some(verdict), &queries, at(0).plus(Duration::from_secs(60)))
}

fn good(numbers: std::ops::RangeInclusive<u8>) -> Vec<QueryView> {
    numbers.map(|number| query(number, i64::from(number) * 10, &[VALUE])).collect()
}

fn lanes(story: &ValueStory<'_>) -> Vec<(String, String)> {
    story.lanes.iter().map(|lane| (lane.network.to_string(), lane.words())).collect()
}

/// The networks of an earlier, good value.
fn earlier(numbers: std::ops::RangeInclusive<u8>) -> BTreeSet<QueryNetwork> {
    numbers.map(network).collect()
}

#[test]
fn a_network_that_an_earlier_validation_had_and_this_one_lacks_did_not_ask() {
    let stale = verdict(VerdictCode::StaleCache, &[network(5)]);
    let mut queries = good(1..=3);
    queries.push(query(5, -4_000, &[]));
    let mut told = story(&stale, &queries);
    assert!(told.validated_by().is_none(), "only a good validation is one to compare with");
    told.compare_with(&earlier(1..=6));
    let missing: Vec<String> = told.silent().iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["127.0.4.0/24", "127.0.6.0/24"]);
    assert_eq!(lanes(&told).last().unwrap(), &("127.0.6.0/24".to_owned(), "did not ask".to_owned()));
    let words = silent(&told).unwrap().into_string();
    assert!(words.contains("2 networks") && words.contains("127.0.4.0/24, 127.0.6.0/24"), "{words}");
    for shown in [picture(&told), table(&told)].map(Markup::into_string) {
        assert!(shown.contains("127.0.4.0/24") && shown.contains("did not ask"), "{shown}");
    }
    assert_eq!(picture(&told).into_string().matches("<div class=\"lane bad\">").count(), 2);
}

#[test]
fn nobody_is_missed_without_reason() {
    let failed = verdict(VerdictCode::ServerFailure, &[]);
    let mut another_ca = story(&failed, &good(11..=14));
    another_ca.compare_with(&earlier(1..=6));
    assert!(another_ca.silent().is_empty(), "another CA asks from other networks");
    let well = verdict(VerdictCode::ServedEverywhere, &[]);
    let mut fewer = story(&well, &good(1..=5));
    assert_eq!(fewer.validated_by(), Some(earlier(1..=5)));
    fewer.compare_with(&earlier(1..=6));
    assert!(fewer.silent().is_empty(), "the verdict knows that this CA has given a network up");
    let mut young = story(&failed, &good(1..=2));
    young.now = at(9_000);
    young.compare_with(&earlier(1..=6));
    assert!(young.silent().is_empty(), "they may still ask");
    let nobody = verdict(VerdictCode::NobodyAsked, &[]);
    let mut nobody = story(&nobody, &[]);
    nobody.compare_with(&earlier(1..=6));
    assert_eq!(nobody.silent().len(), 6);
    let own = verdict(VerdictCode::Served, &[]);
    assert_eq!(story(&own, &good(1..=2)).validated_by(), None, "one person with two resolvers is no CA");
}

#[test]
fn while_a_validation_runs_its_other_networks_are_awaited() {
    let running = verdict(VerdictCode::InProgress, &[network(4)]);
    let told = story(&running, &good(1..=3));
    let last = told.lanes.last().unwrap();
    assert_eq!((last.words().as_str(), last.tone()), ("has not asked yet", Tone::Neutral));
    assert!(silent(&told).is_none());
    let missing = verdict(VerdictCode::VantageMissing, &[network(4)]);
    let told = story(&missing, &good(1..=3));
    assert_eq!(
        (told.lanes.last().unwrap().words().as_str(), told.lanes.last().unwrap().tone()),
        ("did not ask", Tone::Bad)
    );
    assert!(silent(&told).is_none(), "the verdict says so itself");
}

/// The worst that a page may hold of one value.
fn largest() -> Vec<QueryView> {
    let networks = (0..=255).map(|number| QueryNetwork::V6([0xff, 0xff, 0xff, 0xff, 0xff, number]));
    let of_network = |network| (0..8).map(move |turn| query_of(network, -9_000 + turn * 9_999, &["another"]));
    networks.flat_map(of_network).collect()
}

#[test]
fn a_picture_has_a_bounded_size() {
    let bad = verdict(VerdictCode::AnsweredWithoutValue, &[]);
    let told = story(&bad, &largest());
    let shown = picture(&told).into_string();
    assert_eq!(shown.matches("<div class=\"lane bad\">").count(), 12);
    let size = shown.len() + table(&told).into_string().len();
    assert!(size < 26 * 1024, "three of them fit a page of 100 KiB: {size} bytes");
}

#[test]
fn what_others_have_sent_is_text() {
    let mut probe = query(1, 10, &[]);
    "<script>".clone_into(&mut probe.rtype);
    let verdict = verdict(VerdictCode::OtherTypesOnly, &[]);
    let told = story(&verdict, &[probe]);
    for shown in [picture(&told), table(&told)].map(Markup::into_string) {
        assert!(!shown.contains("<script>") && shown.contains("&lt;script&gt;"), "{shown}");
    }
}
