//! `POST /update`: the status matrix of acme-dns, with the differences that docs/migration.md names.

use crate::harness::dns::txts;
use crate::harness::http::{connect, post, request};
use crate::harness::{Account, Process, Settings, value};

fn started() -> (Process, Account) {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    (daemon, account)
}

#[test]
fn a_200_has_the_value_in_quotes_and_dns_has_it_already() {
    let (daemon, account) = started();
    for number in 0..20 {
        let txt = format!("{:a<41}-{}", number, if number % 2 == 0 { "_" } else { "Z" });
        let reply = account.update(daemon.api(), &txt[..43]);
        assert_eq!((reply.status, reply.body), (200, format!("{{\"txt\": \"{}\"}}", &txt[..43])));
        assert_eq!(txts(daemon.dns(), &account.fulldomain)[0], txt[..43]);
    }
}

#[test]
fn the_same_value_again_evicts_nothing() {
    let (daemon, account) = started();
    for number in [1, 2, 2, 2, 1] {
        account.publish(daemon.api(), &value(number));
    }
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1), value(2)]);
}

/// Everything that is about who asks is 401 with one code.
#[test]
fn wrong_credentials_are_401_forbidden() {
    let (daemon, account) = started();
    let other = Account::register(daemon.api());
    let Account { username, password, .. } = &account;
    let (user, key) = (format!("X-Api-User: {username}"), format!("X-Api-Key: {password}"));
    let body = account.body(&value(1));
    let short_key = format!("X-Api-Key: {}", &password[..39]);
    let odd_key = format!("X-Api-Key: {}!", &password[..39]);
    let foreign_key = format!("X-Api-Key: {}", other.password);
    let foreign_user = format!("X-Api-User: {}", other.username);
    for headers in [
        vec![],
        vec![user.as_str()],
        vec![key.as_str()],
        vec!["X-Api-User: not-a-uuid", &key],
        vec!["X-Api-User: 00000000-0000-4000-8000-000000000000", &key],
        vec!["X-Api-User: ", &key],
        vec![&user, "X-Api-Key: "],
        vec![&user, &short_key],
        vec![&user, &odd_key],
        vec![&user, &foreign_key],
        vec![&foreign_user, &key],
    ] {
        post(daemon.api(), "/update", &headers, &body).assert_error(401, "forbidden");
    }
    assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
}

#[test]
fn another_accounts_subdomain_is_401() {
    let (daemon, account) = started();
    let other = Account::register(daemon.api());
    let stolen = Account { subdomain: other.subdomain.clone(), ..account.clone() };
    stolen.update(daemon.api(), &value(1)).assert_error(401, "forbidden");
    let unknown = Account { subdomain: "no-such-label".into(), ..account };
    unknown.update(daemon.api(), &value(1)).assert_error(401, "forbidden");
    assert!(txts(daemon.dns(), &other.fulldomain).is_empty());
}

#[test]
fn broken_json_is_400_with_good_credentials_and_401_without() {
    let (daemon, account) = started();
    for body in ["{", "[]", "subdomain=x&txt=y", "{\"subdomain\":}"] {
        account.send(daemon.api(), "POST", "/update", body).assert_error(400, "malformed_json_payload");
        post(daemon.api(), "/update", &[], body).assert_error(401, "forbidden");
    }
}

