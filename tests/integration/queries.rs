//! The query log of a running daemon: who has asked, and what each got, for accounts and for the operator.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::harness::dns::{A, Change, TXT, Tcp, Udp, query};
use crate::harness::http::{Wire, connect, get, request, send};
use crate::harness::{Account, Home, PATIENCE, Process, Settings, ZONE, until, value};

/// Asks from an address of the loopback, over UDP.
fn ask_from(source: &str, server: SocketAddr, name: &str, rtype: u16) {
    Udp::from(source, server).ask(&query(name, rtype).edns(1_232));
}

/// The queries of an account, as the API tells them.
fn queries(daemon: &Process, account: &Account, parameters: &str) -> Value {
    let reply = account.send(daemon.api(), "GET", &format!("/v1/queries{parameters}"), "");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().unwrap()
}

#[test]
fn an_account_sees_who_has_asked_for_its_own_names_and_what_each_got() {
    let daemon = Process::start(&Settings::default());
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    ask_from("127.1.1.1", daemon.dns(), &account.fulldomain, TXT);
    account.publish(daemon.api(), &value(1));
    let shouted = account.fulldomain.to_ascii_uppercase();
    for network in 1..=3 {
        ask_from(&format!("127.2.{network}.7"), daemon.dns(), &shouted, TXT);
    }
    let mut tcp = Tcp::to(daemon.dns());
    tcp.send(&query(&account.fulldomain, TXT));
    tcp.receive();
    ask_from("127.3.1.1", daemon.dns(), &format!("_acme-challenge.{}", account.fulldomain), A);
    ask_from("127.4.1.1", daemon.dns(), &other.fulldomain, TXT);
    ask_from("127.4.1.1", daemon.dns(), &format!("nobody.{ZONE}"), TXT);
    let found = queries(&daemon, &account, "");
    // Each thread has a queue of its own, so what arrives in one millisecond has no order.
    let told: BTreeSet<String> = items(&found)
        .iter()
        .map(|query| {
            let parts = ["source", "transport", "type", "rcode", "below", "values"].map(|key| query[key].to_string());
            parts.join(" ").replace('"', "")
        })
        .collect();
    let got = format!("udp TXT NOERROR false [{}]", value(1));
    let expected = [
        "127.1.1.1 udp TXT NOERROR false []".to_owned(),
        format!("127.2.1.7 {got}"),
        format!("127.2.2.7 {got}"),
        format!("127.2.3.7 {got}"),
        format!("127.0.0.1 {}", got.replace("udp", "tcp")),
        "127.3.1.1 udp A NXDOMAIN true []".to_owned(),
    ];
    assert_eq!(told, BTreeSet::from(expected), "{found}");
    let second = items(&found).iter().find(|query| query["source"] == "127.2.1.7").unwrap();
    assert_eq!((&second["asked"], &second["name"]), (&json!(shouted), &json!(account.fulldomain)));
    assert_eq!((&second["network"], &second["edns_size"]), (&json!("127.2.1.0/24"), &json!(1_232)));
    assert_eq!(second["listener"], json!(daemon.dns().to_string()));
    let limited = queries(&daemon, &account, "?limit=2");
    assert_eq!((items(&limited).len(), &limited["truncated"]), (2, &json!(true)));
    assert_eq!(items(&limited)[1], items(&found)[5], "the newest");
    let since = items(&found)[4]["time"].as_str().unwrap().to_owned();
    assert!(items(&queries(&daemon, &account, &format!("?since={since}"))).len() >= 2);
    assert_eq!(items(&queries(&daemon, &account, &format!("?subdomain={}", account.subdomain))).len(), 6);
    for (parameters, status, code) in [
        ("?subdomain=someone-elses", 401, "forbidden"),
        (&format!("?subdomain={}", other.subdomain), 401, "forbidden"),
        ("?limit=0", 400, "bad_parameter"),
        ("?limit=many", 400, "bad_parameter"),
        ("?since=yesterday", 400, "bad_parameter"),
        ("?sinse=x", 400, "bad_parameter"),
    ] {
        account.send(daemon.api(), "GET", &format!("/v1/queries{parameters}"), "").assert_error(status, code);
    }
    get(daemon.api(), "/v1/queries").assert_error(401, "forbidden");
}

/// What arrives of a stream until it holds `wanted`.
fn read_until(wire: &mut Wire<TcpStream>, wanted: &str) -> String {
    wire.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut buffer = [0; 4_096];
        let length = wire.0.read(&mut buffer).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(length > 0, "it ended before {wanted:?}: {text}");
        text += std::str::from_utf8(&buffer[..length]).unwrap();
    }
    text
}

fn event_stream(daemon: &Process, account: &Account) -> Wire<TcpStream> {
    let [user, key] = account.headers();
    let mut wire = connect(daemon.api());
    wire.send(request("GET", "/v1/queries", &[&user, &key, "Accept: text/event-stream"], ""));
    wire
}

