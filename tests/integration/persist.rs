//! dns-persist-01: persistent authorizations, from the API to the wire.

use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};

use crate::harness::dns::{Change, TXT, ask, ask_tcp, query, txts};
use crate::harness::http::Reply;
use crate::harness::{Account, Home, Process, Settings, ZONE, until, value};

const APEX: &str = "_validation-persist.example.com";

fn settings() -> Settings {
    let zone = format!("[[zone]]\nname = \"{APEX}\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"\n");
    Settings::default().with("values", "persist = true").more(&zone)
}

/// An authorization of this length.
fn authorization(length: usize) -> String {
    format!("ca.example; accounturi=urn:{:x<1$}", "", length - 27)
}

fn send(daemon: &Process, account: &Account, method: &str, body: &Value) -> Reply {
    account.send(daemon.api(), method, "/v1/persist", &body.to_string())
}

fn publish(daemon: &Process, account: &Account, text: &str) -> Reply {
    send(daemon, account, "POST", &json!({"subdomain": account.subdomain, "value": text}))
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&home.run_ok(&[arguments, &["--json"]].concat())).unwrap()
}

fn restarted(daemon: Process) -> Process {
    let home = daemon.home().clone();
    daemon.kill();
    home.start()
}

#[test]
fn an_authorization_is_served_beside_challenges_and_survives_a_kill() {
    let daemon = Process::start(&settings());
    let account = Account::register(daemon.api());
    let (short, long) = (authorization(80), authorization(300));
    for text in [&short, &long] {
        let reply = publish(&daemon, &account, text);
        assert_eq!((reply.status, &reply.json()["value"]), (200, &json!(text)), "{reply:?}");
        assert_eq!((&reply.json()["expires"], &reply.json()["name"]), (&json!(null), &json!(account.fulldomain)));
    }
    account.publish(daemon.api(), &value(1));
    let daemon = restarted(daemon);
    let expected = [value(1), long.clone(), short.clone()];
    let reply = ask(daemon.dns(), &query(&account.fulldomain.to_uppercase(), TXT).edns(1_232));
    assert_eq!((reply.txts(), reply.is_truncated()), (expected.to_vec(), false));
    assert!(reply.answers().iter().all(|record| record.ttl == 1), "one TTL for the set: {reply:?}");
    // 300 bytes are two character-strings: 255 and 45.
    let strings = [&[255][..], &long.as_bytes()[..255], &[45], &long.as_bytes()[255..]].concat();
    assert!(reply.bytes.windows(strings.len()).any(|window| window == strings), "{reply:?}");
    let plain = query(&account.fulldomain, TXT);
    let (udp, tcp) = (ask(daemon.dns(), &plain), ask_tcp(daemon.dns(), &plain));
    assert!(udp.is_truncated() && udp.answers().is_empty(), "over 512 bytes: {udp:?}");
    assert_eq!((tcp.is_truncated(), tcp.txts()), (false, expected.to_vec()));
    let shown = account.send(daemon.api(), "GET", "/v1/account", "").json();
    let own = &shown["owners"][0];
    assert_eq!((&own["values"][0]["txt"], &own["persistent"][1]["value"]), (&json!(value(1)), &json!(short)));
    let body = json!({"subdomain": account.subdomain, "value": long});
    assert_eq!(send(&daemon, &account, "DELETE", &body).json(), json!({"retired": 1}));
    assert_eq!(send(&daemon, &account, "DELETE", &body).json(), json!({"retired": 0}));
    let all = format!(r#"{{"subdomain":"{}"}}"#, account.subdomain);
    assert_eq!(account.send(daemon.api(), "DELETE", "/v1/txt", &all).json(), json!({"retired": 1}));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [short], "challenges come and go, it stays");
    let daemon = restarted(daemon);
    assert_eq!(
        send(&daemon, &account, "DELETE", &json!({"subdomain": account.fulldomain})).json()["retired"],
        json!(1)
    );
    ask(daemon.dns(), &plain).assert_negative(ResponseCode::NoError);
}

#[test]
fn an_apex_of_its_own_is_served_and_signed() {
    let settings = settings().more("dnssec-key = \"zone.key\"");
    let home = Home::new(&settings);
    home.run_ok(&["dnssec", "init", APEX]);
    let daemon = home.start();
    let account = Account::of(&json_of(&home, &["account", "create", "example.com", "--zone", APEX]));
    let text = authorization(400);
    assert_eq!(publish(&daemon, &account, &text).status, 200);
    let reply = ask(daemon.dns(), &query(APEX, TXT).opt(1_232, 0, 0x8000, &[]));
    assert_eq!((reply.txts(), reply.answers().len()), (vec![text], 2), "TXT and RRSIG");
    let below = json!({"subdomain": format!("_ujmmovf2vn55tgye.{APEX}"), "value": authorization(40)});
    send(&daemon, &account, "POST", &below).assert_error(401, "forbidden");
}

