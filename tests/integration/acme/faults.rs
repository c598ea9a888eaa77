//! What a CA does on its bad days.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::standin::{ResponsePolicy, StandIn, What};
use crate::harness::tls::{connect, trusting};
use crate::harness::{Home, PATIENCE, Process, ZONE, until};

use super::own::report;

/// A daemon that gets its certificate from the stand-in.
fn daemon(ca: &StandIn) -> Process {
    Process::start(&ca.settings().with("api.tls", "mode = \"acme\""))
}

fn is_trusted(ca: &StandIn, daemon: &Process) -> bool {
    connect(daemon.api(), trusting(ca.authority().der(), &[]), ZONE).is_ok()
}

/// A CA that wanted each certificate renewed long ago, and the home of a daemon that has got one from it and was ended.
fn overdue() -> (StandIn, Home) {
    let window = ("2020-01-01T00:00:00Z".to_owned(), "2020-01-02T00:00:00Z".to_owned());
    let ca = StandIn::start(ResponsePolicy { window: Some(window), ..ResponsePolicy::default() });
    let daemon = daemon(&ca);
    let home = daemon.home().clone();
    // An order that is not forgotten yet would be resumed by the next start.
    until("the certificate is there", || is_trusted(&ca, &daemon) && !home.path().join("acme/api.pending").exists());
    daemon.kill();
    (ca, home)
}

/// The problem of a first attempt that fails.
fn problem(home: &Home) -> String {
    until("it has failed", || report(home)["failures"] != 0);
    report(home)["problem"].as_str().unwrap().to_owned()
}

#[test]
fn a_busy_ca_is_asked_again_when_it_says() {
    let ca = StandIn::start(ResponsePolicy { processing: 2, ..ResponsePolicy::default() });
    ca.fault("/new-order", What::Refuse(429, "rateLimited", Some(1)));
    ca.fault("/new-order", What::Refuse(503, "serverInternal", Some(1)));
    let start = Instant::now();
    let daemon = daemon(&ca);
    until("the certificate is there", || is_trusted(&ca, &daemon));
    assert_eq!((ca.asked("/new-order"), ca.orders()), (3, 1));
    assert!(start.elapsed() > Duration::from_secs(4), "twice for the order, twice for the certificate");
}

#[test]
fn a_long_wait_is_waited_by_the_next_attempt() {
    let ca = StandIn::start(ResponsePolicy::default());
    ca.fault("/new-order", What::Refuse(429, "rateLimited", Some(7_200)));
    let daemon = daemon(&ca);
    let problem = problem(daemon.home());
    assert!(
        problem.contains("the stand-in says rateLimited (urn:ietf:params:acme:error:rateLimited, HTTP 429)"),
        "{problem}"
    );
    assert_eq!(ca.asked("/new-order"), 1, "no storm");
    let next = report(daemon.home())["next_attempt"].as_str().unwrap().to_owned();
    let later = time_of(&next).saturating_sub(now());
    assert!((7_100..=7_200).contains(&later), "{later}");
    daemon.signal(Signal::HUP);
    until("a reload has been heard", || report(daemon.home())["failures"] == 2);
    assert_eq!(ca.asked("/new-order"), 1, "a reload ends no wait of the CA's");
}

/// Certificates of the configuration, for the daemon's own name, which needs no record.
fn certificates(count: usize) -> String {
    let table = |number| format!("[[certificate]]\nname = \"c{number}\"\nnames = [\"{ZONE}\"]\n");
    (0..count).map(table).collect()
}

fn list(home: &Home) -> Vec<Value> {
    let list: Value = serde_json::from_str(&home.run_ok(&["cert", "list", "--json"])).unwrap();
    list["items"].as_array().unwrap().clone()
}

#[test]
fn a_refused_account_is_one_request_for_all_certificates() {
    let ca = StandIn::start(ResponsePolicy::default());
    ca.fault("/new-account", What::Refuse(429, "rateLimited", Some(10_800)));
    let home = Home::new(&ca.settings().more(&certificates(20)));
    let daemon = home.start();
    let failed = |least: u64| list(&home).iter().all(|one| one["failures"].as_u64().unwrap() >= least);
    until("all have failed", || failed(1));
    daemon.signal(Signal::HUP);
    until("all have failed again", || failed(2));
    assert_eq!((ca.asked("/dir"), ca.asked("/new-account"), ca.accounts()), (1, 1, 0));
    let waits = list(&home).iter().map(|one| time_of(one["next_attempt"].as_str().unwrap()) - now()).min();
    assert!(waits.is_some_and(|wait| wait > 10_000), "{waits:?}");
}