#[test]
fn events_arrive_as_they_happen_and_end_with_the_account() {
    let daemon = Process::start(&Settings::default());
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    account.publish(daemon.api(), &value(1));
    let mut wire = event_stream(&daemon, &account);
    let head = read_until(&mut wire, ": queries follow");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.to_ascii_lowercase().contains("content-type: text/event-stream"),
        "{head}"
    );
    ask_from("127.9.9.9", daemon.dns(), &other.fulldomain, TXT);
    ask_from("127.5.5.5", daemon.dns(), &account.fulldomain, TXT);
    let text = read_until(&mut wire, "\n\n");
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{text}"));
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&event["source"], &event["values"]), (&json!("127.5.5.5"), &json!([value(1)])), "{text}");
    assert!(text.contains("event: query\n"), "{text}");
    // Each account has so many streams, and others keep theirs.
    let mut more: Vec<_> = (0..3).map(|_| event_stream(&daemon, &account)).collect();
    more.iter_mut().for_each(|wire| _ = read_until(wire, ": queries follow"));
    let refused = read_until(&mut event_stream(&daemon, &account), "\"message\"");
    assert!(refused.starts_with("HTTP/1.1 409"), "{refused}");
    read_until(&mut event_stream(&daemon, &other), ": queries follow");
    daemon.home().run_ok(&["account", "disable", &account.subdomain]);
    let (is_closed, said) = wire.closes_within(PATIENCE);
    assert!(is_closed || said.ends_with("0\r\n\r\n"), "{said}");
}

#[test]
fn the_operator_sees_any_account_by_any_of_its_names() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home();
    let made: Value = serde_json::from_str(&home.run_ok(&["account", "create", "example.com", "--json"])).unwrap();
    let fulldomain = made["fulldomain"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let (code, said) = home.run_err(&["queries", "example.net"]);
    assert!(code == Some(1) && said.contains("no account"), "{said}");
    assert!(home.run_ok(&["queries", "example.com"]).contains("nobody has asked since "));
    home.run_ok(&["txt", "publish", "example.com", &value(7)]);
    ask_from("127.6.6.6", daemon.dns(), &fulldomain, TXT);
    ask_from("127.6.6.6", daemon.dns(), &format!("x.{fulldomain}"), TXT);
    for who in ["example.com", &fulldomain, made["username"].as_str().unwrap()] {
        let shown = home.run_ok(&["queries", who]);
        assert!(
            shown.contains("127.6.6.6") && shown.contains(&value(7)[..8]) && shown.contains("below the name"),
            "{shown}"
        );
        let shown = home.run_ok(&["queries", who, "--json"]);
        let found: Value = serde_json::from_str(&shown).unwrap();
        // Both were asked at nearly the same time, so either may be the latest.
        assert!(items(&found).iter().any(|item| item["values"] == json!([value(7)])), "{found}");
    }
    let status = home.run_ok(&["status"]);
    assert!(status.contains("from 127.6.6.6"), "{status}");
    home.run_ok(&["account", "delete", "example.com", "--now"]);
    let said = home.run_err(&["queries", &fulldomain]).1;
    assert!(said.contains("no account"), "an account's queries go with it: {said}");
}

#[test]
fn a_log_that_is_off_says_so_and_one_without_a_daemon_too() {
    let daemon = Process::start(&Settings::default().with("querylog", "enabled = false"));
    let account = Account::register(daemon.api());
    account.send(daemon.api(), "GET", "/v1/queries", "").assert_error(404, "not_found");
    let said = daemon.home().run_err(&["queries", &account.subdomain]).1;
    assert!(said.contains("[querylog]"), "{said}");
    let home = Home::new(&Settings::default());
    let (code, said) = home.run_err(&["queries", "x"]);
    assert!(code == Some(1) && said.contains("no daemon answers at"), "{said}");
}

#[test]
fn private_addresses_appear_nowhere() {
    let daemon = Process::start(&Settings::default().with("querylog", "privacy = \"network\""));
    let account = Account::register(daemon.api());
    ask_from("127.7.7.7", daemon.dns(), &account.fulldomain, TXT);
    let found = queries(&daemon, &account, "");
    assert_eq!(items(&found)[0]["source"], json!("127.7.7.0"), "{found}");
    assert!(!found.to_string().contains("127.7.7.7"));
}

#[test]
fn a_flood_of_queries_is_counted_and_answered() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let socket = Udp::from("127.8.8.8", daemon.dns());
    for _ in 0..2_000 {
        socket.ask(&query(&account.fulldomain, TXT));
    }
    let metric = |name: &str| -> u64 {
        let text = get(daemon.metrics(), "/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
        line.trim().parse().unwrap()
    };
    until("every query is logged or counted", || {
        let missed = metric("txtgate_queries_lost_total ") + metric("txtgate_queries_over_share_total ");
        metric("txtgate_queries_logged_total ") + missed == 2_000
    });
    let found = queries(&daemon, &account, "");
    let logged: u64 = items(&found).iter().map(|query| 1 + query["repeats"].as_u64().unwrap()).sum();
    assert_eq!(logged, metric("txtgate_queries_logged_total "), "{found}");
    assert!(items(&found).len() < 64, "equal ones in a row are one: {found}");
    let reply = send(daemon.metrics(), "GET", "/metrics", &[], "");
    assert!(reply.body.contains("\ntxtgate_querylog_owners 1\n"), "{reply:?}");
}