#[test]
fn it_expires_when_it_says_and_after_its_lifetime() {
    let daemon = Process::start(&settings());
    let account = Account::register(daemon.api());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ends = format!("ca.example; accounturi=urn:x; persistUntil={}", now + 2);
    assert!(publish(&daemon, &account, &ends).json()["expires"].is_string());
    let short = json!({"subdomain": account.subdomain, "value": authorization(50), "lifetime": "2s"});
    assert_eq!(send(&daemon, &account, "POST", &short).status, 200);
    assert_eq!(publish(&daemon, &account, &authorization(60)).status, 200);
    assert_eq!(txts(daemon.dns(), &account.fulldomain).len(), 3);
    until("two have expired", || txts(daemon.dns(), &account.fulldomain) == [authorization(60)]);
    let shown = || account.send(daemon.api(), "GET", "/v1/account", "").json()["owners"][0]["persistent"].clone();
    assert_eq!(shown().as_array().map(Vec::len), Some(1));
    let past = format!("ca.example; accounturi=urn:x; persistUntil={}", now - 1);
    publish(&daemon, &account, &past).assert_error(400, "bad_value");
}

#[test]
fn it_is_off_unless_the_operator_allows_it() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    let reply = publish(&daemon, &account, &authorization(60));
    reply.assert_error(404, "not_found");
    assert!(reply.body.contains("persist = true"), "{reply:?}");
    let (code, said) = daemon.home().run_err(&["persist", "publish", &account.subdomain, &authorization(60)]);
    assert!(code == Some(1) && said.contains("persist = true"), "{said}");
    assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
}

#[test]
fn what_is_wrong_is_said_and_nothing_of_it_published() {
    let daemon = Process::start(&settings());
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    for text in ["", "ca.example", "ca.example; accounturi=urn:x;", &authorization(513), &value(1)] {
        let reply = publish(&daemon, &account, text);
        reply.assert_error(400, "bad_value");
        assert_eq!(reply.json()["field"], json!("value"), "{reply:?}");
    }
    for body in [json!({"subdomain": account.subdomain}), json!({"subdomain": account.subdomain, "value": 7})] {
        send(&daemon, &account, "POST", &body).assert_error(400, "bad_value");
    }
    let strangers = json!({"subdomain": other.subdomain, "value": authorization(60)});
    send(&daemon, &account, "POST", &strangers).assert_error(401, "forbidden");
    let lifetime = json!({"subdomain": account.subdomain, "value": authorization(60), "lifetime": "soon"});
    send(&daemon, &account, "POST", &lifetime).assert_error(400, "bad_lifetime");
    // A key that has been replaced publishes until its grace ends, but leaves nothing behind that stands for good.
    let rotated = Account::of(&account.send(daemon.api(), "POST", "/v1/account/rotate", "").json());
    publish(&daemon, &account, &authorization(60)).assert_error(401, "forbidden");
    account.publish(daemon.api(), &value(1));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    for number in 0..16 {
        assert_eq!(publish(&daemon, &rotated, &authorization(60 + number)).status, 200);
    }
    publish(&daemon, &rotated, &authorization(90)).assert_error(409, "conflict");
}

#[test]
fn the_operator_publishes_lists_and_retires() {
    let daemon = Process::start(&settings());
    let (home, account) = (daemon.home(), Account::register(daemon.api()));
    let (name, text) = (account.fulldomain.as_str(), authorization(60));
    assert!(home.run_ok(&["persist", "publish", name, &text]).contains("until it is retired"));
    let ends = json_of(home, &["persist", "publish", name, &authorization(61), "--lifetime", "365d"]);
    assert!(ends["expires"].is_string(), "{ends}");
    for list in [&["persist", "list"][..], &["persist", "list", &account.subdomain]] {
        let values = json_of(home, list)["items"].clone();
        assert_eq!((values.as_array().map(Vec::len), &values[1]["value"]), (Some(2), &json!(text)), "{values}");
    }
    assert!(home.run_ok(&["persist", "list"]).contains(&text));
    assert!(home.run_ok(&["account", "show", name]).contains(&format!("{text} until it is retired")));
    assert_eq!(json_of(home, &["persist", "retire", name, &text]), json!({"retired": 1}));
    assert_eq!(txts(daemon.dns(), name), [authorization(61)]);
    assert_eq!(json_of(home, &["persist", "retire", name]), json!({"retired": 1}));
    let (code, said) = home.run_err(&["persist", "publish", "_acme-challenge", &text]);
    assert!(code == Some(2) && said.contains("no CA looks"), "{said}");
}