#[test]
fn renewal_information_is_asked_for_a_few_certificates_at_a_time() {
    let window = ("2090-01-01T00:00:00Z".to_owned(), "2090-01-02T00:00:00Z".to_owned());
    let ca = StandIn::start(ResponsePolicy { window: Some(window), knows_names: true, ..ResponsePolicy::default() });
    let home = Home::new(&ca.settings().more(&certificates(12)));
    let daemon = home.start();
    until("all are there", || list(&home).iter().all(|one| one["shown"].is_object() && one["stage"].is_null()));
    daemon.kill();
    let before = ca.asked("/renewal");
    (0..12).for_each(|_| ca.fault("/renewal", What::Hold));
    let _daemon = home.start();
    (0..8).for_each(|_| ca.hangs());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ca.asked("/renewal") - before, 8);
    ca.release("/renewal");
    until("the others have asked", || ca.asked("/renewal") - before == 12);
}

/// An order that the CA never ends.
#[test]
fn a_slow_order_and_a_rollover_hold_up_nobody() {
    let ca = StandIn::start(ResponsePolicy { processing: u32::MAX, knows_names: true, ..ResponsePolicy::default() });
    let home = Home::new(&ca.settings().more(&certificates(1)));
    let _daemon = home.start();
    until("the order is in process", || ca.asked("/order") > 0);
    let (said, hears) = std::sync::mpsc::channel();
    let begin = |command: &'static [&'static str]| {
        let (home, said) = (home.clone(), said.clone());
        std::thread::spawn(move || _ = said.send(home.run(command)));
    };
    begin(&["acme", "account", "rollover"]);
    begin(&["acme", "account", "show"]);
    let shown = hears.recv_timeout(PATIENCE).expect("the account is shown meanwhile");
    assert!(shown.status.success(), "{shown:?}");
    let rolled = hears.recv_timeout(PATIENCE).expect("the rollover is given up");
    let said = String::from_utf8_lossy(&rolled.stderr).into_owned();
    assert!(said.contains("certificates are being ordered with the account's key; try again"), "{said}");
}

#[test]
fn a_ca_that_bids_come_back_at_once_is_not_stormed() {
    let ca = StandIn::start(ResponsePolicy { processing: 4, impatient: true, ..ResponsePolicy::default() });
    let start = Instant::now();
    let daemon = daemon(&ca);
    until("the certificate is there", || is_trusted(&ca, &daemon));
    assert!(start.elapsed() > Duration::from_millis(250 + 250 + 500), "the pauses are ours, and grow");
}

#[test]
fn more_proofs_than_names_are_refused_before_one_is_asked_for() {
    let ca = StandIn::start(ResponsePolicy::default());
    ca.fault("/authorization", What::Refuse(500, "serverInternal", None));
    let daemon = daemon(&ca);
    problem(daemon.home());
    let asked = ca.asked("/authorization");
    let urls: Vec<String> = (0..10_000).map(|number| format!("{}/authorization/{number}", ca.base())).collect();
    let order = json!({ "status": "pending", "identifiers": [{ "type": "dns", "value": ZONE }],
        "authorizations": urls, "finalize": format!("{}/finalize/0", ca.base()) });
    ca.fault("/order", What::Say(order.to_string()));
    daemon.signal(Signal::HUP);
    until("it has failed again", || report(daemon.home())["failures"] == 2);
    let problem = report(daemon.home())["problem"].to_string();
    assert!(problem.contains("the CA requires 10000 authorizations for 1 names"), "{problem}");
    assert_eq!(ca.asked("/authorization"), asked);
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn time_of(text: &str) -> u64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second().try_into().unwrap()
}

#[test]
fn nonces_that_are_never_taken_are_not_tried_for_ever() {
    let ca = StandIn::start(ResponsePolicy { no_nonces: true, ..ResponsePolicy::default() });
    let daemon = daemon(&ca);
    assert!(problem(daemon.home()).contains("badNonce"));
    assert!(ca.asked("/new-account") <= 11, "{}", ca.asked("/new-account"));
}

#[test]
fn a_name_that_is_proven_already_needs_no_challenge() {
    let ca = StandIn::start(ResponsePolicy { knows_names: true, ..ResponsePolicy::default() });
    let daemon = daemon(&ca);
    until("the certificate is there", || is_trusted(&ca, &daemon));
    assert_eq!(ca.asked("/challenge"), 0);
}

