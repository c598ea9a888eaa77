//! What failures look like, whatever the reason: JSON on one line.

use crate::harness::http::{connect, post};
use crate::harness::{Account, Process, Settings};

#[test]
fn what_clients_send_is_escaped_in_what_they_hear() {
    let daemon = Process::start(&Settings::default());
    let body = r#"{"allowfrom":["\"</script>\n\u0000/8"]}"#;
    let reply = post(daemon.api(), "/register", &[], body);
    reply.assert_error(400, "invalid_allowfrom_cidr");
    assert!(reply.json()["message"].as_str().unwrap().contains("script"));
}

#[test]
fn wrong_keys_of_one_account_slow_down_one_prefix_alone() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    let thief = Account { password: "A".repeat(40), ..account.clone() };
    let body = thief.body(&"a".repeat(43));
    let mut codes = Vec::new();
    for _ in 0..8 {
        let reply = connect(daemon.api()).exchange(thief.request("POST", "/update", &body));
        if reply.status == 429 {
            reply.assert_error(429, "too_many_requests");
            assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        }
        codes.push(reply.status);
    }
    assert_eq!(codes[..5], [401; 5], "a few mistakes are free");
    assert!(codes[5..].contains(&429), "{codes:?}");
    let mut elsewhere = crate::harness::http::connect_from([127, 0, 9, 1].into(), daemon.api());
    let reply = elsewhere.exchange(account.request("POST", "/update", &body));
    assert_eq!(reply.status, 200, "the owner, from elsewhere, is not delayed: {reply:?}");
}

#[test]
fn http_that_is_none_is_400_and_the_end() {
    let daemon = Process::start(&Settings::default());
    for nonsense in ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET\r\n\r\n"] {
        let mut wire = connect(daemon.api());
        wire.send(nonsense);
        let (closed, said) = wire.closes_within(std::time::Duration::from_secs(15));
        assert!(closed && (said.is_empty() || said.starts_with("HTTP/1.1 400")), "{nonsense:?}: {said:?}");
    }
}
