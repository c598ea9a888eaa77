//! Queries that are kept for days in a file of their own: they survive restarts, and no fault of the file touches anything
//! else.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use crate::harness::dns::{Change, TXT, Udp, query};
use crate::harness::http::get;
use crate::harness::{Account, Home, Process, Settings, until, value};

fn kept() -> Settings {
    Settings::default().with("querylog", "keep-days = 7")
}

fn file(home: &Home) -> PathBuf {
    home.path().join("txtgate.db.queries")
}

fn ask_from(source: &str, daemon: &Process, name: &str) {
    Udp::from(source, daemon.dns()).ask(&query(name, TXT).edns(1_232));
}

fn items(daemon: &Process, account: &Account, parameters: &str) -> Vec<Value> {
    let reply = account.send(daemon.api(), "GET", &format!("/v1/queries{parameters}"), "");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["items"].as_array().unwrap().clone()
}

fn sources(items: &[Value]) -> Vec<&str> {
    let mut sources: Vec<&str> = items.iter().map(|item| item["source"].as_str().unwrap()).collect();
    sources.sort_unstable();
    sources
}

/// What a statement about the file counts; `None` while it has no table.
fn count(home: &Home, sql: &str) -> Option<i64> {
    Connection::open(file(home)).unwrap().query_row(sql, [], |row| row.get(0)).ok()
}

fn rows(home: &Home) -> i64 {
    count(home, "SELECT count(*) FROM queries").unwrap_or(0)
}

#[test]
fn queries_survive_a_restart_and_a_kill_and_are_told_once() {
    let home = Home::new(&kept());
    let daemon = home.start();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    for network in 1..=3 {
        ask_from(&format!("127.2.{network}.7"), &daemon, &account.fulldomain.to_ascii_uppercase());
    }
    let before = items(&daemon, &account, "");
    assert_eq!(sources(&before), ["127.2.1.7", "127.2.2.7", "127.2.3.7"]);
    // A stop writes what could still change.
    daemon.terminate();
    assert_eq!(std::fs::metadata(file(&home)).unwrap().permissions().mode() & 0o777, 0o600);
    let daemon = home.start();
    assert_eq!(items(&daemon, &account, "").len(), 3);
    let mut sorted = before;
    sorted.sort_by_key(ToString::to_string);
    let mut found = items(&daemon, &account, "");
    found.sort_by_key(ToString::to_string);
    assert_eq!(found, sorted, "every member is as before");
    assert!(home.run_ok(&["queries", &account.subdomain]).contains("127.2.3.7"));
    ask_from("127.3.1.7", &daemon, &account.fulldomain);
    ask_from("127.3.2.7", &daemon, &account.fulldomain);
    let all = ["127.2.1.7", "127.2.2.7", "127.2.3.7", "127.3.1.7", "127.3.2.7"];
    assert_eq!(sources(&items(&daemon, &account, "")), all);
    until("the daemon writes what is finished", || rows(&home) == 5);
    let found = items(&daemon, &account, "");
    assert_eq!(sources(&found), all, "in memory and in the file, and told once");
    assert!(found.is_sorted_by_key(|item| item["time"].as_str().unwrap()), "{found:?}");
    let reply = account.send(daemon.api(), "GET", "/v1/queries?limit=3", "").json();
    assert_eq!((reply["items"].as_array().unwrap().as_slice(), &reply["truncated"]), (&found[2..], &Value::Bool(true)));
    let since = found[3]["time"].as_str().unwrap();
    assert_eq!(items(&daemon, &account, &format!("?since={since}"))[..], found[3..]);
    daemon.kill();
    let daemon = home.start();
    assert_eq!(sources(&items(&daemon, &account, "")), all);
    let home = daemon.home();
    home.run_ok(&["account", "delete", &account.subdomain, "--now"]);
    until("the queries of a removed account go", || rows(home) == 0);
}

#[test]
fn queries_go_when_their_time_is_over() {
    let home = Home::new(&kept());
    let daemon = home.start();
    let account = Account::register(daemon.api());
    for network in 1..=4 {
        ask_from(&format!("127.2.{network}.7"), &daemon, &account.fulldomain);
    }
    assert!(daemon.terminate().0.success());
    let connection = Connection::open(file(&home)).unwrap();
    // The oldest three were stored before the daemon ran for eight days.
    let aged = "UPDATE queries SET stored = stored - 8 * 86400 WHERE id <= 3";
    assert_eq!(connection.execute(aged, []).unwrap(), 3);
    drop(connection);
    let daemon = home.start();
    until("old queries are removed", || rows(&home) == 1);
    until("the log says so", || daemon.log().contains("their time is over"));
    assert!(daemon.log().contains("queries=3"), "{}", daemon.log());
    assert_eq!(items(&daemon, &account, "").len(), 1);
}

#[test]
fn a_damaged_file_touches_nothing_else_and_is_tried_again() {
    let damage = |path: &Path| std::fs::write(path, "nonsense ".repeat(2_000)).unwrap();
    let mend = |path: &Path| std::fs::remove_file(path).unwrap();
    goes_on_without_the_file(damage, mend);
}

#[test]
fn nor_does_a_path_that_cannot_be_opened() {
    goes_on_without_the_file(|path| std::fs::create_dir(path).unwrap(), |path| std::fs::remove_dir(path).unwrap());
}

fn goes_on_without_the_file(damage: impl Fn(&Path), mend: impl Fn(&Path)) {
    let home = Home::new(&kept());
    damage(&file(&home));
    let daemon = home.start();
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    ask_from("127.2.1.7", &daemon, &account.fulldomain);
    until("the log says it", || daemon.log().contains("queries cannot be kept"));
    let metric = || get(daemon.metrics(), "/metrics").body.contains("\ntxtgate_queries_not_kept_total 0\n");
    until("what is not kept is counted", || !metric());
    account.publish(daemon.api(), &value(2));
    assert_eq!(items(&daemon, &account, "")[0]["values"][0], value(1), "memory goes on");
    assert_eq!(daemon.log().matches("queries cannot be kept").count(), 1, "once: {}", daemon.log());
    mend(&file(&home));
    until("the daemon tries again", || daemon.log().contains("queries are kept again"));
    ask_from("127.2.2.7", &daemon, &account.fulldomain);
    assert!(daemon.terminate().0.success());
    assert_eq!(rows(&home), 1);
}

#[test]
fn private_addresses_are_not_on_disk_and_without_days_there_is_no_file() {
    let home = Home::new(&kept());
    let daemon = home.start();
    let account = Account::register(daemon.api());
    ask_from("127.8.8.8", &daemon, &account.fulldomain);
    daemon.terminate();
    home.write(&Settings::default().with("querylog", "keep-days = 7\nprivacy = \"network\""));
    let daemon = home.start();
    assert_eq!(sources(&items(&daemon, &account, "")), ["127.8.8.0"], "what was stored before is shown cut");
    ask_from("127.7.7.7", &daemon, &account.fulldomain);
    daemon.terminate();
    assert_eq!(count(&home, "SELECT count(*) FROM queries WHERE query LIKE '%127.7.7.0%'"), Some(1));
    assert_eq!(count(&home, "SELECT count(*) FROM queries WHERE query LIKE '%127.7.7.7%'"), Some(0));
    let home = Home::new(&Settings::default());
    home.start().terminate();
    assert!(!file(&home).exists());
}
