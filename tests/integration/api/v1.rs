//! `/v1`: what an account may do about itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::ResponseCode;
use serde_json::json;

use crate::harness::dns::{TXT, ask, query, txts};
use crate::harness::http::{Reply, post, send};
use crate::harness::{Account, Process, Settings, value};

fn started() -> (Process, Account) {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    (daemon, account)
}

fn v1(daemon: &Process, account: &Account, method: &str, path: &str, body: &str) -> Reply {
    account.send(daemon.api(), method, &format!("/v1/{path}"), body)
}

#[test]
fn an_account_sees_itself_and_no_secret() {
    let (daemon, account) = started();
    account.publish(daemon.api(), &value(1));
    account.publish(daemon.api(), &value(2));
    let reply = v1(&daemon, &account, "GET", "account", "");
    let shown = reply.json();
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    assert_eq!((&shown["username"], &shown["state"]), (&json!(account.username), &json!("active")));
    assert_eq!(shown["fulldomains"], json!([account.fulldomain]));
    let values = shown["owners"][0]["values"].as_array().unwrap();
    let texts: Vec<&str> = values.iter().map(|value| value["txt"].as_str().unwrap()).collect();
    assert_eq!(texts, [value(2), value(1)]);
    assert!(!reply.body.contains(&account.password) && !reply.body.contains("argon2"));
}

#[test]
fn basic_credentials_will_do_for_v1_and_not_for_update() {
    let (daemon, account) = started();
    let basic = |key: &str| format!("Authorization: Basic {}", STANDARD.encode(format!("{}:{key}", account.username)));
    let right = basic(&account.password);
    assert_eq!(send(daemon.api(), "GET", "/v1/account", &[&right], "").status, 200);
    send(daemon.api(), "GET", "/v1/account", &[&basic(&"x".repeat(40))], "").assert_error(401, "forbidden");
    send(daemon.api(), "GET", "/v1/account", &[], "").assert_error(401, "forbidden");
    post(daemon.api(), "/update", &[&right], &account.body(&value(1))).assert_error(401, "forbidden");
}

#[test]
fn networks_can_be_narrowed_and_never_widened() {
    let (daemon, account) = started();
    let patch = |body: &str| v1(&daemon, &account, "PATCH", "account", body);
    assert_eq!(patch(r#"{"allowfrom":["127.0.0.0/8"],"note":"shop"}"#).status, 200);
    patch(r#"{"allowfrom":["127.0.0.1/32","192.0.2.0/24"]}"#).assert_error(403, "allowfrom_can_only_narrow");
    patch(r#"{"allowfrom":[]}"#).assert_error(403, "allowfrom_can_only_narrow");
    let narrowed = patch(r#"{"AllowFrom":["127.0.0.1/32"]}"#).json();
    assert_eq!((&narrowed["allowfrom"], &narrowed["note"]), (&json!(["127.0.0.1/32"]), &json!("shop")));
    // At once, though the key was remembered under the wider networks.
    let mut elsewhere = crate::harness::http::connect_from([127, 0, 0, 2].into(), daemon.api());
    let denied = elsewhere.exchange(account.request("POST", "/update", &account.body(&value(1))));
    denied.assert_error(401, "forbidden");
    patch(r#"{"note":"a\nb"}"#).assert_error(400, "bad_note");
    patch(r#"{"allowfrom":["127.0.0.1"]}"#).assert_error(400, "invalid_allowfrom_cidr");
}

#[test]
fn a_rotated_key_works_at_once_and_the_former_one_for_its_grace() {
    let (daemon, account) = started();
    let rotated = Account::of(&v1(&daemon, &account, "POST", "account/rotate", r#"{"grace":"1h"}"#).json());
    assert_eq!((&rotated.username, &rotated.subdomain), (&account.username, &account.subdomain));
    assert_ne!(rotated.password, account.password);
    rotated.publish(daemon.api(), &value(1));
    account.publish(daemon.api(), &value(2));
    let again = Account::of(&v1(&daemon, &rotated, "POST", "account/rotate", r#"{"grace":"0s"}"#).json());
    again.publish(daemon.api(), &value(3));
    for former in [&rotated, &account] {
        former.update(daemon.api(), &value(4)).assert_error(401, "forbidden");
    }
    for grace in ["8d", "1", "", "soon"] {
        v1(&daemon, &again, "POST", "account/rotate", &format!(r#"{{"grace":"{grace}"}}"#))
            .assert_error(400, "bad_grace");
    }
    again.publish(daemon.api(), &value(5));
}

#[test]
fn a_rotation_outlives_a_restart() {
    let (daemon, account) = started();
    let rotated = Account::of(&v1(&daemon, &account, "POST", "account/rotate", r#"{"grace":"0s"}"#).json());
    let home = daemon.home().clone();
    daemon.kill();
    let daemon = home.start();
    rotated.publish(daemon.api(), &value(1));
    account.update(daemon.api(), &value(2)).assert_error(401, "forbidden");
}

#[test]
fn values_are_retired_one_by_one_or_all() {
    let (daemon, account) = started();
    (0..4).for_each(|number| account.publish(daemon.api(), &value(number)));
    let retire = |body: &str| v1(&daemon, &account, "DELETE", "txt", body);
    let one = retire(&account.body(&value(2)));
    assert_eq!((one.status, one.body.as_str()), (200, r#"{"retired":1}"#));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(3), value(1), value(0)]);
    assert_eq!(retire(&account.body(&value(2))).body, r#"{"retired":0}"#, "what is gone is gone");
    let all = format!(r#"{{"subdomain":"{}"}}"#, account.subdomain);
    assert_eq!(retire(&all).body, r#"{"retired":3}"#);
    ask(daemon.dns(), &query(&account.fulldomain, TXT)).assert_negative(ResponseCode::NoError);
    retire("{}").assert_error(400, "bad_subdomain");
    retire(r#"{"subdomain":"another"}"#).assert_error(401, "forbidden");
    let home = daemon.home().clone();
    daemon.kill();
    assert!(txts(home.start().dns(), &account.fulldomain).is_empty(), "also after a kill");
}

#[test]
fn a_deleted_account_is_shut_at_once_and_can_be_restored_by_the_operator() {
    let (daemon, account) = started();
    account.publish(daemon.api(), &value(1));
    let deleted = v1(&daemon, &account, "DELETE", "account", "");
    assert_eq!((deleted.status, deleted.json()["state"].as_str()), (200, Some("deleted")), "{deleted:?}");
    account.update(daemon.api(), &value(2)).assert_error(401, "forbidden");
    ask(daemon.dns(), &query(&account.fulldomain, TXT)).assert_negative(ResponseCode::NoError);
    daemon.home().run_ok(&["account", "enable", &account.username]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    account.publish(daemon.api(), &value(3));
}
