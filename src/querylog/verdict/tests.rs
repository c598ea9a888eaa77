use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;
use crate::querylog::evidence::{LoggedQuery, NetworkEvidence, OwnerEvidence, ServedSerials, ValueEvidence};
use crate::querylog::message::{CookieState, ReplyOutcome, Transport};
use crate::querylog::vantages::Vantages;

use super::*;

/// 2026-11-24T12:00:00Z, the moment of publication in all tests.
const NOON: u64 = 1_795_521_600_000;
const VALUE: &str = "8Ce-WETGoIH4Qeq-llc77UT5sl8q3-_HC3wpg1YerVM";
const OLDER: &str = "-Us4eE34XGXrpJbzu6p9rCQwCklGRQ0ZYkiNgcKXbs_";

/// The moment so many milliseconds after the publication.
fn at(millis: i64) -> PreciseTimestamp {
    PreciseTimestamp::from_millis(NOON.saturating_add_signed(millis))
}

fn owner() -> Owner {
    Owner::subdomain("auth.test".parse().unwrap(), "shop".parse().unwrap())
}

/// A query for TXT from `3.120.<network>.53`, answered in full without values.
fn query(network: u8, millis: i64) -> LoggedQuery {
    LoggedQuery {
        at: at(millis),
        serial: None,
        repeats: 0,
        until: at(millis),
        source: [3, 120, network, 53].into(),
        network: QueryNetwork::V4([3, 120, network]),
        is_own: false,
        transport: Transport::Udp,
        listener: None,
        rtype: RecordType::TXT,
        name: "sHop.auth.TEST".into(),
        is_below: false,
        edns_size: Some(1_232),
        dnssec_ok: false,
        cookie: CookieState::Absent,
        rcode: ResponseCode::NoError,
        outcome: ReplyOutcome::Sent,
        is_truncated: false,
        values: Vec::new(),
    }
}

/// A value at noon, fetched by these networks.
fn served(value: &str, networks: &[(u8, i64)]) -> ValueEvidence {
    let of = |&(network, millis): &(u8, i64)| NetworkEvidence {
        network: QueryNetwork::V4([3, 120, network]),
        first: at(millis),
        last: at(millis),
        transports: vec![Transport::Udp],
        answers: 1,
    };
    let (serials, networks) = (ServedSerials::default(), networks.iter().map(of).collect());
    ValueEvidence { value: value.into(), published: at(0), retired: None, serials, networks }
}

struct Test {
    vantages: Vantages,
    value: ValueEvidence,
    queries: Vec<LoggedQuery>,
    complete_since: PreciseTimestamp,
    gap: Option<ChangeGap>,
    leads_to: Option<LeadsTo>,
    now: PreciseTimestamp,
}

impl Test {
    /// A value that these networks got, judged a minute after noon.
    fn of(networks: &[(u8, i64)], queries: Vec<LoggedQuery>) -> Self {
        Self {
            vantages: Vantages::default(),
            value: served(VALUE, networks),
            queries,
            complete_since: at(-3_600_000),
            gap: None,
            leads_to: None,
            now: at(60_000),
        }
    }

    /// After a validation by the networks 1 to 6.
    fn after_six(self) -> Self {
        self.vantages.learn(&owner(), &served(OLDER, &[(1, 0), (2, 100), (3, 100), (4, 200), (5, 200), (6, 300)]));
        self
    }

    fn judged_at(self, millis: i64) -> Self {
        Self { now: at(millis), ..self }
    }

    fn retired_at(mut self, millis: i64) -> Self {
        self.value.retired = Some(at(millis));
        self
    }

    fn verdict(self) -> Verdict {
        let evidence = OwnerEvidence {
            owner: owner(),
            complete_since: self.complete_since,
            gap: self.gap,
            queries: self.queries,
            values: vec![self.value],
        };
        let context = VerdictContext {
            now: self.now,
            vantages: &self.vantages,
            lifetimes: AnswerLifetimes { values: 1, empty: 10 },
            leads_to: self.leads_to.as_ref(),
        };
        of_value(&evidence, &evidence.values[0], context)
    }
}

