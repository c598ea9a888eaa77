//! Steps that a CA need not have: key rollover, contacts, renewal information, revocation, profiles. Whatever it does where
//! it lacks one, orders go on.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::standin::{ResponsePolicy, StandIn, What};
use crate::harness::{Home, Process, ZONE, until};

use super::managed::{pair, show};

/// What CAs say where they lack a step.
fn ways_to_lack_a_step() -> Vec<What> {
    vec![
        What::Refuse(501, "notImplemented", None),
        What::Refuse(404, "malformed", None),
        What::Refuse(403, "unauthorized", None),
        What::Refuse(500, "serverInternal", None),
        What::Reply(404, "<html>not found</html>".into()),
        What::Reply(405, String::new()),
        What::Reply(501, "{\"detail\":7}".into()),
        What::Reply(502, "<html>bad gateway</html>".into()),
        What::Reply(200, "<html>welcome</html>".into()),
        What::Drop,
    ]
}

/// What directories have where a CA lacks a step.
fn absent_members() -> [Value; 4] {
    [Value::Null, json!("nowhere"), json!(7), json!({ "url": "https://ca.test/x" })]
}

/// A daemon with a certificate of this CA.
fn with_certificate(ca: &StandIn) -> (Home, Process) {
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    home.run_ok(&["cert", "issue", "--name", ZONE]);
    (home, daemon)
}

fn account(home: &Home) -> Value {
    serde_json::from_str(&home.run_ok(&["acme", "account", "show", "--json"])).unwrap()
}