#[test]
fn a_name_that_is_not_proven_says_why_in_the_cas_words() {
    let ca = StandIn::start(ResponsePolicy::default());
    let challenge = json!({
        "type": "dns-01", "url": "http://127.0.0.1/x", "token": "token-0", "status": "invalid",
        "error": { "type": "urn:ietf:params:acme:error:caa", "detail": "CAA record for auth.example.org prevents issuance", "status": 403 },
    });
    let invalid =
        json!({ "status": "invalid", "identifier": { "type": "dns", "value": ZONE }, "challenges": [challenge] });
    // The first look is for the token, the second for the outcome.
    let pending = json!({ "status": "pending", "identifier": { "type": "dns", "value": ZONE },
        "challenges": [{ "type": "dns-01", "url": "http://127.0.0.1:1/x", "token": "token-0" }] });
    let settings = ca.settings().with("api.tls", "mode = \"acme\"");
    let home = Home::new(&settings);
    let with_url =
        |ca: &StandIn| pending.to_string().replace("http://127.0.0.1:1/x", &format!("{}/challenge/0", ca.base()));
    ca.fault("/authorization", What::Say(with_url(&ca)));
    ca.fault("/authorization", What::Say(invalid.to_string()));
    let daemon = home.start();
    let problem = problem(&home);
    assert!(
        problem.contains(&format!("the CA has not proven {ZONE}: CAA record for auth.example.org prevents")),
        "{problem}"
    );
    assert!(problem.contains("; seen here: "), "{problem}");
    assert!(problem.contains("acme:error:caa, HTTP 403") && problem.contains("txtgate acme directory"), "{problem}");
    assert!(daemon.log().contains("CAA record for auth.example.org prevents issuance"));
    assert!(!home.run_ok(&["txt", "list", "--json"]).contains("\"txt\""), "the value is retired");
}

#[test]
fn subproblems_are_shown_for_each_name() {
    let ca = StandIn::start(ResponsePolicy::default());
    let order = json!({
        "status": "invalid", "identifiers": [{ "type": "dns", "value": ZONE }], "authorizations": [],
        "finalize": "http://127.0.0.1/f", "error": { "type": "urn:ietf:params:acme:error:compound", "detail": "two things",
            "subproblems": [{ "type": "urn:ietf:params:acme:error:dns", "detail": "no answer", "identifier": { "type": "dns", "value": ZONE } }] },
    });
    ca.fault("/order", What::Say(order.to_string()));
    let daemon = daemon(&ca);
    let problem = problem(daemon.home());
    assert!(problem.contains("two things") && problem.contains(&format!("; {ZONE}: no answer")), "{problem}");
}