#[track_caller]
fn assert_verdict(test: Test, code: VerdictCode, text: &str) -> Verdict {
    let verdict = test.verdict();
    assert_eq!((verdict.text.as_str(), verdict.code), (text, code));
    verdict
}

fn network(number: u8) -> QueryNetwork {
    QueryNetwork::V4([3, 120, number])
}

const ALL: [(u8, i64); 6] = [(1, 400), (2, 900), (3, 2_100), (4, 800), (5, 700), (6, 600)];

#[test]
fn every_network_that_asked_got_the_value() {
    let verdict = assert_verdict(
        Test::of(&ALL, Vec::new()).after_six(),
        VerdictCode::ServedEverywhere,
        "6 networks asked within 2.1 s of publication, each got this value",
    );
    assert_eq!((verdict.networks, verdict.missing), (6, Vec::new()));
    let more = [&ALL[..], &[(7, 650)]].concat();
    let verdict = Test::of(&more, Vec::new()).after_six().verdict();
    assert_eq!((verdict.code, verdict.networks), (VerdictCode::ServedEverywhere, 7));
}

#[test]
fn one_persons_query_is_no_validation() {
    assert_verdict(
        Test::of(&[(1, 30_000)], Vec::new()),
        VerdictCode::Served,
        "3.120.1.0/24 asked within 30 s of publication, and got this value",
    );
}

#[test]
fn vantage_points_that_have_not_asked_are_named() {
    let verdict = assert_verdict(
        Test::of(&ALL[..4], Vec::new()).after_six(),
        VerdictCode::VantageMissing,
        "asked by 4 networks; the validation at 12:00:00 UTC was asked by 6: 3.120.5.0/24 and 3.120.6.0/24 have not asked; \
         does a firewall keep some networks from port 53, or is one of the nameservers down?",
    );
    assert_eq!((verdict.networks, verdict.missing), (4, vec![network(5), network(6)]));
}

#[test]
fn while_a_validation_runs_nothing_is_missing_yet() {
    let text = "4 networks have asked so far and got this value; the validation at 12:00:00 UTC was asked by 6";
    let running = || Test::of(&ALL[..4], Vec::new()).after_six();
    assert_verdict(running().judged_at(2_500), VerdictCode::InProgress, text);
    assert_eq!(running().judged_at(2_500).retired_at(2_400).verdict().code, VerdictCode::VantageMissing);
    assert_eq!(running().judged_at(7_000).verdict().code, VerdictCode::InProgress, "the last came after 2.1 s");
    assert_eq!(running().judged_at(7_200).verdict().code, VerdictCode::VantageMissing);
}

#[test]
fn a_clients_look_before_the_ca_asks_misses_no_vantage_points() {
    let verdict = Test::of(&[(1, 400)], Vec::new()).after_six().verdict();
    assert_eq!((verdict.code, verdict.missing), (VerdictCode::Served, Vec::new()));
}

#[test]
fn another_cas_vantage_points_are_no_measure() {
    let others = [(11, 100), (12, 200), (13, 300), (14, 300)];
    assert_eq!(Test::of(&others, Vec::new()).after_six().verdict().code, VerdictCode::ServedEverywhere);
}

#[test]
fn a_resolver_may_keep_an_answer_from_before() {
    let early = query(6, -3_200);
    let verdict = assert_verdict(
        Test::of(&ALL[..5], vec![early.clone()]).after_six().judged_at(2_000),
        VerdictCode::StaleCache,
        "5 networks got this value; 3.120.6.0/24 asked before publication, got no value, and may keep that answer until \
         12:00:06 UTC",
    );
    assert_eq!(verdict.missing, [network(6)]);
    let older = LoggedQuery { values: vec![OLDER.into()], at: at(-500), until: at(-500), ..early };
    assert_verdict(
        Test::of(&[], vec![older.clone()]),
        VerdictCode::StaleCache,
        "3.120.6.0/24 asked before publication, got older values, and may have kept that answer until 12:00:00 UTC",
    );
    let long_ago = LoggedQuery { at: at(-5_000), until: at(-5_000), ..older };
    assert_eq!(Test::of(&[], vec![long_ago]).verdict().code, VerdictCode::NobodyAsked, "it was kept for a second");
}

