//! `POST /present` and `/cleanup` as lego sends them, in both of its modes.

use hickory_proto::op::ResponseCode;
use serde_json::json;

use crate::harness::dns::{TXT, ask, query, txts};
use crate::harness::http::{Reply, connect, send};
use crate::harness::{Account, Process, Settings, value};

/// Captured from lego 4.9.1: apex and wildcard, and in RAW mode with the digests of both.
const VALUES: [&str; 2] =
    ["kCyeHl0nfD4x0Yc-BRssO6lkSJRb2_sdu7O3UaJ7KRc", "mckKIix5NTjlDXU4XxYY0fYUppcve05Eh4PPbbgfpjc"];
const TOKENS: [&str; 2] =
    ["meAftU75RIj8EUypk9kG1cfKN7RItwaxMofI6mGdl8Q", "65uZcSmBb9LZRTVMrpmIe0t6iMHWq3TNdN8-aduMYpQ"];
const THUMBPRINT: &str = "k1l3kKdCxTmiRHV-m-oE5EV3jjttR51O12yd2Az61KI";
const DIGESTS: [&str; 2] =
    ["ff7wRxGzboQ4RF3n0Aopw9ZRplhvyrKFj-e1MgJak8E", "XLDWg1h9NGiGiZSZiHyoRbDaC8aNIvjFKl3CfKlrcsg"];

fn default_body(fqdn: &str, value: &str) -> String {
    format!("{{\"fqdn\":\"{fqdn}\",\"value\":\"{value}\"}}\n")
}

fn raw_body(domain: &str, token: &str) -> String {
    format!("{{\"domain\":\"{domain}\",\"token\":\"{token}\",\"keyAuth\":\"{token}.{THUMBPRINT}\"}}\n")
}

/// A request as lego writes it, below a base path.
fn lego(daemon: &Process, account: &Account, verb: &str, body: &str) -> Reply {
    let basic = account.basic();
    let head = format!(
        "POST /pfx/{verb} HTTP/1.1\r\nHost: 127.0.0.1:5380\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
         {basic}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
        body.len()
    );
    connect(daemon.api()).exchange(head + body)
}

fn started() -> (Process, Account) {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    (daemon, account)
}

/// Gives the account another subdomain; its fulldomain.
fn another(daemon: &Process, account: &Account) -> String {
    let added = account.send(daemon.api(), "POST", "/v1/subdomains", "").json();
    added["fulldomain"].as_str().unwrap().to_owned()
}

fn add_alias(daemon: &Process, account: &Account, alias: &str, fulldomain: &str) {
    let subdomain = fulldomain.split('.').next().unwrap();
    let body = json!({ "alias": alias, "subdomain": subdomain }).to_string();
    assert_eq!(account.send(daemon.api(), "POST", "/v1/aliases", &body).status, 200);
}

#[test]
fn apex_and_wildcard_are_presented_and_cleaned_up() {
    let (daemon, account) = started();
    let body = |value: &str| default_body(&format!("{}.", account.fulldomain), value);
    for value in VALUES {
        assert_eq!(lego(&daemon, &account, "present", &body(value)).json(), json!({ "txt": value }));
    }
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [VALUES[1], VALUES[0]]);
    for (retired, value) in [(1, VALUES[0]), (0, VALUES[0])] {
        let reply = lego(&daemon, &account, "cleanup", &body(value));
        assert_eq!((reply.status, reply.json()), (200, json!({ "retired": retired })));
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [VALUES[1]], "the other value stays");
    }
    assert_eq!(lego(&daemon, &account, "cleanup", &body(VALUES[1])).status, 200);
    ask(daemon.dns(), &query(&account.fulldomain, TXT)).assert_negative(ResponseCode::NoError);
}

#[test]
fn raw_mode_publishes_the_digest_at_the_one_name_of_the_account() {
    let (daemon, account) = started();
    for domain in ["example.com", "*.example.com"] {
        for token in TOKENS {
            assert_eq!(lego(&daemon, &account, "present", &raw_body(domain, token)).status, 200);
        }
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [DIGESTS[1], DIGESTS[0]]);
        for token in TOKENS.iter().chain(&TOKENS) {
            assert_eq!(lego(&daemon, &account, "cleanup", &raw_body(domain, token)).status, 200);
        }
        assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
    }
}

#[test]
fn raw_mode_finds_the_name_of_several_by_the_alias_of_the_domain() {
    let (daemon, account) = started();
    let second = another(&daemon, &account);
    let refused = lego(&daemon, &account, "present", &raw_body("example.com", TOKENS[0]));
    refused.assert_error(400, "bad_domain");
    let said = refused.json()["message"].as_str().unwrap().to_owned();
    for named in [&account.fulldomain, &second, "_acme-challenge.example.com"] {
        assert!(said.contains(named), "{named}: {said}");
    }
    add_alias(&daemon, &account, "_acme-challenge.example.com", &second);
    assert_eq!(lego(&daemon, &account, "present", &raw_body("Example.com.", TOKENS[0])).status, 200);
    assert_eq!(txts(daemon.dns(), &second), [DIGESTS[0]]);
    assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
    lego(&daemon, &account, "present", &raw_body("example.org", TOKENS[0])).assert_error(400, "bad_domain");
    (2..20).for_each(|_| _ = another(&daemon, &account));
    let many = lego(&daemon, &account, "present", &raw_body("example.org", TOKENS[0])).json();
    assert!(many["message"].as_str().unwrap().contains("and 12 more"), "{many}");
}