#[test]
fn what_is_no_acme_server_is_named() {
    let ca = StandIn::start(ResponsePolicy::default());
    for (said, found) in [
        ("<html>hello", "does not follow RFC 8555"),
        (r#"{"newNonce":"http://acme.example.com/n"}"#, "is not https"),
        (&format!("\"{}\"", "x".repeat(2 << 20)), "length limit"),
    ] {
        ca.fault("/dir", What::Say(said.to_owned()));
        let (_, said) = Home::new(&ca.settings()).run_err(&["acme", "directory"]);
        assert!(said.contains(found) && said.contains("/dir"), "{said}");
    }
}

#[test]
fn a_profile_that_the_ca_has_not_is_named_with_those_that_it_has() {
    let meta = json!({ "meta": { "profiles": { "classic": "as ever", "shortlived": "six days" } } });
    let ca = StandIn::start(ResponsePolicy { directory: meta, ..ResponsePolicy::default() });
    let home = Home::new(&ca.settings().with("api.tls", "mode = \"acme\"").with("acme", "profile = \"tlsserver\""));
    let daemon = home.start();
    let problem = problem(&home);
    assert!(problem.contains("\"tlsserver\"; it has classic, shortlived"), "{problem}");
    assert_eq!(ca.orders(), 0);
    drop(daemon);
    home.write(&ca.settings().with("api.tls", "mode = \"acme\"").with("acme", "profile = \"shortlived\""));
    let daemon = home.start();
    until("the certificate is there", || is_trusted(&ca, &daemon));
}

/// The window is over: it is renewed at once, and only once, as the successor of the first.
#[test]
fn the_ca_says_when_to_renew_and_hears_what_is_replaced() {
    let (ca, home) = overdue();
    // The renewal is refused as such, and then taken as an order like any other.
    ca.fault("/new-order", What::Refuse(409, "alreadyReplaced", None));
    let daemon = home.start();
    // Stored, too: what is killed before that goes on with the same order.
    let is_stored =
        |daemon: &Process| daemon.log().contains("the CA has issued") && !home.path().join("acme/api.pending").exists();
    until("it is renewed", || ca.orders() == 2 && is_stored(&daemon));
    assert_eq!((ca.replaces(), ca.asked("/new-order")), (Value::Null, 3));
    assert!(daemon.log().contains("https://ca.test/why"));
    daemon.kill();
    let daemon = home.start();
    until("it is renewed", || ca.orders() == 3 && is_stored(&daemon));
    let replaces: Value = ca.replaces();
    assert!(replaces.as_str().is_some_and(|id| id.split('.').count() == 2), "{replaces}");
    daemon.signal(Signal::HUP);
    let left = || time_of(report(&home)["renew_at"].as_str().unwrap()).saturating_sub(now());
    until("the CA has suggested the past again, and gets its rest", || left() <= 3_600);
    assert!(left() > 3_500 && ca.orders() == 3, "{}", left());
}

/// The account file was moved away: the certificate is another account's, and the CA lets no other one replace it.
#[test]
fn a_certificate_of_a_former_account_is_renewed_all_the_same() {
    let (ca, home) = overdue();
    ca.fault("/new-order", What::Refuse(403, "unauthorized", None));
    let _daemon = home.start();
    until("it is ordered as a new one", || ca.orders() == 2);
    assert_eq!((ca.replaces(), ca.asked("/new-order")), (Value::Null, 3));
}

/// Each of these would fail again for as long as the CA keeps the order.
#[test]
fn an_order_that_can_give_nothing_usable_is_not_gone_on_with() {
    let expired =
        json!({ "status": "expired", "identifier": { "type": "dns", "value": ZONE }, "challenges": [] }).to_string();
    for (path, what, why) in [
        ("/finalize", What::Refuse(400, "badCSR", None), "key-type"),
        ("/certificate", What::Say("no certificate".into()), "the chain is empty"),
        ("/authorization", What::Say(expired), "its authorization is expired"),
    ] {
        let ca = StandIn::start(ResponsePolicy::default());
        ca.fault(path, what);
        let daemon = daemon(&ca);
        let problem = problem(daemon.home());
        assert!(problem.contains(why), "{problem}");
        assert!(!daemon.home().path().join("acme/api.pending").exists(), "{path}");
        daemon.signal(Signal::HUP);
        until("another order gives the certificate", || is_trusted(&ca, &daemon));
        assert_eq!(ca.orders(), 2, "{path}");
    }
}

#[test]
fn an_order_of_another_key_type_or_profile_is_not_gone_on_with() {
    let meta = json!({ "meta": { "profiles": { "shortlived": "six days" } } });
    for (before, after) in [("key-type = \"p384\"", "key-type = \"p256\""), ("", "profile = \"shortlived\"")] {
        let ca = StandIn::start(ResponsePolicy { directory: meta.clone(), ..ResponsePolicy::default() });
        ca.fault("/finalize", What::Refuse(500, "serverInternal", None));
        let settings = ca.settings().with("api.tls", "mode = \"acme\"");
        let home = Home::new(&settings.clone().with("acme", before));
        let daemon = home.start();
        problem(&home);
        daemon.kill();
        assert!(home.path().join("acme/api.pending").exists());
        home.write(&settings.with("acme", after));
        let daemon = home.start();
        until("the certificate is there", || is_trusted(&ca, &daemon));
        assert_eq!(ca.orders(), 2, "{after}");
    }
}

/// The authorization is over since, the certificate is not.
#[test]
fn an_order_that_is_done_is_not_proven_again() {
    let ca = StandIn::start(ResponsePolicy::default());
    ca.fault("/certificate", What::Refuse(500, "serverInternal", None));
    let daemon = daemon(&ca);
    problem(daemon.home());
    let asked = ca.asked("/authorization");
    daemon.signal(Signal::HUP);
    until("the certificate is there", || is_trusted(&ca, &daemon));
    assert_eq!((ca.orders(), ca.asked("/authorization")), (1, asked));
}

#[test]
fn alternate_chains_that_cannot_be_had_cost_no_certificate() {
    let ca = StandIn::start(ResponsePolicy { alternates: 20, ..ResponsePolicy::default() });
    let settings = ca.settings().with("acme", "preferred-root = \"No Such Root\"");
    let daemon = Process::start(&settings.with("api.tls", "mode = \"acme\""));
    until("the certificate is there", || is_trusted(&ca, &daemon));
    assert!(daemon.log().contains("cannot download an alternate chain"));
    assert_eq!(ca.asked("/alternate"), 10);
}

#[test]
fn an_account_that_lives_on_is_not_reported_as_deactivated() {
    let ca = StandIn::start(ResponsePolicy { keeps_accounts: true, ..ResponsePolicy::default() });
    let daemon = Process::start(&ca.settings());
    let (_, said) = daemon.home().run_err(&["acme", "account", "deactivate", "--yes"]);
    assert!(said.contains("has left the account `valid`"), "{said}");
}