fn account_file(home: &Home) -> String {
    let entries = std::fs::read_dir(home.path().join("acme")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let is_account = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("account-");
    std::fs::read_to_string(paths.find(is_account).unwrap()).unwrap()
}

fn serial(home: &Home) -> String {
    pair(home, ZONE).expect("a certificate").info.serial
}

/// Gets another certificate.
fn assert_renewed(home: &Home, when: &str) {
    let before = serial(home);
    home.run_ok(&["cert", "renew", ZONE]);
    assert_ne!(serial(home), before, "{when}");
}

#[test]
fn a_ca_that_refuses_a_key_rollover_goes_on_issuing_and_revoking() {
    for (number, lacks) in ways_to_lack_a_step().into_iter().enumerate() {
        let ca = StandIn::start(ResponsePolicy::default());
        let (home, daemon) = with_certificate(&ca);
        let key = account(&home)["key"].clone();
        ca.always("/key-change", lacks);
        let (code, said) = home.run_err(&["acme", "account", "rollover"]);
        let outcome =
            ["the account keeps its key, with which orders go on: ", "the account's key rollover is pending: "];
        assert!(code == Some(1) && outcome.iter().any(|outcome| said.contains(outcome)), "{number}: {said}");
        assert_renewed(&home, &said);
        assert_renewed(&home, &said);
        let asked = ca.asked("/key-change");
        assert!(
            !account_file(&home).contains("next-key"),
            "{number}: the former key works, so the new one is given up"
        );
        let shown = account(&home);
        assert_eq!((&shown["key"], &shown["pending_key"]), (&key, &Value::Null), "{number}");
        assert_eq!(key, ca.thumbprint());
        home.run_ok(&["cert", "revoke", ZONE]);
        drop(daemon);
        let _daemon = home.start();
        assert_renewed(&home, "after a restart");
        assert_eq!(ca.asked("/key-change"), asked, "{number}: it is not tried before every use");
    }
}

#[test]
fn a_ca_without_key_change_in_its_directory_is_not_asked_for_it() {
    for absent in absent_members() {
        let directory = json!({ "keyChange": absent });
        let ca = StandIn::start(ResponsePolicy { directory, ..ResponsePolicy::default() });
        let (home, _daemon) = with_certificate(&ca);
        let (_, said) = home.run_err(&["acme", "account", "rollover"]);
        assert!(said.contains("the CA's directory has no `keyChange`; the account keeps its key"), "{said}");
        assert!(!account_file(&home).contains("next-key"));
        assert_renewed(&home, &said);
    }
}

/// The key that an earlier version has left pending at a CA that lacks the step.
#[test]
fn a_rollover_that_was_pending_before_the_start_is_given_up() {
    let ca = StandIn::start(ResponsePolicy::default());
    let (home, daemon) = with_certificate(&ca);
    ca.fault("/key-change", What::Refuse(500, "serverInternal", None));
    let (_, said) = home.run_err(&["acme", "account", "rollover"]);
    assert!(said.contains("the account's key rollover is pending") && said.contains("--abandon"), "{said}");
    assert!(account_file(&home).contains("next-key"));
    daemon.kill();
    ca.always("/key-change", What::Refuse(501, "notImplemented", None));
    let daemon = home.start();
    assert_renewed(&home, "with a rollover pending");
    assert!(!account_file(&home).contains("next-key"));
    assert!(daemon.log().contains("the account's key rollover is given up"), "{}", daemon.log());
}

/// A CA that does not even say which keys it knows.
#[test]
fn a_pending_rollover_is_shown_and_given_up_on_request() {
    let ca = StandIn::start(ResponsePolicy::default());
    let (home, daemon) = with_certificate(&ca);
    let key = account(&home)["key"].clone();
    for path in ["/key-change", "/new-account"] {
        ca.always(path, What::Refuse(500, "serverInternal", None));
    }
    ca.always("/account", What::Reply(405, String::new()));
    let (_, said) = home.run_err(&["acme", "account", "rollover"]);
    assert!(said.contains("the account's key rollover is pending"), "{said}");
    assert_renewed(&home, "while the rollover is pending");
    let shown = account(&home);
    assert!(shown["pending_key"].is_string() && shown["status"] == "unknown", "{shown}");
    assert!(home.run_ok(&["acme", "account", "show"]).contains("`txtgate acme account rollover --abandon`"));
    assert!(daemon.log().contains("the account's key rollover is pending"), "{}", daemon.log());

    let asked = ca.asked("/key-change");
    let said = home.run_ok(&["acme", "account", "rollover", "--abandon"]);
    assert!(said.contains("the account keeps its former key"), "{said}");
    assert_eq!(ca.asked("/key-change"), asked);
    assert!(!account_file(&home).contains("next-key"));
    let shown = account(&home);
    assert_eq!((&shown["key"], &shown["pending_key"]), (&key, &Value::Null));
    assert_renewed(&home, "afterwards");
    let said = home.run_ok(&["acme", "account", "rollover", "--abandon"]);
    assert!(said.contains("no key rollover is pending"), "{said}");
}

#[test]
fn a_key_that_the_ca_has_taken_cannot_be_given_up() {
    let ca = StandIn::start(ResponsePolicy::default());
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    let before = account(&home)["key"].clone();
    ca.fault("/key-change", What::Hang { done: true });
    let asking = {
        let home = home.clone();
        std::thread::spawn(move || _ = home.run(&["acme", "account", "rollover"]))
    };
    ca.hangs();
    daemon.kill();
    asking.join().unwrap();
    let _daemon = home.start();
    let said = home.run_ok(&["acme", "account", "rollover", "--abandon"]);
    assert!(said.contains("the CA has the account's new key already"), "{said}");
    let after = account(&home)["key"].clone();
    assert_ne!(after, before);
    assert_eq!(after, ca.thumbprint());
}

/// The account of a CA for customers: it looks up no key without a binding, so the account itself is asked for.
#[test]
fn a_ca_for_customers_that_has_taken_the_new_key_keeps_the_account() {
    let ca = StandIn::start(ResponsePolicy::default());
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    account(&home);
    ca.fault("/key-change", What::Hang { done: true });
    let asking = {
        let home = home.clone();
        std::thread::spawn(move || _ = home.run(&["acme", "account", "rollover"]))
    };
    ca.hangs();
    daemon.kill();
    asking.join().unwrap();
    ca.always("/new-account", What::Refuse(401, "externalAccountRequired", None));
    let _daemon = home.start();
    assert_eq!(account(&home)["key"], ca.thumbprint());
    home.run_ok(&["cert", "issue", "--name", ZONE]);
}

#[test]
fn an_account_is_made_without_the_contacts_that_the_ca_refuses() {
    for refused in [
        What::Refuse(400, "unsupportedContact", None),
        What::Refuse(400, "invalidContact", None),
        What::Refuse(400, "malformed", None),
        What::Reply(501, "no".into()),
    ] {
        let ca = StandIn::start(ResponsePolicy::default());
        ca.fault("/new-account", refused);
        let home = Home::new(&ca.settings().with("acme", "contact = [\"a@example.org\"]"));
        let daemon = home.start();
        home.run_ok(&["cert", "issue", "--name", ZONE]);
        assert_eq!(ca.accounts(), 1);
        assert!(daemon.log().contains("without its contacts: "), "{}", daemon.log());
    }
}

#[test]
fn contacts_that_cannot_be_changed_block_nothing() {
    for lacks in ways_to_lack_a_step() {
        let ca = StandIn::start(ResponsePolicy::default());
        let home = Home::new(&ca.settings().with("acme", "contact = [\"a@example.org\"]"));
        let _daemon = home.start();
        home.run_ok(&["cert", "issue", "--name", ZONE]);
        ca.always("/account", lacks);
        home.run(&["acme", "account", "update-contact"]);
        assert_renewed(&home, "after the contacts were refused");
    }
}

#[test]
fn renewal_information_that_is_none_blocks_nothing() {
    let window = Some(("2090-01-01T00:00:00Z".to_owned(), "2090-01-02T00:00:00Z".to_owned()));
    for lacks in ways_to_lack_a_step() {
        let ca = StandIn::start(ResponsePolicy { window: window.clone(), ..ResponsePolicy::default() });
        ca.always("/renewal", lacks.clone());
        let (home, _daemon) = with_certificate(&ca);
        assert!(show(&home, ZONE)["renew_at"].is_string());
        // An order that names the certificate before is refused in the same way.
        let is_refused = !matches!(lacks, What::Drop);
        if is_refused {
            ca.fault("/new-order", lacks);
        }
        assert_renewed(&home, "as if there were no renewal information");
        assert_eq!(ca.replaces().is_null(), is_refused);
    }
}

#[test]
fn a_profile_that_the_ca_does_not_take_costs_no_certificate() {
    let listed = json!({ "profiles": { "short": "six days" } });
    for (meta, refused) in [
        (Value::Null, None),
        (json!({ "profiles": ["short"] }), None),
        (listed.clone(), Some(What::Refuse(400, "invalidProfile", None))),
        (listed.clone(), Some(What::Refuse(501, "notImplemented", None))),
    ] {
        let ca = StandIn::start(ResponsePolicy { directory: json!({ "meta": meta }), ..ResponsePolicy::default() });
        let home = Home::new(&ca.settings().with("acme", "profile = \"short\""));
        let daemon = home.start();
        if let Some(refused) = refused {
            ca.fault("/new-order", refused);
        }
        home.run_ok(&["cert", "issue", "--name", ZONE]);
        assert!(daemon.log().contains("the order is placed without it"), "{}", daemon.log());
    }
    // A renewal goes on where a first order names the mistake.
    let ca = StandIn::start(ResponsePolicy { directory: json!({ "meta": listed }), ..ResponsePolicy::default() });
    let (home, daemon) = with_certificate(&ca);
    daemon.kill();
    home.write(&ca.settings().with("acme", "profile = \"classic\""));
    let _daemon = home.start();
    assert_renewed(&home, "without its profile");
    let (_, said) = home.run_err(&["cert", "issue", "--name", ZONE, "--cert-name", "second"]);
    assert!(said.contains("no certificate profile \"classic\"; it has short"), "{said}");
}

#[test]
fn a_revocation_that_the_ca_does_not_offer_blocks_nothing() {
    for absent in absent_members() {
        let directory = json!({ "revokeCert": absent });
        let ca = StandIn::start(ResponsePolicy { directory, ..ResponsePolicy::default() });
        let (home, _daemon) = with_certificate(&ca);
        let (_, said) = home.run_err(&["cert", "revoke", ZONE]);
        assert!(said.contains("the CA's directory has no `revokeCert`"), "{said}");
        assert_renewed(&home, &said);
    }
    let ca = StandIn::start(ResponsePolicy::default());
    let (home, _daemon) = with_certificate(&ca);
    ca.always("/revoke", What::Refuse(501, "notImplemented", None));
    let (_, said) = home.run_err(&["cert", "revoke", ZONE]);
    assert!(said.contains("notImplemented, HTTP 501); the CA does not offer this"), "{said}");
    assert_eq!(show(&home, ZONE)["revoked"], false);
    assert_renewed(&home, &said);
}

/// Terms are the operator's to agree to; the page on which the CA explains them is shown.
#[test]
fn changed_terms_are_told_with_their_page() {
    let ca = StandIn::start(ResponsePolicy::default());
    let (home, _daemon) = with_certificate(&ca);
    let problem = json!({ "type": "urn:ietf:params:acme:error:userActionRequired", "detail": "the terms have changed",
        "instance": "https://ca.test/terms/2" });
    ca.fault("/new-order", What::Reply(403, problem.to_string()));
    let (_, said) = home.run_err(&["cert", "renew", ZONE]);
    assert!(said.contains("the terms have changed") && said.contains("see https://ca.test/terms/2"), "{said}");
    assert_renewed(&home, "when the terms are agreed to");
}

/// The CA could not see the TXT value: the advice is on DNS, and none is on accounts.
#[test]
fn a_proof_that_fails_gets_advice_on_dns() {
    for (error, advice) in [
        ("unauthorized", "did not see the TXT value, or saw another one"),
        ("incorrectResponse", "saw another value than the published one"),
        ("dns", "the CA's resolver got no usable answer"),
        ("rateLimited", "too many validations of this name have failed"),
        ("malformed", "could not use the record"),
        ("connection", "UDP and TCP port 53"),
        ("caa", "a CAA record forbids this CA"),
        ("neverHeardOf", "tries again with another order"),
    ] {
        let ca = StandIn::start(ResponsePolicy::default());
        let problem =
            json!({ "type": format!("urn:ietf:params:acme:error:{error}"), "detail": "in its words", "status": 403 });
        let challenge = |status: &str, problem: Option<&Value>| {
            json!([{ "type": "dns-01", "url": format!("{}/challenge/0/dns-01", ca.base()), "token": "token-0",
                "status": status, "error": problem }])
        };
        let authorization = |status: &str, challenges: Value| {
            json!({ "status": status, "identifier": { "type": "dns", "value": ZONE }, "challenges": challenges })
                .to_string()
        };
        ca.fault("/authorization", What::Say(authorization("pending", challenge("pending", None))));
        ca.fault("/authorization", What::Say(authorization("invalid", challenge("invalid", Some(&problem)))));
        let home = Home::new(&ca.settings());
        let _daemon = home.start();
        let (_, said) = home.run_err(&["cert", "issue", "--name", ZONE]);
        assert!(said.contains("in its words") && said.contains(advice), "{error}: {said}");
        assert!(!said.contains("deactivated account"), "{error}: {said}");
        until("the list says so, too", || home.run_ok(&["cert", "list"]).contains("in its words"));
    }
}