/// What lego sends with LEGO_DISABLE_CNAME_SUPPORT, and certify tools always.
#[test]
fn an_alias_stands_for_the_accounts_name() {
    let (daemon, account) = started();
    let body = default_body("_acme-challenge.example.com.", VALUES[0]);
    lego(&daemon, &account, "present", &body).assert_error(401, "forbidden");
    add_alias(&daemon, &account, "_acme-challenge.example.com", &account.fulldomain);
    assert_eq!(lego(&daemon, &account, "present", &body).status, 200);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [VALUES[0]]);
    assert_eq!(lego(&daemon, &account, "cleanup", &body).json(), json!({ "retired": 1 }));
    let other = Account::register(daemon.api());
    lego(&daemon, &other, "present", &body).assert_error(401, "forbidden");
}

#[test]
fn foreign_names_and_wrong_credentials_look_alike() {
    let (daemon, account) = started();
    let stranger = Account::register(daemon.api());
    let mut said = std::collections::BTreeSet::new();
    let nobodys = format!("0f8fad5b-d9cb-469f-a165-70867728950e.{}", crate::harness::ZONE);
    for name in [&stranger.fulldomain, &nobodys, "_acme-challenge.example.com", "example.com", "."] {
        for verb in ["present", "cleanup"] {
            let reply = lego(&daemon, &account, verb, &default_body(name, VALUES[0]));
            reply.assert_error(401, "forbidden");
            said.insert(reply.body);
        }
    }
    assert_eq!(said.len(), 1, "{said:?}");
    let body = default_body(&account.fulldomain, VALUES[0]);
    let mut said = std::collections::BTreeSet::new();
    let unknown = Account { username: "33333333-3333-4333-8333-333333333333".into(), ..account.clone() };
    let typo = Account { password: "x".repeat(40), ..account.clone() };
    for account in [unknown, typo] {
        let reply = lego(&daemon, &account, "present", &body);
        reply.assert_error(401, "forbidden");
        said.insert(reply.body);
    }
    assert_eq!(said.len(), 1, "{said:?}");
    for headers in ["Authorization: Basic ", "Authorization: Bearer x", "X-Other: 1"] {
        send(daemon.api(), "POST", "/present", &[headers], &body).assert_error(401, "forbidden");
    }
    assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
}

/// The same pace as everywhere: an account's wrong keys from one network.
#[test]
fn guessing_a_key_slows_down() {
    let (daemon, account) = started();
    let body = default_body(&account.fulldomain, VALUES[0]);
    for guess in 0..5 {
        let wrong = Account { password: format!("{guess:x>40}"), ..account.clone() };
        lego(&daemon, &wrong, "present", &body).assert_error(401, "forbidden");
    }
    let wrong = Account { password: "y".repeat(40), ..account.clone() };
    let refused = lego(&daemon, &wrong, "cleanup", &body);
    refused.assert_error(429, "too_many_requests");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let reply = lego(&daemon, &account, "cleanup", &body);
    assert_eq!(reply.status, 200, "a key that the daemon knows is not slowed down: {reply:?}");
}

#[test]
fn wrong_bodies_are_400_and_name_the_field() {
    let (daemon, account) = started();
    let fulldomain = account.fulldomain.as_str();
    let raw = |domain: &str, token: &str, key_auth: &str| {
        json!({ "domain": domain, "token": token, "keyAuth": key_auth }).to_string()
    };
    let authorization = format!("{}.{THUMBPRINT}", TOKENS[0]);
    for (body, code, field) in [
        ("{}".to_owned(), "bad_fqdn", "fqdn"),
        (json!({ "fqdn": 7, "value": VALUES[0] }).to_string(), "bad_fqdn", "fqdn"),
        (default_body("a..b", VALUES[0]), "bad_fqdn", "fqdn"),
        (default_body(&"a".repeat(64), VALUES[0]), "bad_fqdn", "fqdn"),
        (default_body(fulldomain, "short"), "bad_txt", "value"),
        (default_body(fulldomain, &authorization), "bad_txt", "value"),
        (json!({ "fqdn": fulldomain }).to_string(), "bad_txt", "value"),
        (raw("", TOKENS[0], &authorization), "bad_domain", "domain"),
        (raw("a b", TOKENS[0], &authorization), "bad_domain", "domain"),
        (json!({ "keyAuth": authorization }).to_string(), "bad_domain", "domain"),
        (raw("example.com", TOKENS[1], &authorization), "bad_keyauth", "keyauth"),
        (raw("example.com", TOKENS[0], TOKENS[0]), "bad_keyauth", "keyauth"),
        (raw("example.com", TOKENS[0], "a b.c"), "bad_keyauth", "keyauth"),
    ] {
        for verb in ["present", "cleanup"] {
            let reply = lego(&daemon, &account, verb, &body);
            reply.assert_error(400, code);
            assert_eq!(reply.json()["field"], field, "{body}");
        }
    }
    lego(&daemon, &account, "present", "[]").assert_error(400, "malformed_json_payload");
    let padded = format!("{{\"x\":\"{}\"}}", "a".repeat(64 * 1_024));
    lego(&daemon, &account, "present", &padded).assert_error(413, "body_too_large");
    assert_eq!(send(daemon.api(), "GET", "/present", &[], "").status, 405);
    assert!(txts(daemon.dns(), fulldomain).is_empty());
}

#[test]
fn a_former_key_works_until_its_grace_ends() {
    let (daemon, account) = started();
    let body = default_body(&account.fulldomain, &value(1));
    account.send(daemon.api(), "POST", "/v1/account/rotate", r#"{"grace":"1h"}"#);
    assert_eq!(lego(&daemon, &account, "present", &body).status, 200);
    assert_eq!(lego(&daemon, &account, "cleanup", &body).json(), json!({ "retired": 1 }));
    daemon.home().run_ok(&["account", "disable", &account.username]);
    lego(&daemon, &account, "present", &body).assert_error(401, "forbidden");
}