#[test]
fn the_ca_was_told_too_early() {
    let verdict = assert_verdict(
        Test::of(&[], vec![query(1, -3_300), query(2, -3_200)]),
        VerdictCode::AskedTooEarly,
        "3.120.1.0/24 and 3.120.2.0/24 asked 3.2 s before publication, got no value, and did not ask again: the CA was told \
         too early; their resolvers keep the empty answer for 10 s, until 12:00:06 UTC",
    );
    assert_eq!((verdict.networks, verdict.missing), (0, vec![network(1), network(2)]));
    assert_eq!(Test::of(&[], vec![query(1, -600_000)]).verdict().code, VerdictCode::NobodyAsked);
    let came_back = Test::of(&[(1, 100)], vec![query(1, -3_300)]);
    assert_eq!(came_back.verdict().code, VerdictCode::Served);
}

#[test]
fn the_client_cleaned_up_too_early() {
    assert_verdict(
        Test::of(&[], vec![query(1, 9_000)]).retired_at(5_000),
        VerdictCode::AskedTooLate,
        "3.120.1.0/24 asked at 12:00:09 UTC, 4.0 s after the value was retired: the client cleaned up before the CA looked",
    );
}

#[test]
fn a_truncated_answer_needs_tcp() {
    let truncated = LoggedQuery { is_truncated: true, ..query(6, 500) };
    let verdict = assert_verdict(
        Test::of(&ALL[..5], vec![truncated.clone()]),
        VerdictCode::TruncatedNoTcp,
        "5 networks got this value; the answer to 3.120.6.0/24 was truncated, because it does not fit into UDP, and was \
         not asked for again over TCP: is TCP port 53 open? Fewer values at the name would fit",
    );
    assert_eq!((verdict.networks, verdict.missing), (5, vec![network(6)]));
    assert_eq!(Test::of(&ALL, vec![truncated]).verdict().code, VerdictCode::ServedEverywhere, "the retry got it");
}

#[test]
fn the_rate_limit_and_errors_are_told() {
    let slipped = LoggedQuery { outcome: ReplyOutcome::Slipped, is_truncated: true, ..query(1, 500) };
    assert_verdict(
        Test::of(&[], vec![slipped]),
        VerdictCode::RateLimited,
        "the rate limit withheld the answer from 3.120.1.0/24, which has not asked again over TCP: is TCP port 53 open, \
         and does `answers-per-second` under [dns] suit your traffic?",
    );
    let failed = LoggedQuery { rcode: ResponseCode::ServFail, ..query(1, 500) };
    assert_verdict(
        Test::of(&[], vec![failed]),
        VerdictCode::ServerFailure,
        "3.120.1.0/24 asked and got SERVFAIL: see the daemon's log",
    );
}

#[test]
fn an_answer_without_the_value_is_told() {
    let older = LoggedQuery { values: vec![OLDER.into()], ..query(1, 500) };
    assert_verdict(
        Test::of(&[], vec![older]),
        VerdictCode::AnsweredWithoutValue,
        "3.120.1.0/24 asked while this value was published, and got other values only",
    );
}

#[test]
fn a_network_past_those_that_are_kept_of_a_value_was_served_all_the_same() {
    let got = LoggedQuery { values: vec![VALUE.into()], ..query(9, 500) };
    let again = LoggedQuery { is_truncated: true, ..query(9, 900) };
    let verdict = Test::of(&ALL, vec![got.clone(), again]).verdict();
    assert_eq!((verdict.code, verdict.missing), (VerdictCode::ServedEverywhere, Vec::new()));
    let withheld = LoggedQuery { outcome: ReplyOutcome::Dropped, ..got };
    assert_eq!(Test::of(&ALL, vec![withheld]).verdict().code, VerdictCode::RateLimited, "it was never sent");
}