#[test]
fn a_txt_is_43_base64url_characters() {
    let (daemon, account) = started();
    let long = "a".repeat(44);
    let texts = [
        "\"\"".to_owned(),
        format!("\"{}\"", &long[..42]),
        format!("\"{long}\""),
        format!("\"{}.\"", &long[..42]),
        format!("\"{}=\"", &long[..42]),
        format!("\"{}+\"", &long[..42]),
        format!("\"{}é\"", &long[..42]),
        format!("\"{}\\n\"", &long[..42]),
        "1234567890".into(),
        "null".into(),
        "true".into(),
        "[]".into(),
    ];
    for txt in &texts {
        let body = format!(r#"{{"subdomain":"{}","txt":{txt}}}"#, account.subdomain);
        let reply = account.send(daemon.api(), "POST", "/update", &body);
        reply.assert_error(400, "bad_txt");
        assert_eq!(reply.json()["field"], "txt", "{txt}");
    }
    let without = format!(r#"{{"subdomain":"{}"}}"#, account.subdomain);
    account.send(daemon.api(), "POST", "/update", &without).assert_error(400, "bad_txt");
    assert!(txts(daemon.dns(), &account.fulldomain).is_empty());
}

#[test]
fn a_subdomain_is_a_label() {
    let (daemon, account) = started();
    let long = format!("\"{}\"", "a".repeat(64));
    for subdomain in ["\"\"", "\"-a\"", "\"a-\"", "\"a..b\"", "\"a b\"", &long, "7", "null", "{}"] {
        let body = format!(r#"{{"subdomain":{subdomain},"txt":"{}"}}"#, value(1));
        account.send(daemon.api(), "POST", "/update", &body).assert_error(400, "bad_subdomain");
    }
    account.send(daemon.api(), "POST", "/update", "{}").assert_error(400, "bad_subdomain");
}

#[test]
fn keys_of_the_body_are_read_in_any_case_and_more_of_them_ignored() {
    let (daemon, account) = started();
    let body = format!(r#"{{"SubDomain":"{}","Txt":"{}","Extra":{{"a":[null]}}}}"#, account.subdomain, value(1));
    assert_eq!(account.send(daemon.api(), "POST", "/update", &body).status, 200);
}

#[test]
fn headers_come_in_any_case_and_usernames_in_any_form_of_a_uuid() {
    let (daemon, account) = started();
    let hex: String = account.username.chars().filter(|c| *c != '-').collect();
    let upper = account.username.to_uppercase();
    let urn = format!("urn:uuid:{}", account.username);
    let braced = format!("{{{}}}", account.username);
    for username in [&account.username, &hex, &upper, &urn, &braced] {
        let headers = [format!("x-aPI-uSER:{username}"), format!("X-API-KEY:   {}  ", account.password)];
        let headers = headers.each_ref().map(String::as_str);
        let reply = post(daemon.api(), "/update", &headers, &account.body(&value(1)));
        assert_eq!(reply.status, 200, "{username}: {reply:?}");
    }
}

#[test]
fn an_authorization_beside_the_headers_is_ignored() {
    let (daemon, account) = started();
    let [user, key] = account.headers();
    for other in ["Authorization: Basic ", "Authorization: Basic dTo_Pz4-", "Authorization: Digest nonsense"] {
        let reply = post(daemon.api(), "/update", &[&user, &key, other], &account.body(&value(1)));
        assert_eq!(reply.status, 200, "{other}");
    }
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let (daemon, account) = started();
    let mut wire = connect(daemon.api());
    for number in 0..5 {
        assert_eq!(account.update_on(&mut wire, &value(number)).unwrap().status, 200);
        assert_eq!(wire.exchange(request("GET", "/health", &[], "")).status, 200);
        wire.exchange(request("POST", "/update", &[], "{}")).assert_error(401, "forbidden");
    }
    // Pipelined: both replies come, in order.
    let both =
        [account.request("POST", "/update", &account.body(&value(9))), request("GET", "/nothing", &[], "")].concat();
    wire.send(both);
    assert_eq!([wire.receive().status, wire.receive().status], [200, 404]);
}

/// Where several clients publish at once each value counts.
#[test]
fn concurrent_updates_of_one_name_are_all_served() {
    let (daemon, account) = started();
    let (daemon, account) = (&daemon, &account);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || (0..5).for_each(|number| account.publish(daemon.api(), &value(writer * 10 + number))));
        }
    });
    let mut served = txts(daemon.dns(), &account.fulldomain);
    served.sort_unstable();
    let mut expected: Vec<String> = (0..8).flat_map(|writer| (0..5).map(move |n| value(writer * 10 + n))).collect();
    expected.sort_unstable();
    assert_eq!(served, expected);
}
