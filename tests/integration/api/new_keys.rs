//! A key that the daemon has just made is known to be right: its first update costs no password hash.

use crate::harness::http::{get, post};
use crate::harness::{Account, Process, Settings, value};

/// How many password hashes the daemon has computed.
fn hashes(daemon: &Process) -> u64 {
    let text = get(daemon.metrics(), "/metrics").body;
    let line = text.lines().find(|line| line.starts_with("txtgate_hash_seconds_count ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Publishes with a key for the first time.
fn publishes_without_a_hash(daemon: &Process, account: &Account, how: &str) {
    let before = hashes(daemon);
    account.publish(daemon.api(), &value(before));
    assert_eq!(hashes(daemon), before, "{how}");
}

fn of_command(daemon: &Process, arguments: &[&str]) -> Account {
    Account::of(&serde_json::from_str(&daemon.home().run_ok(arguments)).unwrap())
}

#[test]
fn the_first_update_with_a_new_key_costs_no_hash_however_the_key_was_made() {
    let daemon = Process::start(&Settings::default());
    let registered = Account::register(daemon.api());
    publishes_without_a_hash(&daemon, &registered, "registered");
    let created = of_command(&daemon, &["account", "create", "example.com", "--json"]);
    publishes_without_a_hash(&daemon, &created, "account create");
    let keyed = of_command(&daemon, &["account", "create", "example.net", "--tsig", "--json"]);
    publishes_without_a_hash(&daemon, &keyed, "account create --tsig");
    let reply = registered.send(daemon.api(), "POST", "/v1/account/rotate", "{\"grace\":\"1h\"}");
    assert_eq!(reply.status, 200, "{reply:?}");
    let rotated = Account::of(&reply.json());
    publishes_without_a_hash(&daemon, &rotated, "/v1/account/rotate");
    let rotated = of_command(&daemon, &["account", "rotate", &created.username, "--json"]);
    publishes_without_a_hash(&daemon, &rotated, "account rotate");
    daemon.home().run_ok(&["account", "edit", &rotated.username, "--note", "changed"]);
    publishes_without_a_hash(&daemon, &rotated, "after a change of something else");
    let replaced = created.update(daemon.api(), &value(999));
    replaced.assert_error(401, "forbidden");
}

#[test]
fn the_first_update_of_an_enrolled_account_costs_no_hash() {
    let daemon = Process::start(&Settings::default().with("api", "registration = \"closed\""));
    let made = daemon.home().run_ok(&["enrol", "create", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let bearer = format!("Authorization: Bearer {}", made["token"].as_str().unwrap());
    let reply = post(daemon.api(), "/register", &[&bearer], "");
    assert_eq!(reply.status, 201, "{reply:?}");
    publishes_without_a_hash(&daemon, &Account::of(&reply.json()), "enrolled");
}
