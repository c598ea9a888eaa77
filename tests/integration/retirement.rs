//! Values that enough networks have fetched retire early.

use std::net::SocketAddr;

use serde_json::json;

use crate::harness::dns::{Reply, TXT, Udp, query, txts};
use crate::harness::{Account, Home, Process, Settings, until, value};

/// One network more than are needed here.
const NETWORKS: [&str; 3] = ["127.0.11.1", "127.0.12.1", "127.0.13.1"];

fn settings() -> Settings {
    Settings::default().with("values", "retire-after-networks = 3\nretire-grace = \"1s\"")
}

/// Asks from an address, until the daemon has answered.
fn fetch(from: &str, daemon: SocketAddr, name: &str) -> Vec<String> {
    let mut found = None;
    until("an answer", || {
        let udp = Udp::from(from, daemon);
        udp.send(&query(name, TXT));
        found = udp.receive_within(std::time::Duration::from_secs(1));
        found.is_some()
    });
    Reply::of(found.unwrap()).txts()
}

/// A value of a new account that each of three networks fetches, until it is gone.
fn validated(daemon: &Process, number: u64) {
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(number));
    for from in NETWORKS {
        assert_eq!(fetch(from, daemon.dns(), &account.fulldomain), [value(number)]);
    }
    until("the value retires", || txts(daemon.dns(), &account.fulldomain).is_empty());
}

#[test]
fn a_value_retires_once_enough_networks_have_fetched_it_and_comes_back_when_it_is_posted_again() {
    let daemon = Process::start(&settings());
    let [one, two, three] = [(); 3].map(|()| Account::register(daemon.api()));
    for account in [&one, &two, &three] {
        account.publish(daemon.api(), &value(1));
    }
    for from in NETWORKS {
        assert_eq!(fetch(from, daemon.dns(), &one.fulldomain), [value(1)]);
    }
    // Two networks that ask often, and the machine's own; networks that look below the name and get nothing.
    for _ in 0..4 {
        fetch(NETWORKS[0], daemon.dns(), &two.fulldomain);
        fetch(NETWORKS[1], daemon.dns(), &two.fulldomain);
        fetch("127.0.0.9", daemon.dns(), &two.fulldomain);
    }
    fetch(NETWORKS[0], daemon.dns(), &three.fulldomain);
    for from in &NETWORKS[1..] {
        assert!(fetch(from, daemon.dns(), &format!("below.{}", three.fulldomain)).is_empty());
    }
    until("the value retires", || txts(daemon.dns(), &one.fulldomain).is_empty());
    let line = daemon.log();
    let line = line.lines().find(|line| line.contains("retired early")).unwrap_or_else(|| panic!("{}", daemon.log()));
    assert!(line.contains(&one.fulldomain) && line.contains(&value(1)) && line.contains("networks=3"), "{line}");

    // Those that fetched it before count no more.
    one.publish(daemon.api(), &value(1));
    for from in &NETWORKS[..2] {
        assert_eq!(fetch(from, daemon.dns(), &one.fulldomain), [value(1)]);
    }
    validated(&daemon, 2);
    for account in [&one, &two, &three] {
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    }
    fetch(NETWORKS[2], daemon.dns(), &one.fulldomain);
    until("the value retires again", || txts(daemon.dns(), &one.fulldomain).is_empty());
}

#[test]
fn a_persistent_authorization_and_other_values_stay() {
    let daemon = Process::start(&settings().with("values", "persist = true"));
    let account = Account::register(daemon.api());
    let grant = "ca.example; accounturi=https://ca.example/acct/1";
    let body = json!({"subdomain": account.subdomain, "value": grant}).to_string();
    assert_eq!(account.send(daemon.api(), "POST", "/v1/persist", &body).status, 200);
    account.publish(daemon.api(), &value(1));
    for from in NETWORKS {
        assert_eq!(fetch(from, daemon.dns(), &account.fulldomain).len(), 2);
    }
    // A second value, which nobody has fetched yet.
    account.publish(daemon.api(), &value(2));
    until("the first value retires", || txts(daemon.dns(), &account.fulldomain) == [value(2), grant.to_owned()]);
    validated(&daemon, 3);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2), grant.to_owned()]);
}

#[test]
fn nothing_retires_early_by_default_or_without_the_query_log() {
    for lines in ["retire-after-networks = 1", "retire-after-networks = 101"] {
        let home = Home::new(&Settings::default().with("values", lines));
        let (code, said) = home.run_err(&["config", "check"]);
        assert!(code == Some(2) && said.contains("values.retire-after-networks: must be from 2 to 100"), "{said}");
    }
    let home = Home::new(&settings().more("[querylog]\nenabled = false"));
    let (code, said) = home.run_err(&["config", "check"]);
    assert!(code == Some(2) && said.contains("only the query log knows"), "{said}");
}
