//! `POST /register`: its reply, and every body that clients send.

use crate::harness::http::{connect, post};
use crate::harness::{Account, Process, Settings, ZONE};

#[test]
fn a_registration_looks_exactly_as_clients_read_it() {
    let daemon = Process::start(&Settings::default());
    let reply = post(daemon.api(), "/register", &[], "");
    assert_eq!((reply.status, reply.header("content-type")), (201, Some("application/json")));
    let account = Account::of(&reply.json());
    let Account { username, password, subdomain, fulldomain } = &account;
    // acme.sh reads it with sed: one line, this order, no space that is not there.
    let expected = format!(
        r#"{{"username":"{username}","password":"{password}","fulldomain":"{fulldomain}","subdomain":"{subdomain}","allowfrom":[]}}"#
    );
    assert_eq!(reply.body, expected);
    assert_eq!(*fulldomain, format!("{subdomain}.{ZONE}"), "without a closing dot");
    for uuid in [username, subdomain] {
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert!(lengths == [8, 4, 4, 4, 12] && uuid.as_bytes()[14] == b'4', "a UUID of version 4: {uuid}");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(password.len() == 40 && password.chars().all(allowed), "40 characters of base64url");
}

#[test]
fn every_body_that_means_nothing_special_registers() {
    let daemon = Process::start(&Settings::default());
    for body in ["", "{}", "null", "null\n", " \r\n", r#"{"allowfrom":null}"#, r#"{"allowfrom":[]}"#, r#"{"x":[1,{}]}"#]
    {
        let reply = post(daemon.api(), "/register", &[], body);
        assert_eq!((reply.status, &reply.json()["allowfrom"]), (201, &serde_json::json!([])), "{body:?}");
    }
    let explicit = connect(daemon.api()).exchange("POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(explicit.status, 201);
    let chunked = "POST /register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(connect(daemon.api()).exchange(chunked).status, 201);
}

#[test]
fn any_content_type_and_any_authorization_will_do() {
    let daemon = Process::start(&Settings::default());
    for header in [
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: nonsense",
        "Authorization: Basic ",
        "Authorization: Basic dXNlcjpwYXNz",
        "Authorization: Basic !!!",
        "Authorization: Basic dTo_Pz4-",
        "Authorization: Bearer x",
    ] {
        assert_eq!(post(daemon.api(), "/register", &[header], "{}").status, 201, "{header}");
    }
}

#[test]
fn networks_are_read_as_acme_dns_reads_them() {
    let daemon = Process::start(&Settings::default());
    let networks = |body: &str| post(daemon.api(), "/register", &[], body).json()["allowfrom"].clone();
    let two = r#"["192.168.100.1/24","2002:c0a8:2a00::/40"]"#;
    assert_eq!(networks(&format!(r#"{{"allowfrom":{two}}}"#)).to_string(), two, "host bits as they came");
    assert_eq!(networks(r#"{"AllowFrom":["127.0.0.1/32"]}"#).to_string(), r#"["127.0.0.1/32"]"#);
    assert_eq!(networks(r#"{"allowfrom":["[2001:db8::]/32"]}"#).to_string(), r#"["2001:db8::/32"]"#);
}

#[test]
fn wrong_bodies_are_400_with_acme_dns_codes() {
    let daemon = Process::start(&Settings::default());
    for body in ["{", "[]", "\"x\"", "1", "{\"allowfrom\":[}", "not json", "{}{}"] {
        post(daemon.api(), "/register", &[], body).assert_error(400, "malformed_json_payload");
    }
    for networks in
        [r#"["192.0.2.1"]"#, r#"[""]"#, r#"["192.0.2.0/33"]"#, r#"["x/8"]"#, "[1]", "\"192.0.2.0/24\"", "{}"]
    {
        let reply = post(daemon.api(), "/register", &[], &format!(r#"{{"allowfrom":{networks}}}"#));
        reply.assert_error(400, "invalid_allowfrom_cidr");
        assert_eq!(reply.json()["field"], "allowfrom");
    }
}

#[test]
fn a_label_cannot_be_chosen_without_a_secret() {
    let daemon = Process::start(&Settings::default());
    post(daemon.api(), "/register", &[], r#"{"subdomain":"shop"}"#).assert_error(400, "bad_subdomain");
    assert_eq!(post(daemon.api(), "/register", &[], r#"{"subdomain":""}"#).status, 201, "Certify sends empty fields");
}

#[test]
fn a_second_zone_can_be_named() {
    let second = "[[zone]]\nname = \"second.test\"\nns = [\"ns.example.com\"]\ncontact = \"a@example.com\"";
    let daemon = Process::start(&Settings::default().more(second));
    let reply = post(daemon.api(), "/register", &[], r#"{"zone":"Second.Test"}"#);
    assert!(Account::of(&reply.json()).fulldomain.ends_with(".second.test"), "{reply:?}");
    assert!(Account::register(daemon.api()).fulldomain.ends_with(ZONE), "the first one without a name");
    post(daemon.api(), "/register", &[], r#"{"zone":"third.test"}"#).assert_error(400, "bad_zone");
}
