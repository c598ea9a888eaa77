//! From where an account may be used, and whom the daemon believes about it.

use std::net::Ipv4Addr;

use crate::harness::http::{connect_from, post, request};
use crate::harness::{Account, Process, Settings, value};

fn registered(daemon: &Process, networks: &str) -> Account {
    Account::of(&post(daemon.api(), "/register", &[], &format!(r#"{{"allowfrom":{networks}}}"#)).json())
}

fn status_from(daemon: &Process, from: [u8; 4], account: &Account, more: &[&str]) -> u16 {
    let [user, key] = account.headers();
    let headers: Vec<&str> = [user.as_str(), &key].into_iter().chain(more.iter().copied()).collect();
    let request = request("POST", "/update", &headers, &account.body(&value(1)));
    connect_from(Ipv4Addr::from(from), daemon.api()).exchange(request).status
}

#[test]
fn an_account_is_used_from_its_networks_alone() {
    let daemon = Process::start(&Settings::default());
    let account = registered(&daemon, r#"["127.0.0.1/32","127.0.7.0/24"]"#);
    for (from, status) in [([127, 0, 0, 1], 200), ([127, 0, 7, 9], 200), ([127, 0, 0, 2], 401), ([127, 0, 8, 1], 401)] {
        // Twice: the second time the key is remembered.
        assert_eq!([(); 2].map(|()| status_from(&daemon, from, &account, &[])), [status; 2], "{from:?}");
    }
    assert_eq!(status_from(&daemon, [127, 0, 0, 1], &registered(&daemon, r#"["192.0.2.0/24"]"#), &[]), 401);
}

#[test]
fn a_header_is_not_believed_unless_a_proxy_is_named() {
    let daemon = Process::start(&Settings::default());
    let account = registered(&daemon, r#"["198.51.100.0/24"]"#);
    let claims = ["X-Forwarded-For: 198.51.100.7", "X-Real-IP: 198.51.100.7", "Forwarded: for=198.51.100.7"];
    assert_eq!(status_from(&daemon, [127, 0, 0, 1], &account, &claims), 401);
}

#[test]
fn a_trusted_proxys_right_most_stranger_is_the_client() {
    let proxy = "registration = \"open-to-anyone\"\ntrusted-proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]\n\
                 client-ip-header = \"X-Forwarded-For\"";
    let daemon = Process::start(&Settings::default().with("api", proxy));
    let account = registered(&daemon, r#"["198.51.100.0/24"]"#);
    let local = registered(&daemon, r#"["127.0.0.0/8"]"#);
    let of = |account: &Account, from: [u8; 4], lines: &[&str]| status_from(&daemon, from, account, lines);
    for (lines, status) in [
        (&["X-Forwarded-For: 198.51.100.7"][..], 200),
        (&["x-forwarded-for: 203.0.113.9, 198.51.100.7"], 200),
        (&["X-Forwarded-For: 198.51.100.7, 10.1.2.3"], 200),
        (&["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 198.51.100.7"], 200),
        (&["X-Forwarded-For: 198.51.100.7:4711"], 200),
        // What the client itself has put before the proxy's own entry.
        (&["X-Forwarded-For: 198.51.100.7, 203.0.113.9"], 401),
        (&["X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 203.0.113.9"], 401),
        (&["X-Forwarded-For: 198.51.100.7, unknown"], 401),
        (&["X-Forwarded-For: "], 401),
        (&["X-Real-IP: 198.51.100.7"], 401),
        (&[], 401),
    ] {
        assert_eq!(of(&account, [127, 0, 0, 1], lines), status, "{lines:?}");
    }
    assert_eq!(of(&account, [127, 0, 0, 2], &["X-Forwarded-For: 198.51.100.7"]), 401, "no proxy of ours");
    assert_eq!(of(&local, [127, 0, 0, 1], &[]), 401, "without the header the proxy itself is not the client");
    assert_eq!(of(&local, [127, 0, 0, 2], &[]), 200);
}
