//! What the server saw of a CA's queries, as the owner of an account, the operator and a client's user read it.
//!
//! Networks are networks of the loopback: 127.0.1.0/24, 127.0.2.0/24 and so on.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::dns::{A, Change, Reply, TXT, Udp, query};
use crate::harness::{Account, Home, Process, Settings, value};

/// Asks like a CA's resolver from each of these networks.
fn ask_from(daemon: &Process, networks: impl IntoIterator<Item = u8>, name: &str, rtype: u16) -> Vec<Reply> {
    let ask = |network| Reply::of(Udp::from(&format!("127.0.{network}.1"), daemon.dns()).ask(&query(name, rtype)));
    networks.into_iter().map(ask).collect()
}

fn networks(numbers: impl IntoIterator<Item = u8>) -> Vec<Value> {
    numbers.into_iter().map(|number| format!("127.0.{number}.0/24").into()).collect()
}

/// The verdict on a value, as its owner reads it.
fn verdict(daemon: &Process, account: &Account, txt: &str) -> Value {
    let reply = account.send(daemon.api(), "GET", &format!("/v1/txt?txt={txt}"), "").json();
    reply["items"][0]["verdict"].clone()
}

fn retire(daemon: &Process, account: &Account, txt: &str) {
    assert_eq!(account.send(daemon.api(), "DELETE", "/v1/txt", &account.body(txt)).status, 200);
}

#[test]
fn a_verdict_counts_networks_and_compares_with_earlier_validations() {
    let daemon = Process::start(&Settings::default());
    let (one, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    let (first, second) = (value(1), value(2));
    one.publish(daemon.api(), &first);
    ask_from(&daemon, 1..=6, &one.fulldomain, TXT);
    let seen = verdict(&daemon, &one, &first);
    assert_eq!((&seen["code"], &seen["networks"]), (&"served-everywhere".into(), &6.into()), "{seen}");
    let text = seen["text"].as_str().unwrap();
    assert!(text.starts_with("6 networks asked within ") && text.ends_with("each got this value"), "{text}");

    // Another account's validation, to which two networks do not come.
    other.publish(daemon.api(), &second);
    ask_from(&daemon, 1..=4, &other.fulldomain, TXT);
    retire(&daemon, &other, &second);
    let seen = verdict(&daemon, &other, &second);
    assert_eq!((&seen["code"], &seen["networks"]), (&"vantage-missing".into(), &4.into()), "{seen}");
    assert_eq!(seen["missing"], Value::from(networks(5..=6)));
    let account = other.send(daemon.api(), "GET", "/v1/account", "").json();
    assert_eq!(account["owners"][0]["retired"][0]["verdict"], seen);

    // The operator reads the same.
    let home = daemon.home();
    let shown = home.run_ok(&["account", "show", &other.fulldomain]);
    assert!(shown.contains("asked by 4 networks; the validation at "), "{shown}");
    assert!(shown.contains("was asked by 6: 127.0.5.0/24 and 127.0.6.0/24 have not asked"), "{shown}");
    let listed = home.run_ok(&["txt", "list", &one.fulldomain]);
    assert!(listed.contains("6 networks asked within "), "{listed}");
    let status = home.run_ok(&["status"]);
    // It has the last answer of a second: either account's.
    assert!(status.contains("6 networks asked within ") || status.contains("asked by 4 networks"), "{status}");
}

/// The verdict on a value that the networks 1 to 4 have fetched, retired, so that no more is awaited.
fn verdict_after_four(daemon: &Process, number: u64) -> Value {
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(number));
    ask_from(daemon, 1..=4, &account.fulldomain, TXT);
    retire(daemon, &account, &value(number));
    verdict(daemon, &account, &value(number))
}

#[test]
fn what_is_learnt_of_cas_survives_a_restart_and_many_values_of_one_name() {
    let home = Home::new(&Settings::default());
    let daemon = home.start();
    let (one, busy) = (Account::register(daemon.api()), Account::register(daemon.api()));
    one.publish(daemon.api(), &value(0));
    ask_from(&daemon, 1..=6, &one.fulldomain, TXT);
    for number in 1..=40 {
        busy.publish(daemon.api(), &value(number));
        ask_from(&daemon, 11..=13, &busy.fulldomain, TXT);
        retire(&daemon, &busy, &value(number));
    }
    let seen = verdict_after_four(&daemon, 41);
    assert_eq!((&seen["code"], &seen["missing"]), (&"vantage-missing".into(), &networks(5..=6).into()), "{seen}");
    daemon.terminate();
    let file = home.path().join("txtgate.db.vantages");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let daemon = home.start();
    let seen = verdict_after_four(&daemon, 42);
    assert_eq!((&seen["code"], &seen["missing"]), (&"vantage-missing".into(), &networks(5..=6).into()), "{seen}");
    daemon.terminate();

    // A damaged file is learnt anew.
    std::fs::write(&file, "[[validations]]\nnetworks = 7\n").unwrap();
    let daemon = home.start();
    assert_eq!(verdict_after_four(&daemon, 43)["code"], "served-everywhere");
    let log = daemon.log();
    assert!(log.contains("txtgate.db.vantages") && log.contains("learnt anew"), "{log}");
    daemon.terminate();
    assert!(std::fs::read_to_string(&file).unwrap().contains("127.0.4.0/24"));
}

#[test]
fn what_goes_wrong_has_a_verdict_of_its_own() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    let name = &account.fulldomain;
    let code = |txt: &str| verdict(&daemon, &account, txt)["code"].clone();

    account.publish(daemon.api(), &value(1));
    assert_eq!(code(&value(1)), "nobody-asked");
    ask_from(&daemon, [1], name, A);
    assert_eq!(code(&value(1)), "other-types-only");
    ask_from(&daemon, [2], &format!("_acme-challenge.{name}"), TXT);
    assert_eq!(code(&value(1)), "asked-too-deep");
    retire(&daemon, &account, &value(1));
    ask_from(&daemon, [3], name, TXT);
    assert_eq!(code(&value(1)), "asked-too-late");

    // The same queries came too early for the next value.
    account.publish(daemon.api(), &value(2));
    let seen = verdict(&daemon, &account, &value(2));
    assert_eq!((&seen["code"], &seen["missing"]), (&"asked-too-early".into(), &networks([3]).into()), "{seen}");
    ask_from(&daemon, [3], name, TXT);
    assert_eq!(code(&value(2)), "served");

    // More values than fit into UDP, and one network that comes back over TCP no more.
    for number in 3..63 {
        account.publish(daemon.api(), &value(number));
    }
    let socket = Udp::from("127.0.4.1", daemon.dns());
    assert!(Reply::of(socket.ask(&query(name, TXT).edns(1_232))).is_truncated());
    let seen = verdict(&daemon, &account, &value(62));
    assert_eq!((&seen["code"], &seen["missing"]), (&"truncated-no-tcp".into(), &networks([4]).into()), "{seen}");
}