#[test]
fn questions_beside_the_value_are_told() {
    let below = LoggedQuery { is_below: true, name: "_acme-challenge.sHop.auth.TEST".into(), ..query(1, 500) };
    assert_verdict(
        Test::of(&[], vec![below]),
        VerdictCode::AskedTooDeep,
        "3.120.1.0/24 asked at _acme-challenge.sHop.auth.TEST, below the name with the values: let the CNAME lead to \
         shop.auth.test itself",
    );
    let look_up = LoggedQuery { rtype: RecordType::CNAME, ..query(1, 500) };
    assert_eq!(Test::of(&[], vec![look_up]).verdict().code, VerdictCode::NobodyAsked, "the client's own look-up");
    let types = [RecordType::CAA, RecordType::A];
    let queries = types.map(|rtype| LoggedQuery { rtype, ..query(1, 500) }).to_vec();
    assert_verdict(
        Test::of(&[], queries),
        VerdictCode::OtherTypesOnly,
        "3.120.1.0/24 asked for A and CAA only, never for TXT, so no validation got as far as the TXT look-up",
    );
}

#[test]
fn a_cname_to_another_account_is_told() {
    let challenge = "_acme-challenge.example.com".parse().unwrap();
    let leads_to = Some(LeadsTo { challenge, end: "other.auth.test".parse().unwrap() });
    assert_verdict(
        Test { leads_to, ..Test::of(&[], Vec::new()) },
        VerdictCode::OtherAccount,
        "nobody has asked here: _acme-challenge.example.com leads to other.auth.test, which is another account's name; \
         let its CNAME lead to shop.auth.test",
    );
}

#[test]
fn nobody_has_asked() {
    let nobody = || Test::of(&[], Vec::new());
    assert_verdict(nobody().judged_at(3_000), VerdictCode::NobodyAsked, "nobody has asked yet");
    assert_verdict(
        nobody(),
        VerdictCode::NobodyAsked,
        "nobody has asked since publication: the CA did not reach this server; is the challenge's CNAME in place, and is \
         port 53 open to the world?",
    );
    let own = LoggedQuery { is_own: true, ..query(1, 500) };
    assert_eq!(Test::of(&[], vec![own]).verdict().code, VerdictCode::NobodyAsked, "the daemon is not a CA");
    assert_verdict(
        Test { complete_since: at(30_000), ..nobody() },
        VerdictCode::NotRecorded,
        "unknown: the query log begins at 12:00:30 UTC, after publication",
    );
}

#[test]
fn an_empty_name_that_is_asked_for_is_told() {
    let evidence =
        |queries| OwnerEvidence { owner: owner(), complete_since: at(-1), gap: None, queries, values: Vec::new() };
    let verdict = of_empty_owner(&evidence(vec![query(1, 100), query(2, 200)]), at(90_000_000)).unwrap();
    assert_eq!(verdict.code, VerdictCode::NothingPublished);
    let text =
        "3.120.1.0/24 and 3.120.2.0/24 asked for a value, last at 2026-11-24 12:00:00 UTC, while none was published";
    assert_eq!(verdict.text, text);
    assert_eq!(of_empty_owner(&evidence(Vec::new()), at(0)), None);
    let retired = ValueEvidence { retired: Some(at(300)), ..served(VALUE, &[]) };
    let after = OwnerEvidence { values: vec![retired], ..evidence(vec![query(1, 100)]) };
    assert_eq!(of_empty_owner(&after, at(90_000)), None, "it was asked for while a value was there");
}

#[test]
fn codes_are_kebab_case_and_newer_ones_are_no_errors() {
    let json = serde_json::to_string(&VerdictCode::TruncatedNoTcp).unwrap();
    assert_eq!(json, "\"truncated-no-tcp\"");
    assert_eq!(serde_json::from_str::<VerdictCode>("\"of-tomorrow\"").unwrap(), VerdictCode::Unknown);
}
